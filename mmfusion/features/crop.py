"""The cube that fmcib reads of a scan, voxel for voxel as fmcib cuts it out.

Its pipeline (MONAI's `Spacing`, `Orientation`, its own crop round the seed, `SpatialPad`) resamples the whole scan;
here the same samples are computed for the crop alone. Four of its habits are kept, since the published weights and
features were made with them, though `Volume.crop` does otherwise:

- the 1 mm grid starts at a corner voxel of the scan, not at the seed, and the seed is rounded down to it: the cube's
  centre is up to 1 mm from the seed along each axis, and covers 25 voxels before and 24 after it;
- values are interpolated without anti-aliasing;
- a cube that reaches out of the scan is cut off there, and what is left is put in the middle of the cube;
- values are not clipped to a window: metal stays far above 1.

One is not: padding below -1024 HU is -1024 here (as everywhere in this package), where fmcib passes it on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import affine_transform

from mmfusion.imaging.affine import LPS_TO_RAS, corners
from mmfusion.imaging.hu import PADDING_HU
from mmfusion.imaging.volume import Volume

SIDE = 50  # voxels
VERSION = 2  # of what a crop is: a new number makes stored features anew
RANGE_HU = 3072.0
_NEAR_MM = 1e-3  # a spacing this close to 1 mm is left as it is


def foundation_crop(scan: Volume, seed: Sequence[float], side: int = SIDE) -> np.ndarray:
    """The cube of 50 mm round a point.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    seed : (x, y, z)
        A point in the tumour, LPS mm.
    side : int
        Voxels of 1 mm.

    Returns
    -------
    ndarray of float32, shape (side, side, side)
        (z, y, x) along LPS; (HU + 1024) / 3072, 0 outside the scan.

    Raises
    ------
    ScanError
        If the volume is not in HU, or the seed lies outside it.
    """
    scan.expect("HU")
    scan = scan.to_lps()
    point = scan.expect_inside(seed)
    grid, shape = _grid(scan)
    voxel = np.linalg.inv(grid) @ [-point[0], -point[1], point[2], 1.0]
    center = voxel[:3].astype(int)  # towards zero, as int() does
    first = np.maximum(center - side // 2, 0)
    size = np.minimum(center + side // 2, shape) - first
    patch = _sample(scan, grid, first, np.maximum(size, 0))
    before = (side - np.array(patch.shape)) // 2
    return np.pad(patch, [(a, side - n - a) for a, n in zip(before, patch.shape)])


def _grid(scan: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Affine (voxel x, y, z along LPS, to RAS mm) and shape (x, y, z) of the whole scan at 1 mm, as MONAI lays it."""
    source = LPS_TO_RAS @ scan.affine
    last = np.array(scan.shape[::-1]) - 1.0
    step = np.array(scan.spacing[::-1])
    step = np.where(np.abs(step - 1) <= _NEAR_MM, step, 1.0)
    ends = source[:3, :3] @ corners([0] * 3, last) + source[:3, 3:]
    extent = np.ptp(ends, axis=1) / step
    shape = np.round(extent + 1).astype(int)
    low = ends.min(axis=1)
    if (
        not np.isclose(ends, low[:, None], rtol=0, atol=1e-8).all(axis=0).any()
    ):  # oblique: the centres coincide
        low = source[:3, :3] @ ((last + 1) / 2) + source[:3, 3] - step * shape / 2
    flip = np.eye(4)
    flip[[0, 1], [0, 1]] = -1
    flip[:2, 3] = shape[:2] - 1
    ras = np.diag([*step, 1.0])
    ras[:3, 3] = low
    return ras @ flip, shape


def _sample(scan: Volume, grid: np.ndarray, first: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Values at `size` voxels of the grid from `first` on (x, y, z), interpolated with 0 beyond the scan's voxels."""
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
