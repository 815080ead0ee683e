"""Checks of the scans and masks of one patient that belong together, and masks on the grid of a network."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

from mmfusion.errors import DataError, ScanError, ScanWarning, warn
from mmfusion.imaging import Volume
from mmfusion.imaging.sampling import filled_box

_TOUCHING = np.ones((3, 3, 3), dtype=bool)
_ENOUGH = 0.9  # share of the first scan that the others should cover


def given(cell: object, patient: object, column: str) -> bool:
    """Return False if a cell of a table is missing, and True if it is a path or a Volume.

    Parameters
    ----------
    cell : object
        Content of the cell.
    patient, column : object, str
        Patient id and name of the column, for the error.

    Raises
    ------
    DataError
        If it is anything else, or an empty text.

    Examples
    --------
    >>> given(None, "P1", "ct volume"), given("scan.nii.gz", "P1", "ct volume")
    (False, True)
    >>> given(np.zeros((2, 2, 2)), "P1", "ct volume")
    Traceback (most recent call last):
    mmfusion.errors.DataError: patient P1, column ct volume: not a scan or a mask (expected a path or a Volume; got ndarray)
    """  # noqa: E501
    if isinstance(cell, str) and not cell.strip():  # a path of "" is the current folder
        raise DataError("an empty path", patient=patient, column=column, expected="a path, a Volume, or None")
    if isinstance(cell, (Volume, str, os.PathLike)):
        return True
    if cell is None or (pd.api.types.is_scalar(cell) and pd.isna(cell)):
        return False
    raise DataError("not a scan or a mask", patient=patient, column=column, expected="a path or a Volume",
                    got=type(cell).__name__)  # fmt: skip


def checked_mask(mask: Volume, scan: Volume | None, patient: object) -> Volume:
    """Return a mask whose values are 0 and 1, drawn in the space of the scan.

    Parameters
    ----------
    mask : Volume
        The mask.
    scan : Volume, optional
        The scan. A mask of another frame of reference is refused, if both state one.
    patient : object
        Id of the patient, for errors.

    Raises
    ------
    ScanError
        If the volume is not a mask, or has another frame of reference.
    DataError
        If it has other values than 0 and 1.

    Examples
    --------
    >>> mask = Volume(np.full((2, 2, 2), 3, np.uint8), np.eye(4), unit="mask")
    >>> checked_mask(mask, None, "P1")
    Traceback (most recent call last):
    mmfusion.errors.DataError: patient P1, column mask: a mask with other values than 0 and 1 (expected 0 outside, 1 inside; got 3) -> choose one region: Volume((array == value).astype(np.uint8), affine, unit='mask')
    """  # noqa: E501
    mask.expect("mask", "mask")
    if not np.isin(mask.array[filled_box(mask.array) or ...], (0, 1)).all():
        values = np.unique(mask.array)
        raise DataError(
            "a mask with other values than 0 and 1",
            patient=patient,
            column="mask",
            expected="0 outside, 1 inside",
            got=", ".join(map(str, values[:6])),
            hint="choose one region: Volume((array == value).astype(np.uint8), affine, unit='mask')",
        )
    if scan is not None:
        _check_frames(scan, mask, "mask")
    return mask


def mask_on_grid(mask: Volume, affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a mask on the grid of a network, uint8, shape (z, y, x).

    The volume of the mask stays the same. If all its lesions are smaller than half a voxel of the grid, one
    voxel is set for each of them, so that the patient does not count as one without a lesion.

    Parameters
    ----------
    mask : Volume
        Mask on any grid.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) of the network's grid to LPS mm.
    shape : (z, y, x)
        Shape of the network's grid.

    Raises
    ------
    ScanError
        If the mask is not empty, and lies outside the grid.

    Examples
    --------
    >>> mask = Volume(np.zeros((8, 8, 8), np.uint8), np.eye(4), unit="mask")
    >>> mask.array[1, 2, 5] = 1
    >>> np.argwhere(mask_on_grid(mask, np.diag([4.0, 4.0, 4.0, 1.0]), (2, 2, 2))).tolist()
    [[0, 0, 1]]
    """
    there = mask.on_grid(affine, tuple(shape)).array
    if there.any() or not mask.array.any():
        return there
    labels, n = ndimage.label(mask.array, _TOUCHING)
    centres = np.array(ndimage.center_of_mass(labels, labels, range(1, n + 1)))[:, ::-1]
    at = Volume(there, affine, unit="mask").mm_to_voxel(mask.voxel_to_mm(centres))[:, ::-1]
    at = np.rint(at).astype(int)
    inside = at[((at >= 0) & (at < there.shape)).all(axis=1)]
    if not len(inside):
        raise ScanError(
            "the region lies outside the scan", hint="was the mask made for another scan or patient?"
        )
    out = there.copy()
    out[tuple(inside.T)] = 1
    return out


def check_together(first: Volume, other: Volume, name: str) -> None:
    """Raise an error if a second scan cannot be of the same patient and position as the first.

    Parameters
    ----------
    first, other : Volume
        Two scans, such as a CT and a PET.
    name : str
        Name of the column of the second, for messages.

    Raises
    ------
    ScanError
        If both state a frame of reference and these differ, or if the scans do not overlap.

    Warns
    -----
    ScanWarning
        If the second scan covers less than 90 % of the first.

    Examples
    --------
    >>> ct = Volume(np.zeros((4, 4, 4), np.int16), np.eye(4))
    >>> pet = Volume(np.zeros((4, 4, 4), np.float32), np.eye(4) + 9 * np.eye(4, k=3), "PT", "SUVbw")
    >>> check_together(ct, pet, "pet volume")
    Traceback (most recent call last):
    mmfusion.errors.ScanError: column pet volume: the scans do not overlap (expected -0 to 4 mm along L; got 8 to 12 mm) -> are both of the same patient and study?
    """  # noqa: E501
    _check_frames(first, other, name)
    (low, high), (start, stop) = first.extent_mm, other.extent_mm
    shared = np.minimum(high, stop) - np.maximum(low, start)
    if (shared <= 0).any():
        axis = int(np.argmin(shared))
        raise ScanError(
            "the scans do not overlap", column=name,
            expected=f"{low[axis]:.0f} to {high[axis]:.0f} mm along {'LPS'[axis]}",
            got=f"{start[axis]:.0f} to {stop[axis]:.0f} mm", hint="are both of the same patient and study?",
        )  # fmt: skip
    share = float(np.prod(shared / (high - low)))
    if share < _ENOUGH:
        text = f"{name}: it covers {share:.0%} of the first scan; the rest has the value of the background"
        warn(text, ScanWarning, stacklevel=6)


def _check_frames(first: Volume, other: Volume, name: str) -> None:
    frames = first.frame_of_reference, other.frame_of_reference
    if all(frames) and frames[0] != frames[1]:
        raise ScanError(
            "made in another frame of reference than the scan",
            column=name,
            expected=frames[0],
            got=frames[1],
            hint="are both of one patient and study? If they were aligned, remove the frame of reference",
        )
