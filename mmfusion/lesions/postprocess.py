"""Cleaning of predicted masks in three dimensions: small regions are removed, holes are filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mmfusion.errors import DataError
from mmfusion.imaging.sampling import filled_box

MIN_MM3 = 14.0  # a ball of 3 mm has this volume; smaller regions are not called nodules
_TOUCHING = np.ones((3, 3, 3), dtype=bool)  # voxels that share a face, an edge or a corner


def clean_mask(
    mask: np.ndarray, spacing: Sequence[float], *, min_mm3: float = MIN_MM3, fill_holes: bool = True
) -> np.ndarray:
    """Return a mask without regions that are too small, and without holes in the others.

    Every region that is large enough is kept, not only the largest, because a patient can have several
    lesions. A hole is a part of the background that a region encloses on all sides.

    Parameters
    ----------
    mask : ndarray, shape (z, y, x)
        0 outside, any other value inside.
    spacing : (z, y, x)
        Voxel size, mm.
    min_mm3 : float
        Smallest volume of a region that is kept, mm3. Voxels that share a corner belong to one region.
    fill_holes : bool
        Fill the holes.

    Returns
    -------
    ndarray of uint8, shape (z, y, x)
        A new array, 0 or 1.

    Raises
    ------
    DataError
        If the mask is not three-dimensional.

    Examples
    --------
    >>> mask = np.zeros((9, 9, 9), np.uint8)
    >>> mask[1:6, 1:6, 1:6], mask[3, 3, 3], mask[8, 8, 8] = 1, 0, 1
    >>> int(mask.sum()), int(clean_mask(mask, (2.0, 1.0, 1.0)).sum())
    (125, 125)
    """
    if mask.ndim != 3:
        raise DataError("not a mask in three dimensions", expected="shape (z, y, x)", got=mask.shape)
    out = np.zeros(mask.shape, dtype=np.uint8)
    whole = filled_box(mask)
    if whole is None:
        return out
    labels, n = ndimage.label(mask[whole], _TOUCHING)
    volumes = np.bincount(labels[labels > 0], minlength=n + 1) * float(np.prod(spacing))
    target = out[whole]
    for k, box in enumerate(ndimage.find_objects(labels), 1):
        if volumes[k] >= min_mm3:
            region = labels[box] == k
            target[box] |= _filled(region) if fill_holes else region
    return out


def nearest_region(
    mask: np.ndarray, point: Sequence[float], spacing: Sequence[float], reach_mm: float
) -> np.ndarray:
    """Return the region of a mask that is nearest to a point; empty if none is within reach.

    Parameters
    ----------
    mask : ndarray, shape (z, y, x)
        0 outside, any other value inside.
    point : (z, y, x)
        Position in voxels; it need not be whole.
    spacing : (z, y, x)
        Voxel size, mm.
    reach_mm : float
        Largest distance from the point to the nearest voxel of the region, mm.

    Returns
    -------
    ndarray of uint8, shape (z, y, x)
        0 or 1.

    Examples
    --------
    >>> mask = np.zeros((4, 4, 9), np.uint8)
    >>> mask[1, 1, 1], mask[2, 2, 6:8] = 1, 1
    >>> np.argwhere(nearest_region(mask, (2, 2, 5), (1, 1, 1), reach_mm=3)).tolist()
    [[2, 2, 6], [2, 2, 7]]
    """
    voxels = np.argwhere(mask)
    if not len(voxels):
        return np.zeros(mask.shape, np.uint8)
    distance = np.linalg.norm((voxels - np.asarray(point)) * np.asarray(spacing), axis=1)
    nearest = voxels[distance.argmin()]
    if distance.min() > reach_mm:
        return np.zeros(mask.shape, np.uint8)
    labels, _ = ndimage.label(mask, _TOUCHING)
    return (labels == labels[tuple(nearest)]).astype(np.uint8)


def _filled(region: np.ndarray) -> np.ndarray:
    """Return a region with its holes; a hole is background that does not reach the edge of the box."""
    background, n = ndimage.label(~np.pad(region, 1))
    if n < 2:
        return region
    inner = background[1:-1, 1:-1, 1:-1]
    return inner != background[0, 0, 0]
