"""Convert between contours and masks, in voxel coordinates: covered area, thickness of planes, outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from contourpy import contour_generator

_LINES = 16  # lines per voxel; the covered length along a line is exact


def coverage(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return the share of every voxel of a plane that closed polygons cover, by the even-odd rule.

    A polygon within another polygon is a hole. A keyhole (a channel to a hole, drawn in both directions)
    cancels out.

    Parameters
    ----------
    polygons : sequence of ndarray, shape (n, 2)
        Corners (x, y) of each polygon; the last corner is joined to the first. Voxel k covers
        [k - 0.5, k + 0.5).
    shape : (rows, columns)
        Shape of the plane.

    Returns
    -------
    ndarray, shape `shape`
        float64 in [0, 1].

    Examples
    --------
    >>> square = np.array([[-0.5, -0.5], [1.0, -0.5], [1.0, 0.5], [-0.5, 0.5]])  # one and a half voxels
    >>> coverage([square], (1, 2))
    array([[1. , 0.5]])
    """
    rows, columns = shape
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(p, -1, axis=0) for p in polygons])
    x0, x1 = start[:, 0], end[:, 0]
    v0, v1 = ((y + 0.5) * _LINES - 0.5 for y in (start[:, 1], end[:, 1]))  # lines lie at whole numbers
    first, stop = (
        np.clip(np.ceil(v), 0, rows * _LINES).astype(int) for v in (np.minimum(v0, v1), np.maximum(v0, v1))
    )
    count = stop - first
    edge = np.repeat(np.arange(len(count)), count)
    line = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    x = x0[edge] + (line - v0[edge]) / (v1 - v0)[edge] * (x1 - x0)[edge]
    order = np.lexsort((x, line))  # each pair of crossings along a line then encloses a covered part
    x, row = np.clip(x[order], -0.5, columns - 0.5), line[order] // _LINES
    sign = np.where(np.arange(len(x)) % 2 == 0, 1.0, -1.0) / _LINES
    voxel = np.floor(x + 0.5).astype(int)
    part = x + 0.5 - voxel
    at = row * (columns + 2) + voxel
    size = rows * (columns + 2)
    steps = np.bincount(at, sign * (1 - part), size) + np.bincount(at + 1, sign * part, size)
    return np.clip(np.cumsum(steps.reshape(rows, -1), axis=1)[:, :columns], 0, 1)


def slabs(depths: np.ndarray, *, alone: float, most: float) -> np.ndarray:
    """Return the slab that each contour plane represents along the normal: from halfway to halfway.

    A slab ends halfway to the next plane. If the next plane is more than 1.5 times the usual distance (the
    median) away, the slab ends at half the usual distance: planes without a contour are then a real gap.

    Parameters
    ----------
    depths : ndarray, shape (n,)
        Positions of the planes along the normal, distinct, in ascending order.
    alone : float
        Thickness if there is only one plane.
    most : float
        Largest thickness of a slab. Two distant planes then give two thin slabs.

    Returns
    -------
    ndarray, shape (n, 2)
        Start and end of each slab, in the unit of `depths`.

    Examples
    --------
    >>> slabs(np.array([0.0, 1.0, 2.0, 8.0]), alone=1.0, most=3.0)
    array([[-0.5,  0.5],
           [ 0.5,  1.5],
           [ 1.5,  2.5],
           [ 7.5,  8.5]])
    """
    gaps = np.diff(depths)
    usual = min(float(np.median(gaps)), most) if len(gaps) else alone
    half = np.minimum(np.where(gaps > 1.5 * usual, usual, gaps), most) / 2
    return np.stack([depths - np.append(usual / 2, half), depths + np.append(half, usual / 2)], axis=1)


def outlines(plane: np.ndarray) -> list[np.ndarray]:
    """Return the outline of a mask's plane along the edges of its voxels.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns)
        Mask with values 0 and 1.

    Returns
    -------
    list of ndarray, shape (n, 2)
        Closed polygons: the corners (x, y). A hole is a polygon of its own.

    Examples
    --------
    >>> [line] = outlines(np.ones((1, 2)))
    >>> sorted(map(tuple, line.tolist()))
    [(-0.5, -0.5), (-0.5, 0.5), (1.5, -0.5), (1.5, 0.5)]
    """
    padded = np.pad(np.asarray(plane, dtype=np.float64), 1)
    polygons = []
    for line in contour_generator(z=padded).lines(0.5):  # passes through the middles of the voxels' edges
        here, there = line[:-1] - 1, line[1:] - 1
        turns = (here != there).all(axis=1)
        across = here % 1 == 0.5  # the coordinate that lies between two voxels
        polygons.append(np.where(across, here, there)[turns])
    return polygons
