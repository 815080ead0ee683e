"""Sample an array on another grid, with anti-aliasing; only the voxels that are needed are read."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter, uniform_filter
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from mmfusion.imaging.affine import corners

_EDGE = 1e-6  # voxels; keeps rounding from pushing an outermost sample out of the field of view


def sample(
    array: np.ndarray,
    matrix: np.ndarray,
    offset: np.ndarray,
    shape: tuple[int, int, int],
    *,
    fill: float,
    floor: float | None = None,
) -> np.ndarray:
    """Return the values of `array` at `matrix @ k + offset` for every index k of a grid of `shape`.

    Samples outside the field of view are `fill`. The field of view ends half a voxel beyond the centre of the
    outermost voxel; within this half voxel the value of the outermost voxel is used. If the new grid is
    coarser, each sample is a weighted mean over the voxels around it. The weights are a triangle as wide as
    the step, or a Gaussian of the same variance if the axes of the two grids are not parallel.

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
        Values.
    matrix : ndarray, shape (3, 3)
        Steps of the new grid in voxels of `array`, both in (z, y, x) order.
    offset : ndarray, shape (3,)
        Position of the new grid's voxel 0, in voxels of `array`, (z, y, x).
    shape : tuple of int
        Shape (z, y, x) of the new grid.
    fill : float
        Value outside the field of view.
    floor : float, optional
        Lower values are replaced by this value before sampling.

    Returns
    -------
    ndarray, shape `shape`
        float32.

    Examples
    --------
    >>> line = np.arange(4.0).reshape(4, 1, 1)
    >>> sample(line, np.eye(3), np.array([0.5, 0, 0]), (4, 1, 1), fill=-1).ravel()
    array([ 0.5,  1.5,  2.5, -1. ], dtype=float32)
    """
    block, offset, kept = _needed(array, matrix, offset, shape)
    if not block.size:
        return np.full(shape, fill, dtype=np.float32)
    if floor is not None:
        block = np.maximum(block, block.dtype.type(floor))
    _, order = linear_sum_assignment(-np.abs(matrix))  # for each old axis, the new axis that runs along it
    out = _ordered(block, matrix[:, order], offset, tuple(shape[k] for k in order), kept=kept, fill=fill)
    return np.ascontiguousarray(out.transpose(np.argsort(order)))


def _ordered(block, matrix, offset, shape, *, kept, fill) -> np.ndarray:
    stray = np.abs(matrix - np.diag(np.diag(matrix))) * np.array(shape)
    if stray.max() < 0.05:  # voxels, over the whole grid
        return _aligned(block, np.diag(matrix), offset, shape, kept=kept, fill=fill)
    return _oblique(block, matrix, offset, shape, kept=kept, fill=fill)


def fullest(occupancy: np.ndarray) -> np.ndarray:
    """Turn a sampled mask into a mask of 0 and 1 with the same volume, by choosing its fullest voxels.

    Taking the nearest voxel, or a threshold of one half, changes the volume: if two grids are nearly equal,
    whole slices fall between samples. The volume of a ball with a radius of eight voxels then changes by up
    to 10 % (nearest voxel) or 4 % (threshold).

    Parameters
    ----------
    occupancy : ndarray, shape (z, y, x)
        Share of each voxel that the mask fills, in [0, 1].

    Returns
    -------
    ndarray of uint8, shape (z, y, x)
        0 or 1; the number of ones is the sum of `occupancy`, rounded.

    Examples
    --------
    >>> fullest(np.array([[[0.2, 0.9, 0.9]]]))
    array([[[0, 1, 1]]], dtype=uint8)
    """
    full = occupancy >= 1 - _EDGE
    wanted = round(float(occupancy.sum(dtype=np.float64))) - np.count_nonzero(full)
    partial = np.flatnonzero((occupancy > _EDGE) & ~full)
    if wanted > 0:  # among equally full voxels, those with fuller neighbours are taken first
        around = uniform_filter(occupancy, 3, mode="nearest").ravel()[partial]
        best = np.lexsort((around, occupancy.ravel()[partial]))[-wanted:]
        full.flat[partial[best]] = True
    return full.astype(np.uint8)


def sample_mask(
    array: np.ndarray, matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Sample a mask on another grid and return a mask of 0 and 1 with the same volume.

    Only the part of the grid that the mask reaches is computed. Parameters as in `sample`; outside the field
    of view the result is 0.

    Returns
    -------
    ndarray of uint8, shape `shape`
        0 or 1.

    Examples
    --------
    >>> box = np.zeros((4, 4, 4), dtype=np.uint8)
    >>> box[:2, :2, :2] = 1
    >>> sample_mask(box, 2 * np.eye(3), np.full(3, 0.5), (2, 2, 2)).sum()  # one voxel of twice the size
    np.uint64(1)
    """
    out = np.zeros(shape, dtype=np.uint8)
    box = filled_box(array)
    if box is None:
        return out
    ends = corners([s.start - 1 for s in box], [s.stop for s in box])
    reach = np.linalg.solve(matrix, ends - offset[:, None])
    low = np.clip(np.floor(reach.min(axis=1)).astype(int) - 2, 0, shape)
    high = np.clip(np.ceil(reach.max(axis=1)).astype(int) + 3, 0, shape)
    if (low < high).all():
        part = sample(array, matrix, offset + matrix @ low, tuple(int(n) for n in high - low), fill=0)
        out[tuple(slice(a, b) for a, b in zip(low, high))] = fullest(part)
    return out


