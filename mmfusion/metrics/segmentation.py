"""How well masks are drawn: overlap and surface distances per patient, pooled overlap, intervals over patients.

What empty masks count for: both empty is a perfect answer (Dice and IoU 1); one empty is a miss or a false alarm (Dice
and IoU 0). Surface distances have no value in either case (NaN, left out of means); `one_empty_pooled` counts the
patients for whom that hides an error.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.checks import check_table
from mmfusion.metrics.judged import POOLED, Judged, rows_of, table_of_scores
from mmfusion.metrics.paired import same_rows, table_of_differences

# per patient; the last three are volumes in mm3
MASK_SCORES = ("dice", "iou", "hd95", "assd", "overlap_mm3", "true_mm3", "predicted_mm3")
SEGMENTATION_METRICS = ("dice", "iou", "hd95", "assd", "dice_pooled", "one_empty_pooled")
SEGMENTATION_LOWER_IS_BETTER = ("hd95", "assd", "one_empty_pooled")


def mask_scores(
    true: np.ndarray, predicted: np.ndarray, spacing: Sequence[float], *, distances: bool = True
) -> dict[str, float]:
    """Return every score of one predicted mask.

    Parameters
    ----------
    true, predicted : ndarray, shape (z, y, x) or (y, x)
        Masks on the same grid: 0 outside, anything else inside.
    spacing : sequence of float
        Size of a voxel along each axis, mm.
    distances : bool
        Whether to measure surface distances, which take longest; NaN if not.

    Returns
    -------
    dict
        dice and iou (0 to 1); hd95 and assd (mm): the 95th percentile of the distances between the surfaces, the
        larger of the two directions, and their mean over both surfaces, as `monai.metrics` has them (the surface is
        the outermost voxels of a mask, distances run between voxel centres); overlap_mm3, true_mm3, predicted_mm3.
        See above for empty masks.

    Raises
    ------
    DataError
        If the masks differ in shape, or the spacing does not have an entry per axis.

    Examples
    --------
    >>> square, moved = np.zeros((8, 8)), np.zeros((8, 8))
    >>> square[2:6, 2:6], moved[2:6, 3:7] = 1, 1
    >>> scores = mask_scores(square, moved, (1.0, 2.0))
    >>> {name: round(scores[name], 3) for name in ("dice", "iou", "hd95", "overlap_mm3")}
    {'dice': 0.75, 'iou': 0.6, 'hd95': 2.0, 'overlap_mm3': 24.0}
    """
    true, predicted = np.asarray(true) != 0, np.asarray(predicted) != 0
    if true.shape != predicted.shape:
        raise DataError("masks differ in shape", expected=true.shape, got=predicted.shape)
    if len(spacing) != true.ndim:
        raise DataError("a spacing per axis is needed", expected=f"{true.ndim} numbers", got=tuple(spacing))
    voxel = float(np.prod(spacing))
    both, a, b = (int(np.count_nonzero(m)) for m in (true & predicted, true, predicted))
    dice, iou = (2 * both / (a + b), both / (a + b - both)) if a + b else (1.0, 1.0)
    hd95, assd = _surface_distances(true, predicted, spacing) if a and b and distances else (np.nan, np.nan)
    return dict(zip(MASK_SCORES, (dice, iou, hd95, assd, both * voxel, a * voxel, b * voxel), strict=True))


@dataclass(frozen=True, eq=False)
class MaskPredictions(Judged):
    """The scores of one model's out-of-fold masks.

    Parameters
    ----------
    patients, strata, person_ids, rows
        As of `Judged`; there are no strata.
    scores : dict of str to ndarray, shape (n_rows,)
        `MASK_SCORES` per prediction.
    """

    scores: dict[str, np.ndarray]

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> MaskPredictions:
        """From the rows of one model in a checked table."""
        scores = {name: predictions[name].to_numpy(dtype=float) for name in MASK_SCORES}
        first, person_ids, rows = rows_of(predictions)
        return cls(first.index, np.zeros(len(first), int), person_ids, rows, scores)

    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set, as `Judged` asks for; `by_set` calls it without the suffix "_pooled"."""
        if metric == "one_empty":
            true, predicted = (self.scores[f"{kind}_mm3"][members] > 0 for kind in ("true", "predicted"))
            return (true != predicted).astype(float) @ weights
        return _weighted_mean(self.scores[metric][members], weights)

    def by_set(self, metric: str, weights: np.ndarray) -> dict[tuple, np.ndarray]:
        """Return the metric in each (repeat, fold), or each (repeat,) where it is pooled; shape (B,) each."""
        if metric not in (*MASK_SCORES, *SEGMENTATION_METRICS):
            raise DataError(f"no metric called {metric!r}", expected=", ".join(SEGMENTATION_METRICS))
        if metric != "dice" + POOLED:
            return super().by_set(metric, weights)
        patient, out = self.rows["patient"].to_numpy(), {}
        for key, members in self.members(metric).items():
            both, a, b = (self.scores[n][members] @ weights[patient[members]] for n in MASK_SCORES[-3:])
            out[key] = np.divide(2 * both, a + b, out=np.ones(both.shape), where=a + b > 0)
        return out


