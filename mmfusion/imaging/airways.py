"""Find the trachea and the main bronchi in a CT, slice by slice from the neck down.

Their sections are darker, rounder and nearer to the middle of the body than the lungs.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_DARK_HU = -900  # the lumen is near -1000, parenchyma near -850
_START_MM2, _START_MM = (50.0, 700.0), 40.0  # area and longest side of a section of the trachea
_MOST_MM2, _MOST_MM = 900.0, 70.0  # the same, largest for a section further down: the carina is wide
_MIDDLE = 0.2  # largest distance from the midline, as a share of half the body's width
_LEAST_MM = 20.0  # shortest length that is accepted as a trachea


def airways(hu: np.ndarray, air: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return a mask of the trachea and the main bronchi, with a rim of 2 mm.

    The search starts at the highest section that can be a trachea. It continues downwards with the sections
    that overlap the section above.

    Parameters
    ----------
    hu : ndarray, shape (z, y, x)
        CT in HU, in LPS orientation (the last slice is nearest to the head), with voxels of about 2 mm.
    air : ndarray of bool, shape (z, y, x)
        True for gas within the body.
    spacing : tuple of float
        Voxel size (z, y, x), mm.

    Returns
    -------
    ndarray of bool, shape (z, y, x)
        All False if no trachea is found.

    Examples
    --------
    >>> hu = np.full((20, 30, 40), 40)
    >>> hu[:, 12:18, 17:23] = -1000  # a vertical tube of 12 mm x 12 mm
    >>> airways(hu, hu < -400, (2.0, 2.0, 2.0)).any(axis=(1, 2)).sum()
    np.int64(20)
    """
    dark = air & (hu < _DARK_HU)
    found = np.zeros(hu.shape, dtype=bool)
    section = None
    for z in range(len(hu) - 1, -1, -1):
        labels, n = ndimage.label(dark[z])
        boxes = [
            [(s.stop - s.start) * mm for s, mm in zip(box, spacing[1:])]
            for box in ndimage.find_objects(labels)
        ]
        area = np.bincount(labels.ravel(), minlength=n + 1)[1:] * spacing[1] * spacing[2]
        if section is None:
            keep = _start(labels, area, boxes, hu[z])
        else:
            touched = [int(k) for k in np.unique(labels[section]) if k]
            keep = [k for k in touched if area[k - 1] <= _MOST_MM2 and max(boxes[k - 1]) <= _MOST_MM]
        if keep:
            section = found[z] = np.isin(labels, keep)
        elif section is not None:
            if found.any(axis=(1, 2)).sum() * spacing[0] >= _LEAST_MM:
                break
            found[:], section = False, None
    if found.any(axis=(1, 2)).sum() * spacing[0] < _LEAST_MM:
        return np.zeros_like(found)
    rim = ndimage.distance_transform_edt(~found, sampling=spacing) <= max(2.0, *spacing[1:])
    return rim & air


def _start(labels: np.ndarray, area: np.ndarray, boxes: list[list[float]], hu: np.ndarray) -> list[int]:
    """Return the label of the possible trachea that is nearest to the midline, or an empty list."""
    columns = np.flatnonzero((hu > -300).any(axis=0))
    if not columns.size:
        return []
    middle, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0]) / 2
    best = []
    for k, (mm2, (height, width)) in enumerate(zip(area, boxes), start=1):
        small = _START_MM2[0] <= mm2 <= _START_MM2[1] and max(height, width) <= _START_MM
        if small and mm2 > 0.5 * height * width:
            x = np.flatnonzero((labels == k).any(axis=0)).mean()
            best += [(abs(x - middle), k)] if abs(x - middle) < _MIDDLE * half else []
    return [min(best)[1]] if best else []
