"""Shape of a lesion: a ball of given volume with lobes, an irregular surface and spicules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from mmfusion.synthetic.chest.geometry import Grid, coverage, ellipsoid, smooth_union
from mmfusion.synthetic.chest.noise import Noise, unit_vectors
from mmfusion.synthetic.chest.vessels import Tubes

REACH = 2.2  # largest distance of the surface from the centre, in radii


class LesionShape:
    """Surface of one lesion, and the tubes of its spicules.

    Parameters
    ----------
    lesion : mapping
        Row of `appearance.draw`: `diameter_mm`, `spiculation`, `lobulation`.
    rng : Generator
        Random generator of the shape.
    irregular : bool
        False makes a perfect sphere, for tests.

    Attributes
    ----------
    radius : float
        Radius of the sphere of equal volume, mm.

    Examples
    --------
    >>> lesion = {"diameter_mm": 20.0, "spiculation": 0.0, "lobulation": 0.0}
    >>> shape = LesionShape(lesion, np.random.default_rng(0))
    >>> distance = shape.distance(Grid.around((0, 0, 0), (40, 40, 40), (1, 1, 1)), np.zeros(3))
    >>> round(float(coverage(distance, 1.0).sum()) / (4 / 3 * np.pi * 10**3), 1)  # of the sphere's volume
    1.0
    """

    def __init__(
        self, lesion: Mapping[str, float], rng: np.random.Generator, *, irregular: bool = True
    ) -> None:
        self.radius = lesion["diameter_mm"] / 2
        lobes, spikes = float(lesion["lobulation"]), float(lesion["spiculation"])
        long = np.exp(rng.normal(0, 0.13, 3)) if irregular else np.ones(3)
        self._radii = long / np.prod(long) ** (1 / 3)
        self._turn = Rotation.random(random_state=rng).as_matrix()
        self._lobes = []
        count = round(rng.uniform(1, 2) + 5 * lobes) if irregular and lobes > 0.15 else 0
        for direction in unit_vectors(rng, count):
            size = rng.uniform(0.3, 0.5) + 0.12 * lobes
            self._lobes.append((direction * rng.uniform(0.65, 0.8 + 0.3 * lobes), size))
        box = np.full(3, REACH)
        self._bumps = Noise(rng, -box, box, 0.7), Noise(rng, -box, box, 0.3)
        self._bump = (0.07 + 0.08 * lobes, 0.02 + 0.08 * spikes) if irregular else (0.0, 0.0)
        self._size = 1.0
        test = Grid.around((0, 0, 0), (30, 30, 30), (2 * REACH / 30,) * 3)
        volume = float(coverage(self._unit(test), test.spacing[0]).sum()) * test.spacing[0] ** 3
        self._size = (4 / 3 * np.pi / volume) ** (1 / 3)  # gives the volume of the unit sphere
        self._spikes = self._draw_spikes(spikes, rng)

    def distance(self, grid: Grid, centre: np.ndarray) -> np.ndarray:
        """Return the distance to the surface, mm, on a grid, for a centre (z, y, x) in mm."""
        scale = np.float32(1 / self.radius)
        local = ((axis - np.float32(c)) * scale for axis, c in zip((grid.z, grid.y, grid.x), centre))
        return self._unit(Grid(*local)) * np.float32(self.radius)

    def spicules(self, centre: np.ndarray) -> Tubes:
        """Return the spicules of the lesion for a centre (z, y, x) in mm; there may be none."""
        directions, length, thickness = self._spikes
        start = centre + directions * self.radius * 0.6
        end = centre + directions * (self.radius * 0.95 + length)[:, None]
        return Tubes(start, end, thickness, np.full(len(length), 0.25))

    def _unit(self, grid: Grid) -> np.ndarray:
        """Return the distance to the surface of the shape with radius 1."""
        size = np.float32(self._size)
        grid = Grid(grid.z / size, grid.y / size, grid.x / size)
        at = grid.coordinates
        turned = tuple(sum(np.float32(t) * a for t, a in zip(row, at)) for row in self._turn)
        out = ellipsoid(turned, (0, 0, 0), self._radii)
        for centre, radius in self._lobes:
            out = smooth_union(out, ellipsoid(at, centre, (radius,) * 3), 0.12)
        for bump, height in zip(self._bumps, self._bump):
            if height:
                out = out + np.float32(height) * bump(grid)
        return out * size

    def _draw_spikes(
        self, spikes: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count = round((30 + 9 * self.radius) * max(0.0, spikes - 0.15) * rng.uniform(0.7, 1.2))
        longest = np.clip(0.8 * self.radius, 2.5, 16) * (0.5 + 0.5 * spikes)
        length = longest * rng.uniform(0.4, 1.0, count)
        thickness = rng.uniform(0.5, 1.0, count) + 0.06 * min(self.radius, 20)
        return unit_vectors(rng, count), length, thickness
