"""Smooth random functions of the position, in mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.synthetic.chest.geometry import Coordinates, Grid, spread

_SPLINE_SD = (151 / 315) ** 1.5  # standard deviation of white noise that a cubic B-spline smooths in 3-D


class Noise:
    """Smooth random function of the position with mean 0 and standard deviation 1.

    Random values on a lattice are joined by cubic B-splines. The function depends on the position in mm only,
    so that two grids show the same function. Outside its box it repeats the values at the edge.

    Parameters
    ----------
    rng : Generator
        Random generator.
    low, high : (z, y, x)
        Corners of the box, mm.
    cell_mm : float
        Distance of the points of the lattice; details have about this size.

    Examples
    --------
    >>> noise = Noise(np.random.default_rng(0), (0, 0, 0), (20, 20, 20), 4.0)
    >>> noise(Grid.around((10, 10, 10), (8, 8, 8), (1, 1, 1))).shape
    (8, 8, 8)
    """

    def __init__(
        self, rng: np.random.Generator, low: Sequence[float], high: Sequence[float], cell_mm: float
    ) -> None:
        self.low, self.cell = np.array(low, dtype=float), cell_mm
        shape = np.ceil((np.array(high) - self.low) / cell_mm).astype(int) + 4
        self.values = rng.standard_normal(tuple(np.maximum(shape, 4)), dtype=np.float32)

    def __call__(self, grid: Grid) -> np.ndarray:
        """Return the values on a grid, float32, shape `grid.shape`."""
        weights = [self._weights(positions, axis) for axis, positions in enumerate((grid.z, grid.y, grid.x))]
        return spread(self.values, weights) / np.float32(_SPLINE_SD)

    def _weights(self, positions: np.ndarray, axis: int) -> np.ndarray:
        """Return the weights of the lattice's planes at positions along an axis, shape (n, n_planes)."""
        planes = self.values.shape[axis]
        place = np.clip((positions - self.low[axis]) / self.cell, 0, planes - 4 - 1e-4)
        cell = place.astype(int)
        t = place - cell
        taps = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
        weights = np.zeros((len(positions), planes), dtype=np.float32)
        for k in range(4):
            weights[np.arange(len(positions)), cell + k] = taps[k]
        return weights


def fractal(rng: np.random.Generator, grid: Grid, cell_mm: float, octaves: int = 3) -> np.ndarray:
    """Return the sum of smooth noises of several scales on a grid; its standard deviation is about 1.

    Parameters
    ----------
    rng : Generator
        Random generator.
    grid : Grid
        Where the values are wanted.
    cell_mm : float
        Size of the coarsest details, mm.
    octaves : int
        Number of scales. Each has half the size and 0.6 times the amplitude of the one before. Scales below
        the voxel size are left out.

    Examples
    --------
    >>> fractal(np.random.default_rng(0), Grid.around((0, 0, 0), (8, 8, 8), (1, 1, 1)), 8.0).shape
    (8, 8, 8)
    """
    finest = min(grid.spacing)
    cells = [cell_mm / 2**k for k in range(octaves) if not k or cell_mm / 2**k >= finest]
    total = sum(0.6**k * Noise(rng, grid.low, grid.high, cell)(grid) for k, cell in enumerate(cells))
    return total / np.float32(np.sqrt(sum(0.36**k for k in range(len(cells)))))


def unit_vectors(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return random directions, evenly distributed on the sphere, shape (n, 3).

    Examples
    --------
    >>> np.linalg.norm(unit_vectors(np.random.default_rng(0), 2), axis=1).round(6).tolist()
    [1.0, 1.0]
    """
    v = rng.standard_normal((n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


class Waves:
    """Sum of a few plane waves: a smooth random function with a standard deviation of about 1.

    Parameters
    ----------
    rng : Generator
        Random generator.
    length_mm : float
        Shortest wavelength; the longest is three times as long.

    Examples
    --------
    >>> waves = Waves(np.random.default_rng(0), 50.0)
    >>> waves((np.zeros(4), np.zeros(4), np.arange(4.0))).shape
    (4,)
    """

    N = 4

    def __init__(self, rng: np.random.Generator, length_mm: float) -> None:
        length = length_mm * rng.uniform(1, 3, (self.N, 1))
        self.vectors = (2 * np.pi * unit_vectors(rng, self.N) / length).astype(np.float32)
        self.phases = rng.uniform(0, 2 * np.pi, self.N).astype(np.float32)

    def __call__(self, at: Coordinates) -> np.ndarray:
        """Return the values at positions (z, y, x), mm."""
        waves = (np.cos(sum(k * a for k, a in zip(v, at)) + p) for v, p in zip(self.vectors, self.phases))
        return sum(waves) * np.float32(np.sqrt(2 / self.N))
