"""Between outlines and voxels: the area that closed contours cover, and the outline of a mask. Voxel coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from contourpy import contour_generator

_LINES = 16  # across a voxel; along a line the covered length is exact


def coverage(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Share of every voxel of a plane that closed polygons cover, by the even-odd rule.

    A polygon within another is a hole; a keyhole (a channel there and back) cancels out.

    Parameters
    ----------
    polygons : sequence of ndarray, shape (n, 2)
        (x, y), closed by themselves; voxel k covers [k - 0.5, k + 0.5).
    shape : (rows, columns)
        Of the plane.

    Returns
    -------
    ndarray, shape `shape`
        float64 in [0, 1].
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
    order = np.lexsort((x, line))  # then every two crossings of a line bound what is inside
    x, row = np.clip(x[order], -0.5, columns - 0.5), line[order] // _LINES
    sign = np.where(np.arange(len(x)) % 2 == 0, 1.0, -1.0) / _LINES
    voxel = np.floor(x + 0.5).astype(int)
    part = x + 0.5 - voxel
    at = row * (columns + 2) + voxel
    size = rows * (columns + 2)
    steps = np.bincount(at, sign * (1 - part), size) + np.bincount(at + 1, sign * part, size)
    return np.clip(np.cumsum(steps.reshape(rows, -1), axis=1)[:, :columns], 0, 1)


def slabs(depths: np.ndarray, *, alone: float, most: float) -> np.ndarray:
    """What each of several sorted planes stands for along their normal, shape (n, 2): to halfway to its neighbours.

    Where the next plane is more than 1.5 times as far as usual (the median), it reaches half the usual distance: a
    plane without a contour is a gap, not an omission.

    Parameters
    ----------
    depths : ndarray, shape (n,)
        Distinct, in order.
    alone : float
        Thickness of a single plane.
    most : float
        Greatest thickness: two distant planes are two thin things.
    """
    gaps = np.diff(depths)
    usual = min(float(np.median(gaps)), most) if len(gaps) else alone
    half = np.minimum(np.where(gaps > 1.5 * usual, usual, gaps), most) / 2
    return np.stack([depths - np.append(usual / 2, half), depths + np.append(half, usual / 2)], axis=1)


def outlines(plane: np.ndarray) -> list[np.ndarray]:
    """The edges of the voxels of a plane's mask, as closed polygons (n, 2) of (x, y): corners only, holes apart."""
    padded = np.pad(np.asarray(plane, dtype=np.float64), 1)
    polygons = []
    for line in contour_generator(z=padded).lines(0.5):  # goes through the middles of voxels' edges
        here, there = line[:-1] - 1, line[1:] - 1
        turns = (here != there).all(axis=1)
        across = here % 1 == 0.5  # the coordinate that lies between two voxels
        polygons.append(np.where(across, here, there)[turns])
    return polygons
