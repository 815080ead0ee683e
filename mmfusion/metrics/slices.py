"""Overlap slice by slice: the mean Dice of slices, and Dice by the position of a slice in the lesion.

At its ends, a lesion is small, and faint in PET. A network that reads one slice at a time misses these slices
most often.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.metrics.detection import checked_pair

POSITIONS = ("end", "1 from the end", "2 from the end", "central", "outside")
# position -> name of its score of a patient
POSITION_DICE = {p: f"dice_{p.replace(' ', '_').replace('_the', '')}" for p in POSITIONS[:-1]}
SLICE_SCORES = ("dice_slices", *POSITION_DICE.values(), "lesion_slices", "slices_outside")


def slice_table(true: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Return the Dice of each slice that has a true or a predicted voxel.

    Parameters
    ----------
    true, predicted : ndarray, shape (z, y, x)
        Masks on the same grid: 0 outside, any other value inside. Slices are taken along the first axis.

    Returns
    -------
    DataFrame
        Index slice, from 0. Columns dice (0 to 1; 0 if one of the two masks has no voxel in the slice),
        true_voxels, predicted_voxels, and position, the place of the slice in the lesion, one of `POSITIONS`.
        "end" is the first or last slice with a true voxel, and "1 from the end" is the slice next to it.
        "outside" is a slice above or below the lesion, with predicted voxels only. Several lesions are
        treated as one lesion that reaches from the first to the last slice with a true voxel.

    Raises
    ------
    DataError
        If the masks differ in shape, or are not 3-D.

    Examples
    --------
    >>> true, predicted = np.zeros((9, 4, 4)), np.zeros((9, 4, 4))
    >>> true[1:8, :2, :2], predicted[2:9, :2, :2] = 1, 1
    >>> slice_table(true, predicted)["dice"].tolist()
    [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    >>> slice_table(true, predicted)["position"].tolist()[3:]
    ['central', '2 from the end', '1 from the end', 'end', 'outside']
    """
    true, predicted = checked_pair(true, predicted, (1.0, 1.0, 1.0))
    both, a, b = (np.count_nonzero(m, axis=(1, 2)) for m in (true & predicted, true, predicted))
    index = np.flatnonzero(a + b)
    table = pd.DataFrame(
        {
            "dice": 2 * both[index] / (a + b)[index],
            "true_voxels": a[index],
            "predicted_voxels": b[index],
            "position": _positions(np.flatnonzero(a), index),
        },
        index=pd.Index(index, name="slice"),
    )
    return table.astype({"position": pd.CategoricalDtype(POSITIONS, ordered=True)})


