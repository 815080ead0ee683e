"""Geometry of the lesion phantom: grids in mm, distances to simple shapes, partial volume.

Coordinates are (z, y, x) in mm: x to the patient's left, y to the back, z to the head. A distance is negative
inside a shape. All functions take arrays that broadcast, so that they work on grids and on lists of points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Grid:
    """Centres of the voxels of a box.

    Attributes
    ----------
    z, y, x : ndarray of float32, shape (n,)
        Positions along each axis, mm, evenly spaced and increasing.

    Examples
    --------
    >>> grid = Grid.around((0, 0, 0), (2, 4, 4), (5, 1, 1))
    >>> grid.shape, grid.spacing, grid.z.tolist()
    ((2, 4, 4), (5.0, 1.0, 1.0), [-2.5, 2.5])
    """

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def around(cls, centre: Sequence[float], shape: Sequence[int], spacing: Sequence[float]) -> Grid:
        """Return the grid with a centre (z, y, x), a shape (z, y, x) and a spacing (z, y, x)."""
        return cls(
            *(
                (c + (np.arange(n) - (n - 1) / 2) * s).astype(np.float32)
                for c, n, s in zip(centre, shape, spacing)
            )
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels (z, y, x)."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Size of a voxel (z, y, x), mm; an axis with one voxel has the size of the others."""
        steps = [float(a[-1] - a[0]) / (len(a) - 1) if len(a) > 1 else 0.0 for a in (self.z, self.y, self.x)]
        return tuple(round(s or max(steps), 4) for s in steps)

    @property
    def low(self) -> np.ndarray:
        """Centre of the first voxel (z, y, x), mm."""
        return np.array([self.z[0], self.y[0], self.x[0]])

    @property
    def high(self) -> np.ndarray:
        """Centre of the last voxel (z, y, x), mm."""
        return np.array([self.z[-1], self.y[-1], self.x[-1]])

    @property
    def coordinates(self) -> Coordinates:
        """The positions as arrays that broadcast to `shape`."""
        return self.z[:, None, None], self.y[None, :, None], self.x[None, None, :]

    def box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, slice]:
        """Return the slices of the voxels between two corners (z, y, x), mm; they may be empty."""
        return tuple(
            slice(*np.searchsorted(axis, [a, b])) for axis, a, b in zip((self.z, self.y, self.x), low, high)
        )

    def part(self, box: tuple[slice, slice, slice]) -> Grid:
        """Return the grid of the voxels in these slices."""
        return Grid(self.z[box[0]], self.y[box[1]], self.x[box[2]])

    def near(self, distance_at_centre: float, margin: float = 8.0) -> bool:
        """Return True if a shape at this distance from the middle of the grid may reach into the grid."""
        return distance_at_centre < float(np.linalg.norm(self.high - self.low)) / 2 + margin


def coverage(distance: np.ndarray, width_mm: float) -> np.ndarray:
    """Return the share of each voxel inside a shape, 0 to 1, from the distance of its centre to the surface.

    Parameters
    ----------
    distance : ndarray
        Distance of the voxels' centres to the surface, mm, negative inside.
    width_mm : float
        Size of a voxel, mm, over which the share falls from 1 to 0.

    Examples
    --------
    >>> coverage(np.array([-3.0, 0.0, 0.25, 3.0]), 1.0).tolist()
    [1.0, 0.5, 0.25, 0.0]
    """
    return np.clip(0.5 - distance / width_mm, 0.0, 1.0)


