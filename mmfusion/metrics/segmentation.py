"""Metrics of predicted masks: overlap, distance and detection, per patient and pooled, with intervals.

Two numbers are called Dice in papers. *Dice per patient* (`dice`) is the mean of the patients' Dice. *Pooled
Dice* (`dice_pooled`; in the logs of nnU-Net "pseudo Dice") is the Dice of the summed volumes of all patients,
so that large lesions count more. They can differ much: 0.716 and 0.816 were published for one nnU-Net on the
lung tumours of the Medical Segmentation Decathlon. A third number, the mean over slices, is `dice_slices`.

If the true and the predicted mask are both empty, the prediction is perfect: Dice, IoU, precision and recall
are 1. If only one of them is empty, a lesion was missed or marked by mistake, and all four are 0. In both
cases surface distances are NaN, and are left out of means. `one_empty_pooled` counts the patients with one
empty mask, because the distances do not show their error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, did_you_mean
from mmfusion.exclusive import silenced
from mmfusion.metrics.checks import check_table
from mmfusion.metrics.detection import DETECTION_SCORES, box_of, checked_pair, detection_scores
from mmfusion.metrics.judged import Judged, rows_of, table_of_scores
from mmfusion.metrics.paired import same_rows, table_of_differences
from mmfusion.metrics.slices import POSITION_DICE, SLICE_SCORES, slice_scores

_OVERLAP = ("dice", "iou", "hd95", "assd", "overlap_mm3", "true_mm3", "predicted_mm3")
# scores per patient; tables of older versions have `_OVERLAP` only
MASK_SCORES = (*_OVERLAP, "precision", "recall", *SLICE_SCORES, *DETECTION_SCORES)
_RATIOS = {  # pooled metric -> numerators, denominators, value if the denominator is 0
    "dice_pooled": (("overlap_mm3", "overlap_mm3"), ("true_mm3", "predicted_mm3"), 1.0),
    "lesion_sensitivity_pooled": (("lesions_found",), ("lesions",), np.nan),
}
SEGMENTATION_METRICS = (
    *("dice", "dice_pooled", "hd95", "lesion_sensitivity_pooled", "false_lesions"),
    *("iou", "precision", "recall", "dice_slices", "assd", "fn_ml", "fp_ml", "one_empty_pooled"),
    *(*POSITION_DICE.values(), "slices_outside"),
)
SEGMENTATION_LOWER_IS_BETTER = (
    *("hd95", "assd", "false_lesions", "fn_ml", "fp_ml", "one_empty_pooled", "slices_outside"),
)


def mask_scores(
    true: np.ndarray, predicted: np.ndarray, spacing: Sequence[float], *, distances: bool = True
) -> dict[str, float]:
    """Return all scores of one predicted mask.

    Parameters
    ----------
    true, predicted : ndarray, shape (z, y, x) or (y, x)
        Masks on the same grid: 0 outside, any other value inside.
    spacing : sequence of float
        Voxel size along each axis, mm.
    distances : bool
        Compute surface distances and detection, which take most of the time. If False, their scores are NaN.

    Returns
    -------
    dict of str to float
        dice and iou: 0 to 1. hd95: 95th percentile of the distances between the surfaces, mm, the larger of
        the two directions. assd: mean of these distances over both surfaces, mm. Both are computed by
        `monai.metrics`: the surface consists of the outermost voxels of a mask, and distances are between
        centres of voxels. overlap_mm3, true_mm3, predicted_mm3: volumes. precision, recall: share of the
        predicted volume that is true, and of the true volume that is predicted. dice_slices: see
        `slice_mean_dice`. lesions, lesions_found, false_lesions, fn_ml, fp_ml: see `detection_scores`. The
        docstring of the module explains empty masks.

    Raises
    ------
    DataError
        If the masks differ in shape, or if the spacing does not have one entry per axis.

    Examples
    --------
    >>> square, moved = np.zeros((8, 8)), np.zeros((8, 8))
    >>> square[2:6, 2:6], moved[2:6, 3:7] = 1, 1
    >>> scores = mask_scores(square, moved, (1.0, 2.0))
    >>> {name: round(scores[name], 3) for name in ("dice", "iou", "hd95", "overlap_mm3")}
    {'dice': 0.75, 'iou': 0.6, 'hd95': 2.0, 'overlap_mm3': 24.0}
    """
    true, predicted = checked_pair(true, predicted, spacing)
    voxel = float(np.prod(spacing))
    both, a, b = (int(np.count_nonzero(m)) for m in (true & predicted, true, predicted))
    hd95, assd = _surface_distances(true, predicted, spacing) if a and b and distances else (np.nan, np.nan)
    detection = dict.fromkeys(DETECTION_SCORES, np.nan)
    neither = 0.0 if a or b else 1.0  # the value of a ratio whose denominator is 0
    found = {
        "dice": 2 * both / (a + b) if a + b else neither,
        "iou": both / (a + b - both) if a + b else neither,
        "hd95": hd95,
        "assd": assd,
        "overlap_mm3": both * voxel,
        "true_mm3": a * voxel,
        "predicted_mm3": b * voxel,
        "precision": both / b if b else neither,
        "recall": both / a if a else neither,
    }
    found |= slice_scores(true, predicted)
    return found | (detection_scores(true, predicted, spacing) if distances else detection)


@dataclass(frozen=True, eq=False)
class MaskPredictions(Judged):
    """Scores of the out-of-fold masks of one model.

    Parameters
    ----------
    patients, strata, person_ids, rows
        As for `Judged`; the stratum of all patients is 0.
    scores : dict of str to ndarray, shape (n_rows,)
        Name in `MASK_SCORES` -> score per prediction.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(**dict.fromkeys(MASK_SCORES, 1.0) | {"dice": [0.5, 1.0]})
    >>> MaskPredictions.of(table).draws("dice", np.ones((2, 1))).tolist()
    [0.75]
    """

    scores: dict[str, np.ndarray]

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> MaskPredictions:
        """Return the scores of one model from its rows in a checked table."""
        known = predictions.reindex(columns=list(MASK_SCORES))
        scores = {name: known[name].to_numpy(dtype=float) for name in MASK_SCORES}
        first, person_ids, rows = rows_of(predictions)
        return cls(first.index, np.zeros(len(first), int), person_ids, rows, scores)

    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set, shape (B,); `by_set` calls it without the suffix "_pooled"."""
        if metric == "one_empty":
            true, predicted = (self.scores[f"{kind}_mm3"][members] > 0 for kind in ("true", "predicted"))
            return (true != predicted).astype(float) @ weights
        return _weighted_mean(self.scores[metric][members], weights)

    def by_set(self, metric: str, weights: np.ndarray) -> dict[tuple, np.ndarray]:
        """Return the metric in each (repeat, fold), or in each (repeat,) if it is pooled; shape (B,) each."""
        if metric not in (*MASK_SCORES, *SEGMENTATION_METRICS):
            known, hint = ", ".join(SEGMENTATION_METRICS), did_you_mean(metric, SEGMENTATION_METRICS)
            raise DataError(f"no metric called {metric!r}", expected=known, hint=hint)
        if metric not in _RATIOS:
            return super().by_set(metric, weights)
        above, below, otherwise = _RATIOS[metric]
        patient, out = self.rows["patient"].to_numpy(), {}
        for key, members in self.members(metric).items():
            w = weights[patient[members]]
            a, b = (sum(self.scores[name][members] @ w for name in names) for names in (above, below))
            out[key] = np.divide(a, b, out=np.full(a.shape, otherwise), where=b > 0)
        return out


