"""Tissue of a lesion: solid, ground glass, calcified or with a cavity, and the collapsed lung behind it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmfusion.synthetic.chest import vessels
from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.appearance import TYPES
from mmfusion.synthetic.chest.geometry import Grid, coverage
from mmfusion.synthetic.chest.lungs import Lungs
from mmfusion.synthetic.chest.noise import fractal
from mmfusion.synthetic.chest.shape import LesionShape
from mmfusion.synthetic.chest.tissue import AIR, paint

PATTERNS = ("central", "diffuse", "laminated", "popcorn")  # of calcification
COLLAPSE_FROM_MM = 26.0  # smallest diameter of a lesion that closes a bronchus


class Nodule:
    """Tissue of one lesion.

    Parameters
    ----------
    lesion : mapping
        Row of `appearance.draw`.
    lungs : Lungs
        The lungs, for the HU of ground glass and of blood.
    rng : Generator
        Random generator.

    Attributes
    ----------
    solid_hu : float
        Attenuation of the solid part, HU.
    invasion_mm : float
        How far the lesion grows into the chest wall, mm.

    Examples
    --------
    >>> from mmfusion.synthetic.chest.tissue import Contrast
    >>> lungs = Lungs(Chest(np.random.default_rng(0)), Contrast(42, 42, 0), np.random.default_rng(1))
    >>> row = {"type": "solid", "diameter_mm": 9.0, "solidity": 1.0, "cavity": 0.0, "calcium": 0.0}
    >>> bool(0 < Nodule(row, lungs, np.random.default_rng(2)).solid_hu < 80)
    True
    """

    def __init__(self, lesion: Mapping[str, object], lungs: Lungs, rng: np.random.Generator) -> None:
        self.radius = lesion["diameter_mm"] / 2
        self.solidity, self.cavity = float(lesion["solidity"]), float(lesion["cavity"])
        self.blood_hu = lungs.contrast.arteries
        more = lungs.contrast.enhancement
        self.solid_hu = float(rng.uniform(18, 52) + more * rng.uniform(0.4, 1.1))
        self.glass_hu = lungs.hu + float(rng.uniform(170, 360))
        self.mottle_hu = float(rng.uniform(4, 16))
        self.necrosis_hu = float(rng.uniform(10, 35)) if self.radius > 11 and rng.random() < 0.5 else 0.0
        self.pattern = str(rng.choice(PATTERNS)) if lesion["calcium"] else ""
        self.calcium_hu = float(rng.uniform(350, 900))
        self.fluid_y = float(rng.uniform(0.1, 0.5)) * self.radius if rng.random() < 0.2 else np.inf
        self.edge_mm = float(rng.uniform(1.5, 3.0)) if self.solidity < 1 else float(rng.uniform(0.5, 1.2))
        kind = TYPES[lesion["type"]]
        grows = kind.place == "wall" and self.radius > 8 and rng.random() < 0.25
        self.invasion_mm = float(rng.uniform(2, 0.6 * self.radius)) if grows else 0.0
        closes = self.radius * 2 > COLLAPSE_FROM_MM and self.solidity == 1 and not lesion["calcium"]
        self.collapse = bool(closes and rng.random() < 0.4)
        self.collapse_hu = float(rng.uniform(15, 45) + 1.5 * more)
        # how much of the collapsed lung still has air, in patches
        self.patchy = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.5 else 0.0
        # ground-glass halo; it ends inside the box that is drawn
        haze = min(float(rng.uniform(2, 9)), 1 + 0.5 * self.radius)
        self.haze_mm = haze if self.solidity == 1 and rng.random() < 0.3 else 0.0
        self.haze = float(rng.uniform(0.15, 0.55))
        self.collapse_from = float(rng.uniform(0.1, 0.6)) * self.radius

    def draw(
        self, hu: np.ndarray, distance: np.ndarray, vessel: np.ndarray, grid: Grid, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw the lesion into an image in place; return the share of each voxel inside it.

        Parameters
        ----------
        hu : ndarray of float32, shape `grid.shape`
            The image, HU.
        distance : ndarray, shape `grid.shape`
            Distance to the lesion's surface, mm.
        vessel : ndarray, shape `grid.shape`
            Share of each voxel inside vessels; they are seen through ground glass.
        grid : Grid
            Positions.
        rng : Generator
            Random generator of the texture.
        """
        voxel = grid.spacing[1]
        texture = fractal(rng, grid, max(3.0, self.radius * 0.5))
        tissue = self.solid_hu + self.mottle_hu * texture
        if self.necrosis_hu:
            tissue -= self.necrosis_hu * coverage(distance + self.radius * (0.45 + 0.12 * texture), 3.0)
        if self.solidity < 1:
            glass = self.glass_hu + 45 * texture
            paint(glass, vessel, self.blood_hu)
            if self.solidity > 0:
                core = distance + self._depth(self.solidity) + 0.12 * self.radius * texture
                paint(glass, coverage(core, max(voxel, 1.0)), tissue)
            tissue = glass
        if self.pattern:
            paint(tissue, self._calcified(distance, texture, voxel), self.calcium_hu)
        if self.cavity:
            hole = coverage(distance + self._depth(self.cavity) + 0.1 * self.radius * texture, voxel)
            fluid = grid.y[None, :, None] > grid.y.mean() + self.fluid_y
            paint(tissue, hole, np.where(fluid, np.float32(12), np.float32(AIR + 20)))
        if self.haze_mm:
            halo = np.clip(1 - distance / self.haze_mm + 0.4 * texture, 0, 1) * (hu < self.glass_hu)
            paint(hu, self.haze * halo, self.glass_hu + 150)
        paint(hu, coverage(distance, max(voxel, self.edge_mm)), tissue)
        return coverage(distance, voxel)

    def draw_spicules(self, shape: LesionShape, centre: np.ndarray, grid: Grid) -> np.ndarray:
        """Return the share of each voxel inside spicules."""
        return vessels.draw(shape.spicules(centre), grid)

    def draw_collapse(
        self, hu: np.ndarray, grid: Grid, centre: np.ndarray, chest: Chest, rng: np.random.Generator
    ) -> None:
        """Draw the collapsed lung behind the lesion, as seen from the hilum, into an image (HU) in place."""
        if not self.collapse:
            return
        hilum = chest.hila[1 if centre[2] > 0 else -1]
        outward = (centre - hilum) / (np.linalg.norm(centre - hilum) + 1e-6)
        offset = [a - np.float32(c) for a, c in zip(grid.coordinates, centre)]
        along = sum(o * np.float32(d) for o, d in zip(offset, outward))
        across = np.sqrt(np.maximum(sum(o**2 for o in offset) - along**2, 0))
        texture = fractal(rng, grid, 18.0)
        cone = np.maximum(across - self.radius * 0.95 - 0.3 * along, self.collapse_from - along) + 3 * texture
        air = np.clip(self.patchy * (texture + 0.4), 0, 1)
        paint(hu, coverage(cone, 2.0) * (1 - air), self.collapse_hu + 12 * texture)

    def _depth(self, share: float) -> float:
        """Return the depth below the surface of an inner part with this share of a ball's volume, mm."""
        return self.radius * (1 - share ** (1 / 3))

    def _calcified(self, distance: np.ndarray, texture: np.ndarray, voxel: float) -> np.ndarray:
        depth = -distance / np.float32(self.radius)  # 0 at the surface, about 1 in the centre
        edge = max(voxel, 0.8) / self.radius
        return {
            "central": lambda: coverage(0.45 - depth, edge),
            "diffuse": lambda: coverage(0.12 - depth, edge),
            "laminated": lambda: (
                coverage(np.abs(np.mod(depth * 3.2, 1.0) - 0.5) - 0.3, edge * 3.2) * (depth > 0.08)
            ),
            "popcorn": lambda: np.clip(1.5 * texture + 0.6, 0, 1) * coverage(0.15 - depth, edge),
        }[self.pattern]()
