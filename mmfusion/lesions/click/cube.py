"""Scans and cubes that end near a lesion: single slices, and cubes that are larger than the scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from mmfusion.imaging import Volume

REPEATED_MM = 20.0  # how far a scan of one or a few thin slices is continued on both sides


def thick_enough(scan: Volume, step: float) -> Volume:
    """Return the scan; if it is thinner than two voxels of a cube, its first and last slices are repeated.

    Voxels of the cube may otherwise all lie beside the slices, and a lesion would be a thin disk in air.

    Parameters
    ----------
    scan : Volume
        The scan.
    step : float
        Voxel size of the cube that will be read from it, mm.

    Examples
    --------
    >>> slice_ = Volume(np.full((1, 40, 40), 40, np.int16), np.eye(4))  # 1 mm thick
    >>> thick_enough(slice_, 2.0).shape, thick_enough(slice_, 0.4).shape
    ((41, 40, 40), (1, 40, 40))
    """
    spacing = np.array(scan.spacing)
    more = np.where(scan.shape * spacing < 2 * step, np.ceil(REPEATED_MM / spacing), 0).astype(int)
    if not more.any():
        return scan
    affine = scan.affine.copy()
    affine[:3, 3] = scan.voxel_to_mm(-more[::-1])
    return replace(scan, array=np.pad(scan.array, [(n, n) for n in more], mode="edge"), affine=affine)


def continued(array: np.ndarray) -> np.ndarray:
    """Return an array whose NaN have the value of the nearest voxel that is not NaN.

    Examples
    --------
    >>> continued(np.array([np.nan, 1.0, 3.0, np.nan])).tolist()
    [1.0, 1.0, 3.0, 3.0]
    """
    outside = np.isnan(array)
    if not outside.any():
        return array
    return array[tuple(distance_transform_edt(outside, return_distances=False, return_indices=True))]
