"""Convert between contours and masks, in voxel coordinates: covered area, thickness of planes, outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from contourpy import contour_generator
from scipy.sparse import coo_array, csc_array

from mmfusion.errors import ScanError
from mmfusion.imaging.structures.nesting import nested
from mmfusion.limits import check_memory

_LINES = 16  # lines per voxel; the covered length along a line is exact
_BYTES = 120  # memory per crossing of a line, with working copies


def coverage(polygons: Sequence[np.ndarray], shape: tuple[int, int], *, xor: bool = False) -> np.ndarray:
    """Return the share of every voxel of a plane that closed polygons cover.

    Polygons that overlap in part are joined. A polygon wholly within another one is a hole, a polygon within
    the hole is an island, and so on. A keyhole (a channel to a hole, drawn in both directions) cancels out. A
    polygon that was drawn twice counts once.

    Parameters
    ----------
    polygons : sequence of ndarray, shape (n, 2)
        Corners (x, y) of each polygon; the last corner is joined to the first. Voxel k covers
        [k - 0.5, k + 0.5).
    shape : (rows, columns)
        Shape of the plane.
    xor : bool
        Use the even-odd rule instead: a point is covered if an odd number of polygons contains it.

    Returns
    -------
    ndarray, shape `shape`
        float64 in [0, 1].

    Raises
    ------
    ScanError
        If the polygons are so many and so large that they need more memory than allowed.

    Examples
    --------
    >>> square = np.array([[-0.5, -0.5], [1.0, -0.5], [1.0, 0.5], [-0.5, 0.5]])  # one and a half voxels
    >>> coverage([square], (1, 2))
    array([[1. , 0.5]])
    >>> coverage([square, square + [0.5, 0]], (1, 2)), coverage([square, square + [0.5, 0]], (1, 2), xor=True)
    (array([[1., 1.]]), array([[0.5, 0.5]]))
    """
    rows, columns = shape
    x, line, owner = _crossings(polygons, rows * _LINES)
    inside = np.arange(len(x)) % 2 == 0  # after each crossing of a line
    if not xor and len(polygons) > 1:
        inside = _within(x, line, owner, polygons)
    sign = np.diff(inside.astype(np.int8), prepend=0) / _LINES
    x, row = np.clip(x, -0.5, columns - 0.5), line // _LINES
    voxel = np.floor(x + 0.5).astype(int)
    part = x + 0.5 - voxel
    at = row * (columns + 2) + voxel
    size = rows * (columns + 2)
    steps = np.bincount(at, sign * (1 - part), size) + np.bincount(at + 1, sign * part, size)
    return np.clip(np.cumsum(steps.reshape(rows, -1), axis=1)[:, :columns], 0, 1)


def _crossings(polygons: Sequence[np.ndarray], n_lines: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, line and polygon of every crossing of an outline with a line, sorted by line, then by x."""
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(p, -1, axis=0) for p in polygons])
    x0, x1 = start[:, 0], end[:, 0]
    v0, v1 = ((y + 0.5) * _LINES - 0.5 for y in (start[:, 1], end[:, 1]))  # lines lie at whole numbers
    first, stop = (
        np.clip(np.ceil(v), 0, n_lines).astype(int) for v in (np.minimum(v0, v1), np.maximum(v0, v1))
    )
    count = stop - first
    check_memory(
        _BYTES * float(count.sum(dtype=np.float64)), "the set of contours in one plane", error=ScanError
    )
    edge = np.repeat(np.arange(len(count)), count)
    line = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    x = x0[edge] + (line - v0[edge]) / (v1 - v0)[edge] * (x1 - x0)[edge]
    owner = np.repeat(np.arange(len(polygons)), [len(p) for p in polygons])[edge]
    order = np.lexsort((x, line))
    return x[order], line[order], owner[order]


def _within(x: np.ndarray, line: np.ndarray, owner: np.ndarray, polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Return whether the part of a line after each crossing is covered; see `coverage` for the rule."""
    order = np.argsort(owner, kind="stable")
    enter, leave = order[::2], order[1::2]  # a polygon covers each line between two of its crossings
    length = leave - enter
    check_memory(
        _BYTES * float(length.sum(dtype=np.float64)), "the set of contours in one plane", error=ScanError
    )
    part = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + np.repeat(enter, length)
    shape = (len(x), len(polygons))
    covers = csc_array((np.ones(len(part)), (part, np.repeat(owner[enter], length))), shape=shape)
    width = np.append(np.where(np.diff(line) == 0, np.diff(x), 0), 0) / _LINES
    common = coo_array((covers.T * width) @ covers)  # area that each pair of polygons has in common, voxels
    covered: dict[int, np.ndarray] = {}
    inside = np.zeros(len(x), dtype=bool)
    for k, polygon in nested(common, [_length(p) for p in polygons]).items():
        covered[k] = covers.indices[covers.indptr[k] : covers.indptr[k + 1]]
        if polygon.holes:
            covered[k] = np.setdiff1d(covered[k], np.concatenate([covered[j] for j in polygon.holes]))
        if not polygon.depth:
            inside[covered[k]] = True
    return inside


def _length(polygon: np.ndarray) -> float:
    return float(np.linalg.norm(polygon - np.roll(polygon, -1, axis=0), axis=1).sum())


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
    usual = min(float(np.sort(gaps)[(len(gaps) - 1) // 2]), most) if len(gaps) else alone
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
