"""Inside of the lungs: parenchyma, fissures, airways and vessels, in HU."""

from __future__ import annotations

import numpy as np

from mmfusion.synthetic.chest import vessels
from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.geometry import Grid, coverage
from mmfusion.synthetic.chest.noise import fractal
from mmfusion.synthetic.chest.tissue import AIR, Contrast, paint


class Lungs:
    """Inside of the lungs of one patient: parenchyma, fissures, airways and vessels.

    Parameters
    ----------
    chest : Chest
        The surfaces.
    contrast : Contrast
        Contrast phase.
    rng : Generator
        Random generator.

    Examples
    --------
    >>> chest = Chest(np.random.default_rng(0))
    >>> lungs = Lungs(chest, Contrast(42, 42, 0), np.random.default_rng(1))
    >>> hu, vessel = lungs.draw(Grid.around((20, 0, -80), (8, 8, 8), (1, 1, 1)), np.random.default_rng(2))
    >>> bool(np.median(hu) < -650)
    True
    """

    def __init__(self, chest: Chest, contrast: Contrast, rng: np.random.Generator) -> None:
        self.chest, self.contrast = chest, contrast
        self.hu = float(rng.uniform(-890, -790))
        self.gradient = float(rng.uniform(0.05, 0.45))  # HU per mm to the back, where the lung is denser
        self.emphysema = float(rng.uniform(0.1, 0.5)) if rng.random() < 0.2 else 0.0
        self._seed = int(rng.integers(2**62))
        self._trees: dict[int, tuple[vessels.Tubes, vessels.Tubes]] = {}

    def trees(self, side: int) -> tuple[vessels.Tubes, vessels.Tubes]:
        """Return the arteries and veins of the right (-1) or left (1) lung; they are grown at first use."""
        if side not in self._trees:
            rng = np.random.default_rng([self._seed, side + 1])
            self._trees[side] = vessels.grow(self.chest, side, rng)
        return self._trees[side]

    def draw(self, grid: Grid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the HU, and the share of each voxel that is in a vessel, both of shape `grid.shape`."""
        at, voxel = grid.coordinates, grid.spacing[1]
        hu = np.full(grid.shape, self.hu, dtype=np.float32) + np.float32(self.gradient) * at[1]
        hu += rng.uniform(8, 22) * fractal(rng, grid, 30.0, 2)
        hu += rng.uniform(10, 30) * fractal(rng, grid, 5.0, 2)
        if self.emphysema:
            holes = fractal(rng, grid, 7.0, 3)
            paint(hu, np.clip((holes - 1.2 + self.emphysema) * 0.9, 0, 1), -960.0)
        sheet = coverage(self.chest.fissures(at) - 0.4, voxel) * np.float32(min(1, 0.9 / voxel))
        paint(hu, sheet, -600.0)
        vessel = np.zeros(grid.shape, dtype=np.float32)
        for side in (-1, 1):
            if max(side * grid.low[2], side * grid.high[2]) > 0:
                self._draw_trees(hu, vessel, side, grid)
        return hu, vessel

    def _draw_trees(self, hu: np.ndarray, vessel: np.ndarray, side: int, grid: Grid) -> None:
        """Draw airways and vessels of one lung into the image and into the share of vessels, in place."""
        arteries, veins = self.trees(side)
        lumen = vessels.airways(arteries, side)
        if lumen.within(grid.low, grid.high).any():
            paint(hu, vessels.draw(lumen.wider(1.15, 0.5), grid), -50.0)
            paint(hu, vessels.draw(lumen, grid), AIR)
        # pulmonary arteries carry venous blood, and pulmonary veins arterial blood
        for tree, blood in ((arteries, self.contrast.veins), (veins, self.contrast.arteries)):
            share = vessels.draw(tree, grid)
            paint(hu, share, blood)
            np.maximum(vessel, share, out=vessel)
