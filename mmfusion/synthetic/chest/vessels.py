"""Branching vessels and airways of the lungs, as tapering tubes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.geometry import Grid
from mmfusion.synthetic.chest.noise import unit_vectors

GENERATIONS, SMALLEST_MM = 13, 0.35  # of branching; radius of the last branches
PLEURA_MM = 2.0  # vessels end at this distance from the surface of the lung
ROOTS_MM = (6.0, 5.0)  # radius of the largest arteries and veins
_FAN = np.array(  # directions (z, y, outwards) of the first branches
    [
        [1.0, -0.5, 0.4],
        [1.0, 0.4, 0.5],
        [0.2, -0.9, 0.6],
        [0.1, 0.3, 1.0],
        [-0.6, -0.5, 0.7],
        [-1.0, 0.2, 0.5],
        [-0.9, 0.9, 0.3],
        [0.2, 1.0, 0.5],
    ]
)
_AT_ONCE = 400_000  # pairs of a voxel and a tube that are in memory together


@dataclass(frozen=True)
class Tubes:
    """Tapering tubes with round ends.

    Attributes
    ----------
    start, end : ndarray, shape (n, 3)
        Ends of the axes (z, y, x), mm.
    radius, tip : ndarray, shape (n,)
        Radii at the ends, mm.

    Examples
    --------
    >>> tubes = Tubes(np.zeros((1, 3)), np.ones((1, 3)), np.ones(1), np.ones(1))
    >>> tubes.within(np.zeros(3), np.ones(3)).tolist()
    [True]
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


def grow(chest: Chest, side: int, rng: np.random.Generator) -> tuple[Tubes, Tubes]:
    """Grow the arteries and the veins of one lung, from the hilum to the surface.

    Each branch divides in two. The cube of its radius is the sum of the cubes of the two new radii (Murray
    1926).

    Parameters
    ----------
    chest : Chest
        The anatomy.
    side : {-1, 1}
        -1 for the right lung, 1 for the left lung.
    rng : Generator
        Random generator.

    Returns
    -------
    arteries, veins : Tubes
        The two trees.

    Examples
    --------
    >>> chest = Chest(np.random.default_rng(0))
    >>> arteries, veins = grow(chest, -1, np.random.default_rng(1))
    >>> len(arteries.radius) > 200, bool((veins.end[:, 2] < 20).all())
    (True, True)
    """
    hilum = chest.hila[side]
    kind = np.repeat([0, 1], len(_FAN))
    heading = np.concatenate([_FAN, _FAN]) * [1, 1, side] + rng.normal(0, 0.2, (len(kind), 3))
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    place = hilum + 6 * heading + rng.normal(0, 3, heading.shape)
    radius = np.array(ROOTS_MM)[kind] * rng.uniform(0.45, 0.85, len(kind))
    parts = []
    for generation in range(GENERATIONS):
        length = (5.5 + 3.6 * radius**0.8) * rng.uniform(0.7, 1.5, len(radius)) * (1.0 if generation else 1.4)
        bend = heading + rng.normal(0, 0.16, heading.shape)
        bend /= np.linalg.norm(bend, axis=1, keepdims=True)
        knee = place + 0.5 * length[:, None] * heading
        end = knee + 0.5 * length[:, None] * bend
        parts += [(place, knee, radius, radius * 0.97, kind), (knee, end, radius * 0.97, radius * 0.93, kind)]
        inside = chest.lung(tuple(end.astype(np.float32).T)) < -PLEURA_MM
        inside |= generation < 2
        ends = (end[inside], bend[inside], radius[inside] * 0.93, end[inside] - hilum)
        place, heading, radius = _divide(*ends, rng)
        kind = np.tile(kind[inside], 2)
        keep = radius > SMALLEST_MM
        place, heading, radius, kind = place[keep], heading[keep], radius[keep], kind[keep]
        if not len(radius):
            break
    *arrays, kinds = (np.concatenate(part) for part in zip(*parts))
    tubes = Tubes(*arrays)
    return tubes.select(kinds == 0), tubes.select(kinds == 1)


