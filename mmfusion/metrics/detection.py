"""Detection of lesions: lesions that were found or missed, and regions that were marked by mistake.

A lesion is a connected component of a mask. Voxels that touch at a face, an edge or a corner are connected
(26 neighbours in 3D). A true lesion is found if at least one of its voxels is predicted. A predicted
component is false if none of its voxels is in a true lesion. The volumes of missed lesions and of false
components are those of the autoPET challenge.

References
----------
Gatidis et al. 2024, Nature Machine Intelligence 6 (autoPET: false-negative and false-positive volume).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

from mmfusion.errors import DataError
from mmfusion.imaging.sampling import filled_box

DETECTION_SCORES = ("lesions", "lesions_found", "false_lesions", "fn_ml", "fp_ml")


def detection_scores(true: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    """Count the lesions of one scan that were found, missed and marked by mistake.

    Parameters
    ----------
    true, predicted : ndarray, shape (z, y, x) or (y, x)
        Masks on the same grid: 0 outside, any other value inside.
    spacing : sequence of float
        Voxel size along each axis, mm.

    Returns
    -------
    dict of str to float
        lesions: number of true lesions. lesions_found: number of those that were found. false_lesions: number
        of false components. fn_ml: volume of the true lesions that were missed, mL. fp_ml: volume of the
        false components, mL. An empty mask has no lesions, so that its counts and volumes are 0.

    Raises
    ------
    DataError
        If the masks differ in shape, or if the spacing does not have one entry per axis.

    Examples
    --------
    >>> true, predicted = np.zeros((1, 10, 10)), np.zeros((1, 10, 10))
    >>> true[0, :3, :3], true[0, 6, 6], predicted[0, 2, 2], predicted[0, 9, 0:2] = 1, 1, 1, 1
    >>> detection_scores(true, predicted, (10.0, 10.0, 10.0))
    {'lesions': 2.0, 'lesions_found': 1.0, 'false_lesions': 1.0, 'fn_ml': 1.0, 'fp_ml': 2.0}
    """
    true, predicted = checked_pair(true, predicted, spacing)
    voxel_ml = float(np.prod(spacing)) / 1000
    true_sizes, true_hits = _components(true, predicted)
    sizes, hits = _components(predicted, true)
    missed, false = true_hits == 0, hits == 0
    return {
        "lesions": float(len(true_sizes)),
        "lesions_found": float(len(true_sizes) - missed.sum()),
        "false_lesions": float(false.sum()),
        "fn_ml": float(true_sizes[missed].sum() * voxel_ml),
        "fp_ml": float(sizes[false].sum() * voxel_ml),
    }


def lesion_table(true: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]) -> pd.DataFrame:
    """Return one row per true lesion of a scan, the largest first.

    Parameters
    ----------
    true, predicted, spacing
        As for `detection_scores`.

    Returns
    -------
    DataFrame
        Columns volume_ml (mL), diameter_mm (mm, of a ball with the same volume), overlap (share of the lesion
        that was predicted, 0 to 1), found (True if overlap is above 0).

    Raises
    ------
    DataError
        If the masks differ in shape, or if the spacing does not have one entry per axis.

    Examples
    --------
    >>> true, predicted = np.zeros((1, 10, 10)), np.zeros((1, 10, 10))
    >>> true[0, :2, :2], true[0, 6, 6], predicted[0, 0, :2] = 1, 1, 1
    >>> lesion_table(true, predicted, (10.0, 10.0, 10.0))[["volume_ml", "overlap", "found"]].values.tolist()
    [[4.0, 0.5, True], [1.0, 0.0, False]]
    """
    true, predicted = checked_pair(true, predicted, spacing)
    sizes, hits = _components(true, predicted)
    volume = sizes * float(np.prod(spacing)) / 1000
    table = pd.DataFrame(
        {
            "volume_ml": volume,
            "diameter_mm": (6000 * volume / np.pi) ** (1 / 3),
            "overlap": hits / np.maximum(sizes, 1),
            "found": hits > 0,
        }
    )
    return table.sort_values("volume_ml", ascending=False, kind="stable", ignore_index=True)


def checked_pair(
    true: np.ndarray, predicted: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return two masks as arrays of bool, after checking that they are on one grid.

    Parameters
    ----------
    true, predicted, spacing
        As for `detection_scores`.

    Raises
    ------
    DataError
        If a mask is no array of numbers, the masks differ in shape, or the spacing does not have one entry
        above 0 per axis.

    Examples
    --------
    >>> true, predicted = checked_pair([[0, 255]], [[0, 1]], (1.0, 1.0))
    >>> true.tolist() == predicted.tolist() == [[False, True]]
    True
    """
    true, predicted = _inside(true), _inside(predicted)
    if true.shape != predicted.shape:
        raise DataError("masks differ in shape", expected=true.shape, got=predicted.shape)
    try:
        mm = np.asarray(spacing, dtype=float)
    except (TypeError, ValueError):
        mm = np.zeros(0)
    if mm.shape != (true.ndim,) or not (np.isfinite(mm) & (mm > 0)).all():
        expected = f"{true.ndim} numbers above 0, mm"
        raise DataError("a spacing per axis is needed", expected=expected, got=spacing)
    return true, predicted


def _inside(mask: object) -> np.ndarray:
    """Return where a mask is not 0, as an array of bool."""
    try:
        array = np.asarray(mask)
    except ValueError:  # rows of different lengths
        array = np.zeros(())
    if not array.ndim or array.dtype.kind not in "biuf":
        got = type(mask).__name__ if not array.ndim else f"{array.dtype}"
        raise DataError(
            "not a mask", expected="an array of numbers, 0 outside; of a Volume: its array", got=got
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError("a mask with values that are not numbers", expected="0 outside", got="NaN")
    return array != 0


def box_of(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box around the True voxels of a mask; the box of an empty mask is empty.

    Examples
    --------
    >>> box_of(np.array([[False, True, True], [False, False, False]]))
    (slice(0, 1, None), slice(1, 3, None))
    """
    return filled_box(mask) or (slice(0, 0),) * mask.ndim


def _components(mask: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return of each component of `mask` the number of voxels, and how many of them are in `other`."""
    box = box_of(mask)  # labels of a whole scan would take most of the time
    labels, n = ndimage.label(mask[box], structure=np.ones((3,) * mask.ndim))
    sizes = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    return sizes, np.bincount(labels[other[box]], minlength=n + 1)[1:]
