import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.preprocessing.crop_features import crop_features

SIDE, SPACING = 32, 3.0
AXIS = (np.arange(SIDE) - (SIDE - 1) / 2) * SPACING
Z, Y, X = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")


def crop(hu):
    return np.clip((hu + 1000) / 1400, 0, 1).astype(np.float32)[None, None]


def with_ball(diameter, hu=30.0, lung=-850.0, stretch=1.0):
    depth = diameter / 2 - np.sqrt((Z / stretch) ** 2 + (Y * stretch**0.5) ** 2 + (X * stretch**0.5) ** 2)
    return lung + np.clip(depth / SPACING + 0.5, 0, 1) * (hu - lung)


def row(hu):
    return crop_features(crop(hu)).iloc[0]


@pytest.mark.parametrize("diameter", [12, 20, 30, 40])
def test_a_ball_is_measured(diameter):
    got = row(with_ball(diameter))
    assert got["piece_diameter_mm"] == pytest.approx(diameter, rel=0.1)
    assert got["piece_ml"] == pytest.approx(np.pi / 6 * diameter**3 / 1000, rel=0.3)
    assert got[["piece_elongation", "piece_flatness"]].tolist() == pytest.approx([1, 1], abs=0.02)
    assert 0.9 < got["piece_sphericity"] <= 1
    assert got["density_0_4mm"] == pytest.approx(30, abs=60)
    assert got["density_30_42mm"] == pytest.approx(-850, abs=1)


def test_meaning_of_the_features():
    solid, faint = row(with_ball(24)), row(with_ball(24, hu=-300))
    assert solid["piece_density"] > faint["piece_density"] + 200
    assert solid["piece_rim_edge"] > faint["piece_rim_edge"]
    assert solid["soft_share_6mm"] == 1
    assert faint["soft_share_6mm"] == 0
    long = row(with_ball(24, stretch=1.8))
    assert long["piece_flatness"] == pytest.approx(1.8**-1.5, abs=0.1)
    flat = row(with_ball(36, stretch=0.5))
    assert flat["piece_elongation"] == pytest.approx(1, abs=0.02) and flat["piece_flatness"] < 0.5
    rng = np.random.default_rng(0)
    assert row(with_ball(24) + rng.normal(0, 60, Z.shape))["edge_energy_15mm"] > solid["edge_energy_15mm"]


@pytest.mark.parametrize("half", [12, 14, 16])
def test_nothing_is_rounder_than_a_ball(half):
    cube = np.where(np.maximum(np.maximum(np.abs(X), np.abs(Y)), np.abs(Z)) < half, 30.0, -850.0)
    octahedron = np.where(np.abs(X) + np.abs(Y) + np.abs(Z) < 1.5 * half, 30.0, -850.0)
    ball = row(with_ball(2 * half))["piece_sphericity"]
    assert 0.95 < ball <= 1
    assert ball > row(cube)["piece_sphericity"] > 0.8 and ball > row(octahedron)["piece_sphericity"] > 0.8


def test_pleura_on_a_bridge_is_not_the_lesion():
    chest = with_ball(18)
    chest[X > 21] = 40
    chest[(np.abs(Y) < 2) & (np.abs(Z) < 2) & (X > 0)] = 40
    assert row(chest)["piece_diameter_mm"] == pytest.approx(18, rel=0.2)


def test_no_tissue_at_the_centre():
    got = row(np.full(Z.shape, -850.0))
    assert got.filter(like="piece_").eq(0).all()
    assert got.notna().all()


def test_frame():
    crops = np.concatenate([crop(with_ball(20)), np.zeros((1, 1, SIDE, SIDE, SIDE), np.float32)])
    before = crops.copy()
    got = crop_features(crops, index=["P1", "P2"])
    assert list(got.index) == ["P1", "P2"]
    assert got.shape == (2, 24)
    assert got.loc["P1"].notna().all()
    assert got.loc["P2"].isna().all()  # all zeros: no scan
    np.testing.assert_array_equal(crops, before)
    alone = crop_features(crops[:1])
    np.testing.assert_array_equal(alone.iloc[0], got.iloc[0])
    assert list(crop_features(crops[:0]).columns) == list(got.columns)


def test_flips_do_not_matter():
    hu = with_ball(20)
    hu[X > 30] = 40
    for axis in range(3):
        np.testing.assert_allclose(row(np.flip(hu, axis)), row(hu), rtol=1e-4)


def test_not_crops():
    with pytest.raises(DataError, match=r"not crops .*got \(3, 8, 8, 8\)"):
        crop_features(np.zeros((3, 8, 8, 8)))