def ellipsoid(at: Coordinates, centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Return the distance to an ellipsoid, to first order, mm; a very large radius makes a cylinder.

    Parameters
    ----------
    at : Coordinates
        Positions (z, y, x), mm.
    centre, radii : (z, y, x)
        Centre and radii of the ellipsoid, mm.

    Examples
    --------
    >>> round(float(ellipsoid((np.float32(0), np.float32(0), np.float32(12)), (0, 0, 0), (10, 10, 10))), 1)
    2.0
    """
    scaled = [(a - np.float32(c)) / np.float32(r) for a, c, r in zip(at, centre, radii)]
    level = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    slope = np.sqrt(sum((s / np.float32(r)) ** 2 for s, r in zip(scaled, radii)))
    return (level - 1) * (level + 1e-3) / (slope + 1e-6)


def capsule(at: Coordinates, start: np.ndarray, end: np.ndarray, radius: float, tip: float) -> np.ndarray:
    """Return the distance to a tube with round ends, mm; its radius changes from `radius` to `tip`.

    Parameters
    ----------
    at : Coordinates
        Positions (z, y, x), mm.
    start, end : ndarray, shape (3,)
        Ends of the axis (z, y, x), mm.
    radius, tip : float
        Radius at the start and at the end, mm.

    Examples
    --------
    >>> at = np.float32(0), np.float32(3), np.float32(5)
    >>> float(capsule(at, np.zeros(3), np.array([0, 0, 10.0]), 1.0, 1.0))
    2.0
    """
    start, along = np.float32(start), np.float32(end - start)
    offset = [a - s for a, s in zip(at, start)]
    share = sum(o * d for o, d in zip(offset, along)) / max(float(along @ along), 1e-6)
    share = np.clip(share, 0, 1)
    squared = sum((o - share * d) ** 2 for o, d in zip(offset, along))
    return np.sqrt(squared) - (np.float32(radius) + share * np.float32(tip - radius))


def smooth_union(a: np.ndarray, b: np.ndarray, rounding: float) -> np.ndarray:
    """Return the distance to the union of two shapes, mm; the edge between them is rounded by `rounding` mm.

    Parameters
    ----------
    a, b : ndarray
        Distances to the two shapes, mm.
    rounding : float
        The shapes are blended where their distances differ by less than this, mm.

    Examples
    --------
    >>> float(smooth_union(np.float32(1), np.float32(9), 2.0))
    1.0
    """
    mix = np.clip(0.5 + 0.5 * (b - a) / np.float32(rounding), 0, 1)
    return b + mix * (a - b) - np.float32(rounding) * mix * (1 - mix)


def sampled(surface: Callable[[Coordinates], np.ndarray], grid: Grid, step_mm: float = 4.0) -> np.ndarray:
    """Return a smooth function on a grid, computed on a coarser grid and interpolated linearly.

    The coarse steps are `step_mm`, or two voxels if these are larger.

    Parameters
    ----------
    surface : callable
        Function of coordinates (z, y, x).
    grid : Grid
        Where the values are wanted.
    step_mm : float
        Step of the coarse grid, mm.

    Examples
    --------
    >>> grid = Grid.around((0, 0, 30), (12, 12, 12), (1, 1, 1))
    >>> ball = sampled(lambda at: ellipsoid(at, (0, 0, 0), (25, 25, 25)), grid)
    >>> bool(np.abs(ball - ellipsoid(grid.coordinates, (0, 0, 0), (25, 25, 25))).max() < 0.2)
    True
    """
    coarse, weights = [], []
    for axis, voxel in zip((grid.z, grid.y, grid.x), grid.spacing):
        count = max(2, int(np.ceil(float(axis[-1] - axis[0]) / max(step_mm, 2 * voxel))) + 1)
        points = np.linspace(axis[0], axis[-1] + 1e-3, count, dtype=np.float32)
        place = (axis - points[0]) / (points[1] - points[0])
        below = np.minimum(place.astype(int), count - 2)
        share = np.zeros((len(axis), count), dtype=np.float32)
        rows = np.arange(len(axis))
        share[rows, below], share[rows, below + 1] = 1 - (place - below), place - below
        coarse.append(points)
        weights.append(share)
    return spread(surface(Grid(*coarse).coordinates), weights)


def spread(values: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Return values on a grid from values on a lattice, by one matrix of weights (n, n_points) per axis.

    Examples
    --------
    >>> spread(np.ones((2, 2, 2)), [np.full((3, 2), 0.5)] * 3).shape
    (3, 3, 3)
    """
    a, b, c = weights
    values = np.ascontiguousarray(values, dtype=np.float32)
    values = values @ c.T  # (points z, points y, x)
    values = b @ values  # (points z, y, x)
    return (a @ values.reshape(len(values), -1)).reshape(len(a), len(b), len(c))