def mask_predictions(predictions: pd.DataFrame) -> dict[str, MaskPredictions]:
    """Return the models of a table of mask scores, in order of appearance.

    Parameters
    ----------
    predictions : DataFrame
        A row per (model, repeat, fold, patient_id), with the columns `MASK_SCORES`; `person`, if several rows of a
        cohort are of one.

    Raises
    ------
    DataError
        On missing columns, or a patient judged twice in a repeat.
    """
    check_table(predictions, MASK_SCORES)
    return {str(m): MaskPredictions.of(rows) for m, rows in predictions.groupby("model", sort=False)}


def segmentation_table(predictions: pd.DataFrame, **options: object) -> pd.DataFrame:
    """Return every metric of every model with intervals over patients.

    Parameters
    ----------
    predictions : DataFrame
        As for `mask_predictions`.
    **options
        n_boot, level, random_state, as of `score_table`.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi). dice, iou, hd95, assd: mean over patients in a fold, then over
        folds. dice_pooled: all volumes of a repeat taken together, so that large lesions count more.
        one_empty_pooled: number of patients for whom just one of the two masks is empty.
    """
    return table_of_scores(mask_predictions(predictions), SEGMENTATION_METRICS, **options)


def segmentation_differences(
    predictions: pd.DataFrame, reference: str, *, metric: str = "dice", **options: object
) -> pd.DataFrame:
    """Return every model minus `reference`, on the same resamples of the same patients, as `paired_table` does."""
    return table_of_differences(mask_predictions(same_rows(predictions)), reference, metric, **options)


def _surface_distances(
    true: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]
) -> tuple[float, float]:
    """Return HD95 and ASSD in mm of two masks that are not empty; read within the box that holds both."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    either = true | predicted
    box = []
    for axis in range(either.ndim):
        inside = np.flatnonzero(either.any(axis=tuple(a for a in range(either.ndim) if a != axis)))
        box.append(slice(inside[0], inside[-1] + 1))
    # a margin: where a mask ends at the edge of the scan is its surface too
    pair = [torch.from_numpy(np.pad(mask[tuple(box)], 1))[None, None].float() for mask in (predicted, true)]
    options = {"include_background": True, "spacing": [float(s) for s in spacing]}
    with warnings.catch_warnings():
        # MONAI gives itself an argument that it has deprecated
        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
        hd95 = compute_hausdorff_distance(*pair, percentile=95, **options)
        assd = compute_average_surface_distance(*pair, symmetric=True, **options)
    return float(hd95), float(assd)


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    total = weights[known].sum(axis=0)
    return np.divide(values[known] @ weights[known], total, out=np.full(total.shape, np.nan), where=total > 0)
