"""Crop a scan for the foundation model fmcib, with the same voxel values as fmcib's own crop.

The pipeline of fmcib (MONAI's `Spacing` and `Orientation`, a crop around the seed, `SpatialPad`) resamples
the whole scan. Here the same samples are computed for the crop only. The published weights and features were
made with this pipeline. Four of its properties are therefore kept, although `Volume.crop` works differently:

- The 1 mm grid starts at a corner voxel of the scan, not at the seed. The seed is rounded down to this grid.
  The centre of the cube is up to 1 mm from the seed along each axis. The cube covers 25 voxels before the
  centre and 24 voxels after it.
- Values are interpolated without anti-aliasing.
- A cube that reaches beyond the scan is cut off there, and the rest is moved to the middle of the cube.
- Values are not clipped to a window: metal stays far above 1.

There is one difference: padding below -1024 HU becomes -1024, as in the whole package. fmcib keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import affine_transform

from mmfusion.imaging.affine import LPS_TO_RAS, corners
from mmfusion.imaging.hu import PADDING_HU
from mmfusion.imaging.volume import Volume

SIDE = 50  # voxels of 1 mm
VERSION = 2  # version of the crop; with a new number all stored features are computed again
RANGE_HU = 3072.0
_NEAR_MM = 1e-3  # a spacing this close to 1 mm is not changed


def foundation_crop(scan: Volume, seed: Sequence[float], side: int = SIDE) -> np.ndarray:
    """Return the cube of 50 mm around a point, as fmcib crops it.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    seed : (x, y, z)
        A point in the tumour, LPS mm.
    side : int
        Side of the cube in voxels of 1 mm.

    Returns
    -------
    ndarray of float32, shape (side, side, side)
        Axes (z, y, x) along LPS. Values are (HU + 1024) / 3072, and 0 outside the scan.

    Raises
    ------
    ScanError
        If the volume is not in HU, or the seed lies outside of it.

    References
    ----------
    Pai et al. 2024, Foundation model for cancer imaging biomarkers, Nature Machine Intelligence 6, 354-367.

    Examples
    --------
    >>> scan = Volume(np.full((60, 60, 60), 512, dtype=np.int16), np.eye(4))
    >>> cube = foundation_crop(scan, (30, 30, 30))
    >>> cube.shape, cube.max()
    ((50, 50, 50), np.float32(0.5))
    """
    scan.expect("HU")
    scan = scan.to_lps()
    point = scan.expect_inside(seed)
    grid, shape = _grid(scan)
    voxel = np.linalg.inv(grid) @ [-point[0], -point[1], point[2], 1.0]
    center = voxel[:3].astype(int)  # rounded towards zero, as in fmcib
    first = np.maximum(center - side // 2, 0)
    size = np.minimum(center + side // 2, shape) - first
    patch = _sample(scan, grid, first, np.maximum(size, 0))
    before = (side - np.array(patch.shape)) // 2
    return np.pad(patch, [(a, side - n - a) for a, n in zip(before, patch.shape)])


def _grid(scan: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return affine and shape (x, y, z) of the 1 mm grid that MONAI makes for the whole scan.

    The affine maps voxels (x, y, z) along LPS to RAS mm.
    """
    source = LPS_TO_RAS @ scan.affine
    last = np.array(scan.shape[::-1]) - 1.0
    step = np.array(scan.spacing[::-1])
    step = np.where(np.abs(step - 1) <= _NEAR_MM, step, 1.0)
    ends = source[:3, :3] @ corners([0] * 3, last) + source[:3, 3:]
    extent = np.ptp(ends, axis=1) / step
    shape = np.round(extent + 1).astype(int)
    low = ends.min(axis=1)
    parallel = np.isclose(ends, low[:, None], rtol=0, atol=1e-8).all(axis=0).any()
    if not parallel:  # oblique axes: the centres of the two grids coincide
        low = source[:3, :3] @ ((last + 1) / 2) + source[:3, 3] - step * shape / 2
    flip = np.eye(4)
    flip[[0, 1], [0, 1]] = -1
    flip[:2, 3] = shape[:2] - 1
    ras = np.diag([*step, 1.0])
    ras[:3, 3] = low
    return ras @ flip, shape


def _sample(scan: Volume, grid: np.ndarray, first: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the values at `size` voxels of the grid, starting at voxel `first` (x, y, z).

    Values are interpolated linearly, with 0 beyond the voxels of the scan.
    """
    to_voxel = np.linalg.inv(LPS_TO_RAS @ scan.affine) @ grid
    matrix = to_voxel[2::-1, 2::-1]
    offset = matrix @ first[::-1] + to_voxel[2::-1, 3]
    reach = matrix @ corners([0] * 3, size[::-1] - 1) + offset[:, None]
    low = np.clip(np.floor(reach.min(axis=1)).astype(int) - 2, 0, np.array(scan.shape) - 1)
    high = np.clip(np.ceil(reach.max(axis=1)).astype(int) + 3, low + 1, scan.shape)
    block = scan.array[tuple(slice(a, b) for a, b in zip(low, high))]
    values = (block.astype(np.float64) - PADDING_HU) / RANGE_HU
    out = affine_transform(
        values, matrix, offset - low, tuple(size[::-1]), order=1, mode="grid-constant", cval=0.0
    )
    return out.astype(np.float32)