def slice_mean_dice(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean Dice over the slices that have a true or a predicted voxel, 0 to 1.

    All slices have the same weight, whatever the size of the lesion in them. Some papers report this number
    as Dice. It is neither the Dice of the patient's volume nor the pooled Dice. It is 1 if both masks are
    empty.

    Parameters
    ----------
    true, predicted : ndarray, shape (z, y, x) or (y, x)
        Masks on the same grid: 0 outside, any other value inside.

    Raises
    ------
    DataError
        If the masks differ in shape.

    Examples
    --------
    >>> true, predicted = np.zeros((2, 4, 4)), np.zeros((2, 4, 4))
    >>> true[0], true[1, 0, 0], predicted[0] = 1, 1, 1
    >>> slice_mean_dice(true, predicted)  # the Dice of the volume is 0.97
    0.5
    """
    return slice_scores(true, predicted)["dice_slices"]


def slice_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return the scores of a patient's slices: the mean Dice of all slices, and of those at each position.

    Parameters
    ----------
    true, predicted : ndarray, shape (z, y, x) or (y, x)
        Masks on the same grid: 0 outside, any other value inside.

    Returns
    -------
    dict of str to float
        dice_slices: see `slice_mean_dice`. dice_end, dice_1_from_end, dice_2_from_end, dice_central: mean
        Dice of the slices at this position (`slice_table`); NaN if the lesion has none. lesion_slices: number
        of slices from the first to the last with a true voxel. slices_outside: number of slices above and
        below with predicted voxels.

    Raises
    ------
    DataError
        If the masks differ in shape.

    Examples
    --------
    >>> true, predicted = np.zeros((9, 4, 4)), np.zeros((9, 4, 4))
    >>> true[1:8, :2, :2], predicted[2:9, :2, :2] = 1, 1
    >>> slice_scores(true, predicted)["dice_end"], slice_scores(true, predicted)["slices_outside"]
    (0.5, 1.0)
    """
    true, predicted = (np.asarray(mask) for mask in (true, predicted))
    if true.ndim == 2 and predicted.ndim == 2:
        true, predicted = true[None], predicted[None]
    table = slice_table(true, predicted)
    found = {"dice_slices": float(table["dice"].mean()) if len(table) else 1.0}
    means = table.groupby("position", observed=True)["dice"].mean()
    found |= {score: float(means[p]) if p in means else np.nan for p, score in POSITION_DICE.items()}
    lesion = table.index[table["true_voxels"] > 0]
    found["lesion_slices"] = float(lesion[-1] - lesion[0] + 1) if len(lesion) else 0.0
    return found | {"slices_outside": float((table["position"] == "outside").sum())}


def dice_by_position(slices: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return the mean Dice of the slices at each position in the lesion.

    Parameters
    ----------
    slices : DataFrame
        Rows of `slice_table` of several patients, with a column patient_id.
    by : sequence of str
        Further columns whose values are kept apart, such as "model".

    Returns
    -------
    DataFrame
        Columns `by`, position, dice (mean over patients of the mean over their slices), slices, patients.
        Positions that no patient has are left out.

    Examples
    --------
    >>> true = np.ones((5, 2, 2))
    >>> predicted = true * np.array([0, 1, 1, 1, 1])[:, None, None]
    >>> table = slice_table(true, predicted).assign(patient_id="a")
    >>> dice_by_position(table)[["position", "dice", "slices"]].values.tolist()
    [['end', 0.5, 2], ['1 from the end', 1.0, 2], ['2 from the end', 1.0, 1]]
    """
    keys = [*by, "position"]
    patients = slices.groupby([*keys, "patient_id"], observed=True)["dice"].agg(["mean", "size"])
    found = patients.groupby(keys, observed=True).agg(
        dice=("mean", "mean"), slices=("size", "sum"), patients=("size", "size")
    )
    return found.reset_index()


def positions_of_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the mean Dice at each position in the lesion of every model, from the scores of patients.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id) with the columns `SLICE_SCORES`, such as
        `NestedResult.predictions` of masks. Repeats of a patient are averaged.

    Returns
    -------
    DataFrame
        As `dice_by_position` with `by=["model"]`. Slices between two lesions are counted as slices of a
        lesion.

    Examples
    --------
    >>> scores = dict.fromkeys(SLICE_SCORES, 1.0) | {"dice_end": 0.5, "lesion_slices": 3.0}
    >>> table = pd.DataFrame({"model": "m", "patient_id": ["a"]}).assign(**scores)
    >>> positions_of_scores(table)[["position", "dice", "slices"]].values.tolist()[:2]
    [['end', 0.5, 2], ['1 from the end', 1.0, 1]]
    """
    means = predictions.groupby(["model", "patient_id"], sort=False)[list(SLICE_SCORES)].mean()
    rows = []
    for model, table in means.groupby("model", sort=False):
        left = table["lesion_slices"]
        for position, score in POSITION_DICE.items():
            here = left if position == "central" else left.clip(upper=2)
            left = left - here
            row = {"model": model, "position": position, "dice": table[score].mean()}
            rows.append(row | {"slices": round(here.sum()), "patients": int(table[score].count())})
        extra = table["slices_outside"]
        row = {"model": model, "position": "outside", "dice": 0.0, "slices": round(extra.sum())}
        rows.append(row | {"patients": int((extra > 0).sum())})
    found = pd.DataFrame(rows).astype({"position": pd.CategoricalDtype(POSITIONS, ordered=True)})
    return found[found["slices"] > 0].reset_index(drop=True)


def _positions(lesion: np.ndarray, slices: np.ndarray) -> list[str]:
    """Return the position of each slice, given the slices with a true voxel."""
    if not lesion.size:
        return ["outside"] * len(slices)
    from_end = np.minimum(slices - lesion[0], lesion[-1] - slices)
    return [POSITIONS[min(d, 3)] if d >= 0 else "outside" for d in from_end]
