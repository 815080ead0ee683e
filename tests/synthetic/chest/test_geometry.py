"""Shapes have the volume of the formula, at every spacing; noise depends on the position only."""

import numpy as np
import pytest

from mmfusion.synthetic.chest.anatomy import Chest
from mmfusion.synthetic.chest.geometry import Grid, capsule, coverage, ellipsoid, sampled, smooth_union
from mmfusion.synthetic.chest.noise import Noise, Waves
from mmfusion.synthetic.chest.vessels import Tubes, airways, draw, grow


@pytest.mark.parametrize("spacing", [0.5, 1.0, 2.5])
def test_partial_volume_keeps_the_volume_of_an_ellipsoid(spacing):
    grid = Grid.around((0.3, 0.1, -0.2), (round(36 / spacing),) * 3, (spacing,) * 3)
    share = coverage(ellipsoid(grid.coordinates, (0, 0, 0), (9, 12, 15)), spacing)
    assert share.sum() * spacing**3 == pytest.approx(4 / 3 * np.pi * 9 * 12 * 15, rel=0.02)


def test_distance_to_a_sphere_is_exact():
    points = tuple(np.random.default_rng(0).normal(0, 20, (3, 50)).astype(np.float32))
    expected = np.sqrt(sum(p**2 for p in points)) - 7
    assert ellipsoid(points, (0, 0, 0), (7, 7, 7)) == pytest.approx(expected, abs=0.02)
    assert capsule(points, np.zeros(3), np.zeros(3), 7, 7) == pytest.approx(expected, abs=1e-4)


def test_a_union_contains_both():
    a, b = np.random.default_rng(0).normal(0, 5, (2, 100))
    union = smooth_union(a, b, 2.0)
    assert (union <= np.minimum(a, b) + 1e-9).all()
    assert (union >= np.minimum(a, b) - 0.5 - 1e-9).all()  # a quarter of the rounding


def test_noise_is_a_function_of_the_position():
    noise = Noise(np.random.default_rng(1), (0, 0, 0), (30, 30, 30), 3.0)
    fine, coarse = (
        Grid.around((15, 15, 15), (31,) * 3, (1,) * 3),
        Grid.around((15, 15, 15), (16,) * 3, (2,) * 3),
    )
    assert np.abs(noise(fine)[::2, ::2, ::2] - noise(coarse)).max() < 1e-4
    assert noise(fine).std() == pytest.approx(1, abs=0.1)
    waves = Waves(np.random.default_rng(1), 30.0)
    many = waves(tuple(np.random.default_rng(2).uniform(0, 5000, (3, 4000))))
    assert (many.mean(), many.std()) == pytest.approx((0, 1), abs=0.1)


def test_smooth_surfaces_can_be_interpolated():
    chest = Chest(np.random.default_rng(3))
    near_hilum, near_liver = (
        Grid.around(c, (40, 40, 40), (1.5, 1.5, 1.5)) for c in ((20, 0, -30), (-80, 30, -110))
    )
    for surface, grid in (
        (chest.cavity, near_liver),
        (chest.diaphragm, near_liver),
        (chest.mediastinum, near_hilum),
        (chest.organs, near_hilum),
    ):
        exact = np.broadcast_to(surface(grid.coordinates), grid.shape)
        near = np.abs(exact) < 5
        error = np.abs(sampled(surface, grid) - exact)[near]
        assert near.sum() > 1000
        assert error.mean() < 0.3
        assert error.max() < 2


@pytest.mark.parametrize("radius", [0.3, 0.8, 2.0])
def test_a_tube_has_its_cross_section(radius):
    ends = np.array([[0.2, -0.3, -20.0]]), np.array([[0.2, -0.3, 20.0]])
    tube = Tubes(*ends, np.array([radius]), np.array([radius]))
    share = draw(tube, Grid.around((0, 0, 0), (16, 16, 16), (1, 1, 1)))
    assert share.sum(axis=(0, 1)).mean() == pytest.approx(np.pi * radius**2, rel=0.1)
    assert share.max() <= 1


def test_tubes_drawn_in_groups_are_the_same(monkeypatch):
    arteries, _ = grow(Chest(np.random.default_rng(0)), -1, np.random.default_rng(1))
    grid = Grid.around((10, 0, -70), (20, 20, 20), (2, 2, 2))
    together = draw(arteries, grid)
    monkeypatch.setattr("mmfusion.synthetic.chest.vessels._AT_ONCE", 500)
    assert np.array_equal(draw(arteries, grid), together)
    assert together.max() > 0.9


def test_vessels_lie_in_their_lung_and_become_thinner():
    chest = Chest(np.random.default_rng(4))
    for side in (-1, 1):
        arteries, veins = grow(chest, side, np.random.default_rng(5))
        for tree in (arteries, veins):
            at = tuple(tree.start[tree.radius < 1.0].astype(np.float32).T)
            assert (chest.lung(at) < 0).mean() > 0.97
            assert (tree.tip <= tree.radius).all()
            assert (side * tree.start[tree.radius < 1.0, 2] > 0).mean() > 0.95
        bronchi = airways(arteries, side)
        assert 0 < len(bronchi.radius) < len(arteries.radius)


def test_branches_keep_the_sum_of_cubes():
    arteries, veins = grow(Chest(np.random.default_rng(0)), 1, np.random.default_rng(0))
    first = arteries.radius[:8]
    assert (first**3).sum() > 0
    assert max(arteries.radius.max(), veins.radius.max()) <= 6 * 0.85