def mask_predictions(predictions: pd.DataFrame) -> dict[str, MaskPredictions]:
    """Split a table of mask scores by model, in order of appearance.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id), with the columns `MASK_SCORES`. The columns from
        `precision` on may be absent, as in tables of older versions; their metrics are then NaN. The optional
        column `person` says which patient ids belong to the same person.

    Raises
    ------
    DataError
        If a column is missing, or if a patient has two predictions in a repeat.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> list(mask_predictions(table.assign(**dict.fromkeys(MASK_SCORES, 1.0))))
    ['m']
    """
    check_table(predictions, _OVERLAP)
    return {str(m): MaskPredictions.of(rows) for m, rows in predictions.groupby("model", sort=False)}


def segmentation_table(predictions: pd.DataFrame, **options: object) -> pd.DataFrame:
    """Return every metric of every model with intervals over patients.

    Parameters
    ----------
    predictions : DataFrame
        As for `mask_predictions`.
    **options
        n_boot, level, random_state, as for `score_table`.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi). Names without "_pooled": mean of the patients' scores
        over the patients of a fold, then over folds; false_lesions is then the number of false positives per
        scan, and fn_ml and fp_ml are mL per scan. dice_pooled: Dice of the summed volumes of a repeat.
        lesion_sensitivity_pooled: share of all true lesions of a repeat that were found. one_empty_pooled:
        number of patients for whom exactly one of the two masks is empty.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> scores = dict.fromkeys(MASK_SCORES, 1.0) | {"dice": [0.7, 0.9]}
    >>> found = segmentation_table(table.assign(**scores), n_boot=10)
    >>> round(float(found.loc["m", ("dice", "mean")]), 3)
    0.8
    """
    return table_of_scores(mask_predictions(predictions), SEGMENTATION_METRICS, **options)


def segmentation_differences(
    predictions: pd.DataFrame, reference: str, *, metric: str = "dice", **options: object
) -> pd.DataFrame:
    """Compare every model with `reference` on the same resamples of patients; see `paired_table`.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(**dict.fromkeys(MASK_SCORES, 1.0))
    >>> both = pd.concat([table.assign(model="new", dice=0.75), table.assign(model="old", dice=0.5)])
    >>> found = segmentation_differences(both, "old", n_boot=10)
    >>> float(found.loc["new", "diff"])
    0.25
    """
    return table_of_differences(mask_predictions(same_rows(predictions)), reference, metric, **options)


def _surface_distances(
    true: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]
) -> tuple[float, float]:
    """Return HD95 and ASSD, mm, of two masks that are not empty; only the box around both is read."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    box = box_of(true | predicted)
    # a margin makes the edge of the scan a surface of a mask that touches it
    pair = [torch.from_numpy(np.pad(mask[box], 1))[None, None].float() for mask in (predicted, true)]
    options = {"include_background": True, "spacing": [float(s) for s in spacing]}
    with silenced("monai", category=FutureWarning):  # MONAI itself uses an argument that it has deprecated
        hd95 = compute_hausdorff_distance(*pair, percentile=95, **options)
        assd = compute_average_surface_distance(*pair, symmetric=True, **options)
    return float(hd95), float(assd)


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    total = weights[known].sum(axis=0)
    return np.divide(values[known] @ weights[known], total, out=np.full(total.shape, np.nan), where=total > 0)