def filled_box(array: np.ndarray) -> tuple[slice, ...] | None:
    """Return the smallest half-open box, one slice per axis, that contains all values other than 0.

    The result is None if all values are 0.

    Examples
    --------
    >>> filled_box(np.eye(3).reshape(1, 3, 3))
    (slice(0, 1, None), slice(0, 3, None), slice(0, 3, None))
    """
    box = []
    for axis in range(array.ndim):
        used = np.flatnonzero(array.any(axis=tuple(a for a in range(array.ndim) if a != axis)))
        if not used.size:
            return None
        box.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(box)


def cut(array: np.ndarray, low: np.ndarray, high: np.ndarray, fill: float) -> np.ndarray:
    """Return a copy of the voxels from `low` to `high` (half-open), with `fill` outside the array.

    The dtype stays the same if it can represent `fill`; otherwise it becomes float32.

    Examples
    --------
    >>> cut(np.ones((1, 1, 2)), np.array([0, 0, 1]), np.array([1, 1, 3]), fill=5)
    array([[[1., 5.]]])
    """
    holds = np.array(fill).astype(array.dtype) == fill
    out = np.full(high - low, fill, dtype=array.dtype if holds else np.float32)
    first, last = np.clip(low, 0, array.shape), np.clip(high, 0, array.shape)
    there = tuple(slice(a, b) for a, b in zip(first - low, last - low))
    out[there] = array[tuple(slice(a, b) for a, b in zip(first, last))]
    return out


def _needed(
    array: np.ndarray, matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, tuple[tuple[float, float], ...]]:
    """Return the block of voxels that the samples need, the offset in it, and the field of view.

    The field of view is one pair (start, end) per axis in indices of the block, half-open.
    """
    reach = matrix @ corners([0] * 3, np.array(shape) - 1) + offset[:, None]
    margin = np.maximum(np.abs(matrix).max(axis=1), 1.0) * 2 + 1
    low = np.clip(np.floor(reach.min(axis=1) - margin).astype(int), 0, array.shape)
    high = np.clip(np.ceil(reach.max(axis=1) + margin).astype(int) + 1, 0, array.shape)
    block = array[tuple(slice(a, b) for a, b in zip(low, high))]
    view = tuple((-0.5 - a - _EDGE, n - 0.5 - a - _EDGE) for a, n in zip(low, array.shape))
    return block, offset - low, view


def _aligned(block, steps, offset, shape, *, kept, fill) -> np.ndarray:
    """Sample a grid with parallel axes, plane by plane, so that each plane stays in the processor's cache."""
    coords = [o + s * np.arange(n) for o, s, n in zip(offset, steps, shape)]
    inside = [(c >= low) & (c < high) for c, (low, high) in zip(coords, kept)]
    z, y, x = (_weights(c, abs(step), n) for c, step, n in zip(coords, steps, block.shape))
    out = np.empty((len(block), *shape[1:]), dtype=np.float32)
    for plane, values in zip(out, block):
        plane[...] = (x @ np.ascontiguousarray((y @ values.astype(np.float32)).T)).T
    same_slices = len(z.indices) == shape[0] and np.array_equal(z.indices, np.arange(len(block)))
    if not same_slices:
        out = (z @ out.reshape(len(block), -1)).reshape(shape)
    for axis, keep in enumerate(inside):
        np.moveaxis(out, axis, 0)[~keep] = fill
    return out


def _weights(coords: np.ndarray, step: float, n: int) -> csr_array:
    """Return the weights of a triangle of half-width `step`, as a sparse matrix of shape (len(coords), n).

    A step below 1 gives linear interpolation.
    """
    half = max(step, 1.0)
    taps = np.floor(coords - half).astype(int)[:, None] + np.arange(int(np.ceil(2 * half)) + 2)
    weight = np.maximum(1 - np.abs(taps - coords[:, None]) / half, 0)
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(coords)), taps.shape[1])
    used = weight.ravel() > _EDGE
    columns = np.clip(taps, 0, n - 1).ravel()
    entries = (weight.ravel()[used].astype(np.float32), (rows[used], columns[used]))
    return csr_array(entries, shape=(len(coords), n))


def _oblique(block, matrix, offset, shape, *, kept, fill) -> np.ndarray:
    step = np.maximum(np.linalg.norm(matrix, axis=1), 1.0)
    smooth = gaussian_filter(
        block.astype(np.float32), np.sqrt((step**2 - 1) / 6), mode="nearest", truncate=3.0
    )
    out = affine_transform(smooth, matrix, offset, shape, order=1, mode="nearest")
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    for row, o, (low, high) in zip(matrix, offset, kept):
        c = sum(m * g for m, g in zip(row, grid)) + o
        out[(c < low) | (c >= high)] = fill
    return out
