"""Branching vessels and airways of the lungs, as tapering tubes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.geometry import Grid, capsule, coverage, unit_vectors

GENERATIONS, SMALLEST_MM = 13, 0.35  # of branching; radius of the last branches
PLEURA_MM = 2.0  # vessels end at this distance from the surface of the lung


@dataclass(frozen=True)
class Tubes:
    """Tapering tubes.

    Attributes
    ----------
    start, end : ndarray, shape (n, 3)
        Ends of the axes (z, y, x), mm.
    radius, tip : ndarray, shape (n,)
        Radii at the ends, mm.

    Examples
    --------
    >>> Tubes(np.zeros((1, 3)), np.ones((1, 3)), np.ones(1), np.ones(1)).within(np.zeros(3), np.ones(3)).sum()
    np.int64(1)
    """

    start: np.ndarray
    end: np.ndarray
    radius: np.ndarray
    tip: np.ndarray

    def within(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return which tubes may reach into a box with corners (z, y, x), bool (n,)."""
        reach = np.maximum(self.radius, self.tip)[:, None] + 1
        below = np.minimum(self.start, self.end) - reach
        above = np.maximum(self.start, self.end) + reach
        return ((below < high) & (above > low)).all(axis=1)

    def select(self, which: np.ndarray) -> Tubes:
        """Return some of the tubes."""
        return Tubes(self.start[which], self.end[which], self.radius[which], self.tip[which])

    def wider(self, factor: float, by_mm: float) -> Tubes:
        """Return the same tubes with other radii."""
        return Tubes(self.start, self.end, self.radius * factor + by_mm, self.tip * factor + by_mm)


def grow(chest: Chest, side: int, rng: np.random.Generator, root_mm: float = 6.0) -> Tubes:
    """Grow a tree of vessels from the hilum to the surface of one lung.

    Each branch divides in two; the cube of its radius is the sum of the cubes of theirs (Murray 1926).

    Parameters
    ----------
    chest : Chest
        The anatomy.
    side : {-1, 1}
        -1 for the right lung, 1 for the left lung.
    rng : Generator
        Random generator.
    root_mm : float
        Radius of the first branches.

    Examples
    --------
    >>> chest = Chest(np.random.default_rng(0))
    >>> tree = grow(chest, -1, np.random.default_rng(1))
    >>> len(tree.radius) > 200, bool((tree.end[tree.radius < 1, 2] < 20).all())
    (True, True)
    """
    hilum = chest.hila[side]
    fan = np.array([[1.0, -0.2, 0.5], [0.1, -0.8, 0.7], [-0.6, 0.2, 0.6], [-1.0, 0.5, 0.35], [0.3, 0.7, 0.7]])
    heading = fan * [1, 1, side] + rng.normal(0, 0.2, fan.shape)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    place = hilum + 6 * heading + rng.normal(0, 3, fan.shape)
    radius = root_mm * rng.uniform(0.55, 0.9, len(fan))
    tubes = []
    for generation in range(GENERATIONS):
        length = (
            (3.0 + 4.2 * radius**0.8) * rng.uniform(0.7, 1.5, len(radius)) * (1.4 if not generation else 1)
        )
        bend = heading + rng.normal(0, 0.16, heading.shape)
        knee = place + 0.5 * length[:, None] * heading
        end = knee + 0.5 * length[:, None] * bend / np.linalg.norm(bend, axis=1, keepdims=True)
        tubes += [(place, knee, radius, radius * 0.97), (knee, end, radius * 0.97, radius * 0.93)]
        inside = chest.lung(tuple(end.astype(np.float32).T)) < -PLEURA_MM
        inside |= generation < 2
        place, heading, radius = _divide(
            end[inside], bend[inside], radius[inside] * 0.93, end[inside] - hilum, rng
        )
        keep = radius > SMALLEST_MM
        place, heading, radius = place[keep], heading[keep], radius[keep]
        if not len(radius):
            break
    return Tubes(*(np.concatenate(parts) for parts in zip(*tubes)))


def _divide(
    place: np.ndarray, heading: np.ndarray, radius: np.ndarray, outward: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two branches of each end: the places where they start, their directions, their radii."""
    n = len(radius)
    share = rng.uniform(0.5, 0.85, n)
    radii = np.concatenate([radius * share ** (1 / 3), radius * (1 - share) ** (1 / 3)])
    heading = heading / np.linalg.norm(heading, axis=1, keepdims=True)
    side = np.cross(heading, unit_vectors(rng, n))
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    wide = np.tan(np.radians(rng.uniform(25, 60, (n, 1))))
    small = wide * ((1 - share) / share)[:, None]
    drift = 0.15 * outward / (np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9)
    both = np.concatenate([heading - small * side + drift, heading + wide * side + drift])
    return np.concatenate([place, place]), both / np.linalg.norm(both, axis=1, keepdims=True), radii


def airways(tree: Tubes, chest: Chest, side: int) -> Tubes:
    """Return the inner tubes of the bronchi that run beside the larger branches of a tree of arteries.

    Examples
    --------
    >>> chest = Chest(np.random.default_rng(0))
    >>> tree = grow(chest, 1, np.random.default_rng(1))
    >>> len(airways(tree, chest, 1).radius) < len(tree.radius)
    True
    """
    large = tree.select((tree.radius > 1.1) & (tree.tip > 0.9))
    gap = (1.9 * large.radius + 0.6)[:, None] * np.array([0.45, 0.8, -0.4 * side])
    next_gap = (1.9 * large.tip + 0.6)[:, None] * np.array([0.45, 0.8, -0.4 * side])
    return Tubes(large.start + gap, large.end + next_gap, large.radius * 0.75, large.tip * 0.75)


def draw(tubes: Tubes, grid: Grid) -> np.ndarray:
    """Return the share of each voxel that lies in the tubes, float32, shape `grid.shape`.

    A tube thinner than a voxel keeps its amount of tissue.

    Examples
    --------
    >>> tube = Tubes(np.array([[0, 0, -9.0]]), np.array([[0, 0, 9.0]]), np.ones(1), np.ones(1))
    >>> share = draw(tube, Grid.around((0, 0, 0), (12, 12, 12), (1, 1, 1)))
    >>> round(float(share.sum(axis=(0, 1)).mean()), 1)  # the area of a circle of 1 mm, mm2
    3.1
    """
    out = np.zeros(grid.shape, dtype=np.float32)
    voxel = grid.spacing[1]
    tubes = tubes.select(tubes.within(grid.low, grid.high))
    for start, end, radius, tip in zip(tubes.start, tubes.end, tubes.radius, tubes.tip):
        reach = max(radius, tip) + voxel
        box = grid.box(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        if any(s.start == s.stop for s in box):
            continue
        width = voxel if radius > 0.6 * voxel else 1.5 * voxel
        share = coverage(capsule(grid.part(box).coordinates, start, end, radius, tip), width)
        if radius <= 0.6 * voxel:
            share *= np.float32(_thin(radius, voxel))
        np.maximum(out[box], share, out=out[box])
    return out


def _thin(radius: float, voxel: float) -> float:
    """Return the factor that gives a thin tube, drawn with a soft edge, its cross-section."""
    t = np.linspace(0, 3, 61)
    drawn = np.trapezoid(np.clip(0.5 - (t - radius / voxel) / 1.5, 0, 1) * 2 * np.pi * t, t)
    return min(1.0, np.pi * (radius / voxel) ** 2 / drawn)
