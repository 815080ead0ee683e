"""Anatomy of the lesion phantom: the surfaces of one patient's chest, as functions of the position.

The origin is the middle of the chest. Sizes are those of an adult; they vary from patient to patient. Each
method returns the distance to a surface in mm, negative inside; see `mmfusion.synthetic.chest.geometry`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mmfusion.synthetic.chest.geometry import Coordinates, capsule, ellipsoid, smooth_union
from mmfusion.synthetic.chest.noise import Waves

INFINITE = 1e6  # radius of an ellipsoid along the axis of a cylinder


class Chest:
    """Surfaces of the organs of one chest.

    Parameters
    ----------
    rng : Generator
        Random generator of the patient's anatomy.

    Attributes
    ----------
    scale : float
        Size relative to an average adult.
    fat_mm : float
        Thickness of the fat below the skin.

    Examples
    --------
    >>> chest = Chest(np.random.default_rng(0))
    >>> at = np.zeros(2), np.zeros(2), np.array([-75.0, 0.0])  # in the right lung; in the mediastinum
    >>> (chest.lung(at) < 0).tolist()
    [True, False]
    """

    def __init__(self, rng: np.random.Generator) -> None:
        s = self.scale = float(rng.uniform(0.88, 1.1))
        self.cavity_radii = (145 * s, 90 * s * rng.uniform(0.88, 1.1), 130 * s * rng.uniform(0.93, 1.05))
        self.widest_z = -25 * s
        self.muscle_mm, self.fat_mm = float(rng.uniform(10, 24)), float(rng.uniform(5, 32))
        self.middle_radius = float(s * rng.uniform(19, 32))  # half the width of the mediastinum
        heart = s * rng.uniform(0.85, 1.15)
        self.heart_centre = np.array([-58, -24, 20]) * s + rng.normal(0, 3, 3)
        self.heart_radii = np.array([48, 46, 56]) * heart
        self.heart_fat = float(rng.uniform(2, 9))
        self.dome_right = float(rng.normal(-82, 9)) * s
        self.dome_left = self.dome_right - float(rng.uniform(4, 20)) * s
        self.dome_curve = float(rng.uniform(60, 95)) * s
        self.aorta_radius = float(rng.uniform(10.5, 15)) * s
        self.trachea_radius = float(rng.uniform(7, 9.5)) * s
        self.rib_phase, self.rib_slope = rng.uniform(0, 26), rng.uniform(0.25, 0.45)
        self.rib_period = 25 * s
        self.spine = np.array([0.0, 57 * s, rng.normal(0, 3)])
        self.hila = {-1: np.array([2, 8, -38]) * s, 1: np.array([8, 12, 40]) * s}
        self.fissure_slope, self.fissure_level = rng.uniform(0.7, 1.0), rng.normal(-20, 6)
        self._ripple, self._folds, self._wide = Waves(rng, 28), Waves(rng, 22), Waves(rng, 90)
        self._ripple_mm, self._fold_mm = rng.uniform(0.5, 1.6), rng.uniform(1.0, 3.0)

    @property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners (z, y, x) of a box around the lungs and the body's outline, mm."""
        out = self.muscle_mm + self.fat_mm + 14
        side = np.array([0, self.cavity_radii[1] + out, self.cavity_radii[2] + out])
        low, high = -side, side
        low[0], high[0] = self.dome_right - 70 * self.scale, self.widest_z + self.cavity_radii[0] + 8
        return low, high

    def cavity(self, at: Coordinates) -> np.ndarray:
        """Inner surface of the rib cage: an egg whose tip is the apex of the lungs."""
        z, y, x = at
        tall = np.maximum(z - np.float32(self.widest_z), 0)
        egg = ellipsoid((tall, y, x), (0, 0, 0), self.cavity_radii)
        return egg + np.float32(self._ripple_mm) * self._ripple(at)

    def body(self, cavity: np.ndarray, at: Coordinates) -> np.ndarray:
        """Skin, from the distance to the cavity; the shoulders fill the space around the apex."""
        _, y, x = at
        a, b = self.cavity_radii[2], self.cavity_radii[1]
        out = self.muscle_mm + self.fat_mm + 8
        trunk = ellipsoid((np.float32(0), y, x), (0, 0, 0), (INFINITE, b + out, a + out))
        return np.minimum(trunk, cavity - np.float32(out))

    def heart(self, at: Coordinates) -> np.ndarray:
        """Outer surface of the heart."""
        return ellipsoid(at, self.heart_centre, self.heart_radii)

    def aorta(self, at: Coordinates) -> np.ndarray:
        """Ascending aorta, arch and descending aorta."""
        s, r = self.scale, self.aorta_radius
        path = [(-45, -20, -4), (35, -20, -13), (55, -8, -3), (62, 8, 8), (52, 28, 20), (30, 37, 24)]
        path = [np.array(p) * s for p in [*path, (-250, 42, 12)]]
        tubes = (capsule(at, a, b, r * 1.05, r) for a, b in pairwise(path))
        return _nearest(tubes)

    def other_vessels(self, at: Coordinates) -> np.ndarray:
        """Pulmonary trunk and its two branches, superior vena cava, branches of the arch."""
        s = self.scale
        tubes = [
            ((-35, -38, 12), (8, -26, 14), 13, 13),
            ((8, -26, 14), (6, 4, 2), 12, 11),
            ((6, 4, 2), (2, 8, -40), 10, 8),
            ((8, -24, 16), (10, 10, 40), 11, 8),
            ((-40, -12, -26), (75, -14, -22), 9, 8),
            ((58, -10, -2), (140, -2, -14), 6, 5),
            ((62, 2, 6), (140, 2, 12), 4.5, 4),
            ((60, 12, 12), (140, 12, 22), 5, 4.5),
        ]
        return _nearest(
            capsule(at, np.array(a) * s, np.array(b) * s, r0 * s, r1 * s) for a, b, r0, r1 in tubes
        )

    def central_airways(self, at: Coordinates) -> np.ndarray:
        """Inner surface of the trachea and the two main bronchi."""
        s, r = self.scale, self.trachea_radius
        carina = np.array([40, 14, 1]) * s
        tubes = [
            (np.array([160, 4, 0]) * s, carina, r, r),
            (carina, self.hila[-1] + np.array([4, 3, 6]), r * 0.75, r * 0.62),
            (carina, self.hila[1] + np.array([2, 3, -6]), r * 0.7, r * 0.6),
        ]
        return _nearest(capsule(at, *tube) for tube in tubes)

    def mediastinum(self, at: Coordinates) -> np.ndarray:
        """Everything between the lungs, with the spine."""
        s = self.scale
        _, y, x = at
        flat = np.float32(0), y, x
        middle = ellipsoid(flat, (0, 0, 0), (INFINITE, 88 * s, self.middle_radius))
        spine = capsule(flat, self.spine * [0, 1, 1], np.array([0, 120 * s, 0]), 22 * s, 14 * s)
        out = smooth_union(middle, spine, 8)
        out = smooth_union(out, self.heart(at) - np.float32(self.heart_fat), 10)
        out = smooth_union(out, self.aorta(at) - 2, 6)
        for hilum in self.hila.values():
            out = smooth_union(out, ellipsoid(at, hilum, np.array([19, 13, 11]) * s), 9)
        return out + np.float32(self._fold_mm) * self._folds(at)

    def organs(self, at: Coordinates) -> np.ndarray:
        """Heart, great vessels and central airways."""
        return _nearest(f(at) for f in (self.heart, self.aorta, self.other_vessels, self.central_airways))

    def diaphragm(self, at: Coordinates) -> np.ndarray:
        """Upper surface of the two domes; negative below."""
        z, y, x = at
        s, curve = self.scale, np.float32(2 * self.dome_curve)
        depth = (y + np.float32(8 * s)) ** 2
        right = np.float32(self.dome_right) - ((x + np.float32(62 * s)) ** 2 + depth) / curve
        left = np.float32(self.dome_left) - ((x - np.float32(66 * s)) ** 2 + depth) / curve
        dome = -smooth_union(-right, -left, 14)
        return (z - dome - 2 * self._wide(at)) * np.float32(0.85)

    def lung(self, at: Coordinates) -> np.ndarray:
        """Surface of both lungs."""
        return np.maximum(np.maximum(self.cavity(at), -self.mediastinum(at)), -self.diaphragm(at))

    def fissures(self, at: Coordinates) -> np.ndarray:
        """Distance to the nearest fissure: an oblique one in each lung, a horizontal one in the right."""
        z, y, x = at
        bend = 6 * self._wide(at)
        slope = np.float32(self.fissure_slope)
        oblique = (z - slope * y - np.float32(self.fissure_level) - bend) / np.sqrt(1 + slope**2)
        horizontal = np.where((x < 0) & (oblique > 0), np.abs(z - 4 + bend), np.float32(99))
        return np.minimum(np.abs(oblique), horizontal)

    def ribs(self, at: Coordinates, depth: np.ndarray) -> np.ndarray:
        """Surface of the ribs, for the depth behind the inner surface of the chest wall."""
        z, y, _ = at
        turn = z + np.float32(self.rib_slope) * y + np.float32(self.rib_phase)
        q = np.mod(turn, np.float32(self.rib_period)) - np.float32(self.rib_period / 2)
        return np.sqrt((q * np.float32(0.8)) ** 2 + ((depth - 6.5) * np.float32(1.25)) ** 2) - np.float32(4.8)

    def sternum(self, at: Coordinates) -> np.ndarray:
        """Surface of the sternum."""
        s = self.scale
        z, y, x = at
        front = -self.cavity_radii[1] * np.sqrt(
            np.clip(1 - (np.maximum(z - self.widest_z, 0) / self.cavity_radii[0]) ** 2, 0, 1)
        )
        plate = ellipsoid((np.float32(0), y - front, x), (0, -9, 0), (INFINITE, 6 * s, 20 * s))
        return np.maximum(plate, np.abs(z - 15 * s) - np.float32(75 * s))

    def at_middle(self, surface: str, middle: np.ndarray) -> float:
        """Return the distance of one point (z, y, x) from a surface, by the name of the method."""
        return float(getattr(self, surface)(tuple(np.full(1, c, dtype=np.float32) for c in middle))[0])


def _nearest(distances: object) -> np.ndarray:
    out = None
    for distance in distances:
        out = distance if out is None else np.minimum(out, distance, out=out)
    return out
