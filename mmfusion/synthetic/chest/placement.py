"""Choice of the place of a lesion in the chest."""

from __future__ import annotations

import numpy as np

from mmfusion.errors import DataError
from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.appearance import TYPES
from mmfusion.synthetic.chest.lungs import Lungs
from mmfusion.synthetic.chest.noise import unit_vectors

CANDIDATES = 1500
GAP_MM = 6.0  # smallest gap between two lesions


def place(
    kind: str, radius: float, lungs: Lungs, rng: np.random.Generator, others: list[tuple[np.ndarray, float]]
) -> np.ndarray:
    """Return a centre (z, y, x) in mm for a lesion.

    Many random points in the lungs are compared, and the one that suits the type best is returned: a point
    away from all walls, or one from which the surface of the lesion touches the chest wall, the mediastinum
    or a vessel.

    Parameters
    ----------
    kind : str
        Type of the lesion, a key of `TYPES`.
    radius : float
        Radius of the sphere of equal volume, mm.
    lungs : Lungs
        The lungs and their vessels.
    rng : Generator
        Random generator.
    others : list of (centre, radius)
        Lesions that are there already; the new one does not touch them.

    Raises
    ------
    DataError
        If there is no room beside the other lesions.

    Examples
    --------
    >>> chest = Chest(np.random.default_rng(0))
    >>> from mmfusion.synthetic.chest.tissue import Contrast
    >>> lungs = Lungs(chest, Contrast(42, 42, 0), np.random.default_rng(1))
    >>> centre = place("solid", 5.0, lungs, np.random.default_rng(2), [])
    >>> bool(chest.lung(tuple(centre[:, None]))[0] < -5)
    True
    """
    chest, site = lungs.chest, TYPES[kind].place
    points = _beside_vessels(lungs, radius, rng) if site == "vessel" else _random_points(chest, rng)
    at = tuple(points.astype(np.float32).T)
    wall, middle, below = -chest.cavity(at), chest.mediastinum(at), chest.diaphragm(at)
    inside = (np.minimum(np.minimum(wall, middle), below) > 0) & _is_free(points, radius, others)
    if not inside.any():
        raise DataError(
            "a lesion does not fit into the lungs beside the others",
            got=f"{2 * radius:.0f} mm",
            hint="ask for fewer or smaller lesions",
        )
    points, wall, middle, below = points[inside], wall[inside], middle[inside], below[inside]
    room = {"wall": np.minimum(middle, below), "mediastinum": np.minimum(wall, below)}.get(
        site, np.minimum(np.minimum(wall, middle), below)
    )
    crowded = np.maximum(radius * 1.1 + 2 - room, 0)
    touch = {"wall": wall, "mediastinum": middle}.get(site)
    if touch is not None:
        crowded = crowded + 2 * np.abs(touch - radius * rng.uniform(0.35, 0.95))
    best = np.flatnonzero(crowded <= crowded.min() + 1.0)
    return points[rng.choice(best)]


def _random_points(chest: Chest, rng: np.random.Generator) -> np.ndarray:
    low, high = chest.extent
    return rng.uniform(low, high, (CANDIDATES, 3))


def _beside_vessels(lungs: Lungs, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Return points from which a ball of this radius touches a vessel that is not much thinner."""
    trees = lungs.trees(int(rng.choice([-1, 1])))
    ends = np.concatenate([tree.end for tree in trees])
    thick = np.concatenate([tree.tip for tree in trees])
    large = np.flatnonzero(thick > min(max(0.8, radius / 6), np.quantile(thick, 0.9)))
    chosen = rng.choice(large, CANDIDATES)
    return ends[chosen] + unit_vectors(rng, CANDIDATES) * (radius * 0.9 + thick[chosen])[:, None]


def _is_free(points: np.ndarray, radius: float, others: list[tuple[np.ndarray, float]]) -> np.ndarray:
    free = np.ones(len(points), dtype=bool)
    for centre, other in others:
        free &= np.linalg.norm(points - centre, axis=1) > 1.3 * (radius + other) + GAP_MM
    return free
