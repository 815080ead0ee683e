"""Mask on the grid of the scan from probabilities on the grid of a network, in bounded memory.

The mask is computed tile by tile, and tiles that cannot contain a lesion are skipped. Probabilities on the
scan's grid are in memory for one tile at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from mmfusion.errors import DataError
from mmfusion.imaging import Volume
from mmfusion.imaging.affine import corners
from mmfusion.imaging.sampling import sample
from mmfusion.lesions.postprocess import MIN_MM3, clean_mask

_TILE = (32, 128, 128)  # voxels; 2 MB of float32, which stay in the cache of the processor


def export_mask(
    probability: Volume,
    scan: Volume,
    threshold: float,
    *,
    min_mm3: float = MIN_MM3,
    provenance: str | None = None,
) -> Volume:
    """Return the mask of a lesion on the grid of the scan, cleaned.

    The probability of each voxel of the scan is interpolated linearly. The voxel belongs to the mask if its
    probability is above `threshold`. Where the scan is coarser than the network's grid, the probability is
    the mean over the voxel (see `mmfusion.imaging.sampling.sample`).

    Parameters
    ----------
    probability : Volume
        Unit "probability", on the grid of the network, which covers the scan or a part of it.
    scan : Volume
        The scan; only its grid and its identifiers are read.
    threshold : float in [0, 1)
        Threshold of the probability.
    min_mm3 : float
        Smallest volume of a region that is kept, mm3; see `clean_mask`.
    provenance : str, optional
        Kept in the result.

    Returns
    -------
    Volume
        uint8, unit "mask", on the grid of the scan.

    Raises
    ------
    ScanError
        If `probability` has another unit.
    DataError
        If the threshold is not in [0, 1).

    Examples
    --------
    >>> array = np.zeros((6, 6, 6), np.float32)
    >>> array[1:4, 1:4, 1:4] = 0.9
    >>> coarse = Volume(array, np.diag([2.0, 2.0, 2.0, 1.0]), unit="probability")
    >>> fine = Volume(np.zeros((12, 12, 12), np.int16), np.eye(4))
    >>> export_mask(coarse, fine, 0.5).volume_ml()
    0.125
    """
    probability.expect("probability")
    if not 0 <= threshold < 1:
        raise DataError("threshold out of range", expected="0 or above, below 1", got=threshold)
    out = np.zeros(scan.shape, np.uint8)
    # the grids end at slightly different places, so that the outermost voxels are repeated once
    source = np.pad(probability.array, 1, mode="edge")
    # voxel (x, y, z) of the scan -> voxel of the network
    to_voxel = np.linalg.inv(probability.affine) @ scan.affine
    matrix, offset = to_voxel[2::-1, 2::-1], to_voxel[2::-1, 3] + 1
    above = source > threshold
    reach = np.maximum(np.abs(matrix).sum(axis=1), 1.0) + 1  # of a sample, in voxels of the network
    for tile in _tiles(scan.shape):
        near = above[_needed(tile, matrix, offset, reach)]
        if not near.any():
            continue
        first, shape = [s.start for s in tile], tuple(s.stop - s.start for s in tile)
        out[tile] = near.all() or sample(source, matrix, offset + matrix @ first, shape, fill=0.0) > threshold
    array = clean_mask(out, scan.spacing, min_mm3=min_mm3)
    return replace(scan, array=array, unit="mask", source=None, provenance=provenance)


def _tiles(shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield the boxes of at most `_TILE` voxels a side that make up a grid."""
    steps = [range(0, n, side) for n, side in zip(shape, _TILE, strict=True)]
    for first in product(*steps):
        ends = zip(first, _TILE, shape, strict=True)
        yield tuple(slice(start, min(start + side, n)) for start, side, n in ends)


def _needed(
    tile: tuple[slice, ...], matrix: np.ndarray, offset: np.ndarray, reach: np.ndarray
) -> tuple[slice, ...]:
    """Return the box of the network's grid that the voxels of a tile are interpolated from."""
    at = matrix @ corners([s.start for s in tile], [s.stop - 1 for s in tile]) + offset[:, None]
    low = np.maximum(np.floor(at.min(axis=1) - reach), 0).astype(int)
    high = np.maximum(np.ceil(at.max(axis=1) + reach) + 1, 0).astype(int)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))
