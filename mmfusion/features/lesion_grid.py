"""Resample a scan and a mask for radiomics: the grid that the IBSI defines, but only the part at the lesion.

The manual of the IBSI places the new grid so that its centre is that of the scan, and takes as many voxels as
cover the scan. Here the same samples are computed in a box around the mask only. The features therefore equal
those of the whole scan, and a large scan needs no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform

from mmfusion.errors import ScanError
from mmfusion.imaging.sampling import filled_box
from mmfusion.imaging.volume import Volume
from mmfusion.lesions.labels import checked_mask
from mmfusion.limits import check_memory

ORDERS = {"linear": 1, "cubic": 3}
VERSION = 1  # version of the samples; with a new number all stored features are computed again
_REACH = {1: 2, 3: 16}  # voxels beyond the box that change the samples; a spline decays by 0.27 a voxel
_DIGITS = 6  # of the samples
_SLACK = 0.01  # of a new voxel, by which the new grid may be smaller than the scan
_BYTES = 400  # of memory that mirp takes for each voxel of the box


@dataclass(frozen=True, eq=False)
class LesionGrid:
    """A part of a scan around a lesion, with the mask, ready for radiomics.

    Parameters
    ----------
    image : ndarray of float64, shape (z, y, x)
        Values in the unit of the scan.
    mask : ndarray of bool, shape (z, y, x)
        True in the lesion.
    spacing : (z, y, x)
        Voxel size, mm.
    """

    image: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]


def lesion_grid(
    scan: Volume, mask: Volume, spacing: float | None, interpolation: str, margin_mm: float
) -> LesionGrid:
    """Return the box around a lesion, on the grid of the IBSI.

    Parameters
    ----------
    scan, mask : Volume
        The scan, and the mask on the same grid; a mask of another grid is brought onto that of the scan.
    spacing : float, optional
        New voxel size in mm. None: the voxels of the scan.
    interpolation : {"linear", "cubic"}
        Interpolation of the scan. The mask is interpolated linearly; a voxel belongs to it from 0.5.
    margin_mm : float
        Distance from the mask to the faces of the box, mm; the box ends where the scan ends.

    Raises
    ------
    ScanError
        If the mask is empty, covers the whole scan, lies outside the scan, or has no voxel left on the new
        grid; if the scan has one value in it; if the mask has another frame of reference; if the box needs
        more memory than the limit.
    DataError
        If the mask has other values than 0 and 1.

    References
    ----------
    Zwanenburg et al., Image biomarker standardisation initiative, reference manual, arXiv 1612.07003, section
    2.4 (interpolation).

    Examples
    --------
    >>> scan = Volume(np.full((10, 40, 40), 30, np.int16), np.diag([0.5, 0.5, 2.0, 1.0]))
    >>> scan.array[:, 20] = 50
    >>> lesion = np.zeros(scan.shape, np.uint8)
    >>> lesion[4:6, 18:22, 18:22] = 1
    >>> box = lesion_grid(scan, Volume(lesion, scan.affine, unit="mask"), 1.0, "linear", 2.0)
    >>> box.image.shape, int(box.mask.sum()), box.spacing
    ((12, 8, 8), 16, (1.0, 1.0, 1.0))
    """
    scan, covered = scan.to_lps(), _mask_on(scan.to_lps(), mask)
    values = scan.array[covered.array > 0]
    if values.size > 1 and values.min() == values.max():  # before it is mixed with what is around
        got, hint = f"{values.min():.5g} in {values.size} voxels", "is the mask of this scan?"
        raise ScanError("the scan has one value in the whole mask", got=got, hint=hint)
    old = even_spacing(scan.spacing)
    step = np.ones(3) if spacing is None else spacing / old  # new voxels, in old ones
    n = np.array(scan.shape)
    count = n if spacing is None else np.ceil(n / step - _SLACK).astype(int)
    first = (n - 1) / 2 - (count - 1) / 2 * step  # centre of the first new voxel, in old ones
    box = filled_box(covered.array)
    margin = np.ceil(margin_mm / (old * step))
    low = np.floor(([s.start - 1 for s in box] - first) / step) - margin
    high = np.ceil(([s.stop for s in box] - first) / step) + margin + 1
    low, high = np.clip(low, 0, count - 1).astype(int), np.clip(high, 1, count).astype(int)
    check_memory(_BYTES * np.prod(high - low, dtype=float), "the box around the mask", error=ScanError)
    array = np.rint(scan.array) if scan.unit == "HU" else scan.array
    image = _samples(array, first, step, (low, high), ORDERS[interpolation])
    inside = _samples(covered.array, first, step, (low, high), 1) >= 0.5
    if not inside.any():
        expected, got = (
            f"a lesion larger than half a voxel of {spacing:g} mm",
            f"{covered.volume_ml():.3g} mL",
        )
        hint = "choose a smaller spacing, or none"
        raise ScanError("no voxel of the mask is left", expected=expected, got=got, hint=hint)
    return LesionGrid(image, inside, tuple((old * step).tolist()))


def even_spacing(spacing: Sequence[float]) -> np.ndarray:
    """Return a spacing in steps of 0.00001 mm, so that it does not depend on the format of the scan.

    A format with single precision turns 3 mm into 3.0000007 mm. The new grid would then have one slice more,
    and other samples. The ends of the steps lie away from decimal numbers and from fractions such as 360/512,
    which are usual in scans.

    Examples
    --------
    >>> even_spacing((3.0000007, 0.70312503, 0.703125)).tolist()
    [3.0, 0.70313, 0.70313]
    """
    return np.floor(np.asarray(spacing) * 1e5 + 0.69) / 1e5


def _mask_on(scan: Volume, mask: Volume) -> Volume:
    """Return the mask on the grid of the scan, after checking that it marks a part of it."""
    checked_mask(mask, scan, None)
    if not mask.array.any():
        raise ScanError("the mask is empty", expected="at least one voxel in the lesion")
    mask = mask.to_lps()
    there = mask if mask.same_grid(scan) else mask.like(scan)
    if not there.array.any():
        hint = "was the mask made for another scan or patient?"
        raise ScanError("the region lies outside the scan", got=mask.geometry(), hint=hint)
    if there.array.all():
        raise ScanError("the mask covers the whole scan", expected="a lesion, and voxels around it")
    return there


def _samples(
    array: np.ndarray, first: np.ndarray, step: np.ndarray, box: tuple[np.ndarray, np.ndarray], order: int
) -> np.ndarray:
    """Return the values at voxels `low` to `high` of the new grid, float64."""
    low, high = box
    start, stop = first + low * step, first + (high - 1) * step
    if np.array_equal(step, np.ones(3)):
        return array[tuple(slice(a, b) for a, b in zip(low, high))].astype(np.float64)
    reach = _REACH[order]
    a = np.clip(np.floor(start).astype(int) - reach, 0, np.array(array.shape) - 1)
    b = np.clip(np.ceil(stop).astype(int) + reach + 1, a + 1, array.shape)
    block = array[tuple(slice(*ends) for ends in zip(a, b))].astype(np.float64)
    values = affine_transform(block, step, start - a, tuple(high - low), order=order, mode="nearest")
    return np.round(values, _DIGITS)
