"""HU outside the lungs: chest wall, mediastinum, spine, abdomen."""

from __future__ import annotations

from functools import partial

import numpy as np

from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.geometry import Grid, capsule, coverage, ellipsoid, sampled
from mmfusion.synthetic.chest.noise import fractal
from mmfusion.synthetic.chest.tissue import AIR, FAT, MUSCLE, Contrast, paint


def outside_lungs(
    chest: Chest,
    contrast: Contrast,
    grid: Grid,
    cavity: np.ndarray,
    diaphragm: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the HU outside the lungs, shape `grid.shape`: chest wall, mediastinum, spine, abdomen, air.

    Parameters
    ----------
    chest : Chest
        The surfaces.
    contrast : Contrast
        Contrast phase.
    grid : Grid
        Where to draw.
    cavity, diaphragm : ndarray, shape `grid.shape`
        Distance to the inner surface of the rib cage and to the diaphragm, mm.
    rng : Generator
        Random generator.
    """
    mottle = fractal(rng, grid, 16.0)
    hu = _mediastinum(chest, contrast, grid, mottle, rng)
    voxel = grid.spacing[1]
    below = coverage(diaphragm, voxel)
    if below.any():
        paint(hu, below, _abdomen(chest, contrast, grid, mottle, rng))
    beyond = coverage(-cavity, voxel)
    if beyond.any():
        paint(hu, beyond, _wall(chest, grid, cavity, mottle, rng))
    _spine(hu, chest, grid, mottle)
    return hu


def _wall(
    chest: Chest, grid: Grid, depth: np.ndarray, mottle: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the HU of the chest wall: ribs, sternum, muscles with fat between them, fat, skin, air."""
    at, voxel = grid.coordinates, grid.spacing[1]
    wall = np.full(grid.shape, MUSCLE, dtype=np.float32) + 6 * mottle
    fatty = np.float32(rng.uniform(-1.2, -0.2))  # more fat between the muscles in some patients
    layers = 0.6 * np.sin(depth * np.float32(0.4) + mottle) + 0.8 * mottle
    paint(wall, np.clip(2 * (layers + fatty), 0, 1) * (depth > 1.2), FAT)
    ribs = chest.ribs(at, depth)
    front = np.clip((at[1] / chest.cavity_radii[1] + 0.75) * 8, 0, 1)  # cartilage in front
    cortex, marrow = coverage(ribs, voxel), coverage(ribs + 1.6, voxel)
    paint(wall, cortex, 100 + (rng.uniform(350, 650) - 100) * front)
    paint(wall, marrow, 90 + (rng.uniform(40, 220) + 25 * mottle - 90) * front)
    under = coverage(chest.muscle_mm + 11 - depth + 3 * mottle, 2.0)
    paint(wall, under, FAT + 8 * mottle)
    sternum = chest.sternum(at)
    paint(wall, coverage(sternum, voxel), 350.0)
    paint(wall, coverage(sternum + 1.8, voxel), 130 + 25 * mottle)
    skin = chest.body(depth, at)
    paint(wall, coverage(np.abs(skin + 1) - 1, voxel), 20.0)
    paint(wall, coverage(-skin, voxel), AIR)
    return wall


def _mediastinum(
    chest: Chest, contrast: Contrast, grid: Grid, mottle: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the HU of the mediastinum: fat, nodes, heart, great vessels, central airways, oesophagus."""
    at, voxel = grid.coordinates, grid.spacing[1]
    middle = (grid.low + grid.high) / 2
    fat, gain = rng.uniform(-110, -70), rng.uniform(0.8, 2.0)
    hu = np.float32(fat) + 10 * mottle
    hu += np.clip(gain * (mottle - rng.uniform(-0.4, 1.0)), 0, 1) * np.float32(130)
    if grid.near(chest.at_middle("heart", middle)):
        heart = sampled(chest.heart, grid)
        paint(hu, coverage(heart, voxel), MUSCLE + contrast.enhancement + 5 * mottle)
        s, centre = chest.scale, chest.heart_centre
        for offset, radii, blood in (
            ((-6, 6, 22), (26, 21, 19), contrast.arteries),
            ((16, 24, 2), (17, 15, 26), contrast.arteries),
            ((-6, -18, -2), (30, 17, 30), contrast.veins),
            ((8, -6, -32), (25, 21, 17), contrast.veins),
        ):
            chamber = sampled(
                partial(ellipsoid, centre=centre + np.array(offset) * s, radii=np.array(radii) * s), grid
            )
            paint(hu, coverage(np.maximum(chamber, heart + 3), voxel), blood)
    for name, blood in (("other_vessels", contrast.veins), ("aorta", contrast.arteries)):
        if grid.near(chest.at_middle(name, middle)):
            paint(hu, coverage(sampled(getattr(chest, name), grid), voxel), blood)
    if grid.near(chest.at_middle("central_airways", middle)):
        lumen = sampled(chest.central_airways, grid, 3.0)
        paint(hu, coverage(lumen - 1.6, voxel), 20.0)
        paint(hu, coverage(lumen, voxel), AIR)
    s = chest.scale
    oesophagus = capsule((np.float32(0), at[1], at[2]), *(np.array([0, 22, 4]) * s,) * 2, 6 * s, 6 * s)
    paint(hu, coverage(oesophagus, voxel), 35.0)
    return hu


def _spine(hu: np.ndarray, chest: Chest, grid: Grid, mottle: np.ndarray) -> None:
    """Draw vertebrae, discs, the canal and the arches into an image."""
    at, voxel, s = grid.coordinates, grid.spacing[1], chest.scale
    z, y, x = at
    column = ellipsoid((np.float32(0), y, x), chest.spine * [0, 1, 1], (1e6, 15 * s, 18 * s))
    if not grid.near(float(column.min()), 0) or float(column.min()) > 30:
        return
    period = np.float32(23 * s)
    along = np.abs(np.mod(z + 0.2 * y, period) - period / 2) - np.float32(9 * s)  # a disc between two bodies
    body = np.maximum(column, along)
    paint(hu, coverage(column, voxel), 75.0)
    paint(hu, coverage(body, voxel), 450.0)
    paint(hu, coverage(body + 1.8, voxel), 170 + 30 * mottle)
    arch = capsule((np.float32(0), y, x), np.array([0, 78, 0]) * s, np.array([0, 108, 0]) * s, 15 * s, 5 * s)
    wings = capsule(
        (np.float32(0), y, np.abs(x)), np.array([0, 78, 6]) * s, np.array([0, 90, 34]) * s, 6 * s, 4 * s
    )
    bone = np.minimum(np.maximum(arch, along - 4), np.maximum(wings, along))
    paint(hu, coverage(bone, voxel), 400.0)
    paint(hu, coverage(bone + 2, voxel), 200 + 30 * mottle)
    canal = capsule(
        (np.float32(0), y, x), np.array([0, 81, 0]) * s, np.array([0, 81, 0]) * s, 8.5 * s, 8.5 * s
    )
    paint(hu, coverage(canal, voxel), 30.0)


def _abdomen(
    chest: Chest, contrast: Contrast, grid: Grid, mottle: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the HU below the diaphragm: liver at the right, spleen, stomach and fat at the left."""
    at, voxel, s = grid.coordinates, grid.spacing[1], chest.scale
    hu = np.float32(FAT) + 10 * mottle
    organ = 1 + contrast.enhancement / 60
    left = np.float32(chest.dome_left)
    spleen = ellipsoid(at, (left - 45 * s, 45 * s, 95 * s), (60 * s, 42 * s, 30 * s))
    stomach = ellipsoid(at, (left - 38 * s, -10 * s, 62 * s), (48 * s, 48 * s, 40 * s))
    paint(hu, coverage(stomach, voxel), 35.0)
    paint(hu, coverage(stomach + 4, voxel), rng.uniform(5, 40))
    paint(hu, coverage(np.maximum(stomach + 4, at[1] + np.float32(rng.uniform(15, 45) * s)), voxel), AIR)
    paint(hu, coverage(spleen, voxel), 48 * organ + 4 * mottle)
    edge = at[2] - np.float32(25 * s) - 8 * mottle
    paint(hu, coverage(edge, voxel), rng.uniform(45, 65) * organ + 4 * mottle)
    return hu
