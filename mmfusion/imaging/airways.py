"""The trachea and main bronchi, followed from the neck down: dark, round and in the middle, as no lung is."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_DARK_HU = -900  # the lumen is near -1000, parenchyma near -850
_START_MM2, _START_MM = (50.0, 700.0), 40.0  # area and longest side of a trachea's section
_MOST_MM2, _MOST_MM = 900.0, 70.0  # of a section on the way down: the carina is wide
_MIDDLE = 0.2  # of the body's half width
_LEAST_MM = 20.0  # shortest run of slices accepted as a trachea


def airways(hu: np.ndarray, air: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Lumen of the trachea and of the bronchi that run on from it slice by slice, with 2 mm of its rim.

    Parameters
    ----------
    hu : ndarray, shape (z, y, x)
        LPS, so that the head comes last; voxels of some 2 mm.
    air : ndarray of bool, same shape
        Gas within the body.
    spacing : tuple of float
        (z, y, x), mm.

    Returns
    -------
    ndarray of bool, same shape
        Empty where there is no trachea.
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
    """The section nearest to the body's middle that could be a trachea, if there is one."""
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