def _divide(
    place: np.ndarray, heading: np.ndarray, radius: np.ndarray, outward: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two branches of each end: the places where they start, their directions, their radii."""
    n = len(radius)
    share = rng.uniform(0.5, 0.85, n)
    radii = np.concatenate([radius * share ** (1 / 3), radius * (1 - share) ** (1 / 3)])
    side = np.cross(heading, unit_vectors(rng, n))
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    wide = np.tan(np.radians(rng.uniform(25, 60, (n, 1))))
    small = wide * ((1 - share) / share)[:, None]
    drift = 0.3 * outward / (np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9)
    both = np.concatenate([heading - small * side + drift, heading + wide * side + drift])
    return np.concatenate([place, place]), both / np.linalg.norm(both, axis=1, keepdims=True), radii


def airways(arteries: Tubes, side: int) -> Tubes:
    """Return the inner tubes of the bronchi that run beside the larger arteries of one lung.

    Examples
    --------
    >>> arteries, _ = grow(Chest(np.random.default_rng(0)), 1, np.random.default_rng(1))
    >>> len(airways(arteries, 1).radius) < len(arteries.radius)
    True
    """
    large = arteries.select(arteries.tip > 0.9)
    beside = np.array([0.45, 0.8, -0.4 * side])
    start = large.start + (1.9 * large.radius + 0.6)[:, None] * beside
    end = large.end + (1.9 * large.tip + 0.6)[:, None] * beside
    return Tubes(start, end, large.radius * 0.75, large.tip * 0.75)


def draw(tubes: Tubes, grid: Grid) -> np.ndarray:
    """Return the share of each voxel that lies in the tubes, float32, shape `grid.shape`.

    A tube thinner than a voxel keeps its amount of tissue.

    Examples
    --------
    >>> tube = Tubes(np.array([[0, 0, -9.0]]), np.array([[0, 0, 9.0]]), np.ones(1), np.ones(1))
    >>> share = draw(tube, Grid.around((0, 0, 0), (12, 12, 12), (1, 1, 1)))
    >>> round(float(share.sum(axis=(0, 1)).mean()))  # the area of a circle of 1 mm, mm2
    3
    """
    out = np.zeros(grid.shape, dtype=np.float32)
    tubes = tubes.select(tubes.within(grid.low, grid.high))
    if not len(tubes.radius):
        return out
    spacing = np.array(grid.spacing)
    reach = np.maximum(tubes.radius, tubes.tip)[:, None] + spacing[1]
    low = np.ceil((np.minimum(tubes.start, tubes.end) - reach - grid.low) / spacing).astype(int)
    high = np.floor((np.maximum(tubes.start, tubes.end) + reach - grid.low) / spacing).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, grid.shape)
    sizes = np.maximum(high - low, 0).prod(axis=1)
    groups = np.cumsum(sizes) // _AT_ONCE
    flat = out.ravel()
    for group in np.unique(groups[sizes > 0]):
        which = np.flatnonzero((groups == group) & (sizes > 0))
        where, share = _pairs(tubes.select(which), grid, low[which], (high - low)[which])
        np.maximum.at(flat, where, share)
    return out


def _pairs(tubes: Tubes, grid: Grid, low: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels in the box of each tube, as flat indices, and their share inside the tube."""
    sizes = count.prod(axis=1)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    local = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    local, ix = np.divmod(local, count[owner, 2])
    iz, iy = np.divmod(local, count[owner, 1])
    index = [i + low[owner, axis] for axis, i in enumerate((iz, iy, ix))]
    start, along = tubes.start.astype(np.float32), (tubes.end - tubes.start).astype(np.float32)
    offset = [a[i] - start[owner, k] for k, (a, i) in enumerate(zip((grid.z, grid.y, grid.x), index))]
    along = along / np.maximum((along**2).sum(axis=1, keepdims=True), 1e-6), along
    place = sum(o * along[0][owner, k] for k, o in enumerate(offset))
    place = np.clip(place, 0, 1)
    squared = sum((o - place * along[1][owner, k]) ** 2 for k, o in enumerate(offset))
    voxel = grid.spacing[1]
    wide = np.where(tubes.radius > 0.6 * voxel, 1.0, 1.5)
    factor = np.array([1.0 if w == 1 else _thin(round(r / voxel, 2)) for w, r in zip(wide, tubes.radius)])
    # a soft edge adds area: a twelfth of the square of its width, times pi
    radius = np.where(wide == 1, np.sqrt(np.maximum(tubes.radius**2 - voxel**2 / 12, 0)), tubes.radius)
    radius, taper = radius.astype(np.float32), (tubes.tip - tubes.radius).astype(np.float32)
    depth = radius[owner] + place * taper[owner] - np.sqrt(squared)
    inverse, factor = (1 / (wide * voxel)).astype(np.float32), factor.astype(np.float32)
    share = np.clip(0.5 + depth * inverse[owner], 0, 1) * factor[owner]
    seen = share > 0
    return np.ravel_multi_index([i[seen] for i in index], grid.shape), share[seen]


@lru_cache(maxsize=256)
def _thin(radius: float) -> float:
    """Return the factor with which a thin tube keeps its cross-section; the radius is in voxels."""
    t = np.linspace(0, 3, 61)
    drawn = np.trapezoid(np.clip(0.5 - (t - radius) / 1.5, 0, 1) * 2 * np.pi * t, t)
    return float(min(1.0, np.pi * radius**2 / drawn))
