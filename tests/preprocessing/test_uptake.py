import doctest

import numpy as np
import pytest

from mmfusion.preprocessing import hu_only, uptake
from mmfusion.preprocessing.crop_features import crop_features


def crop(suv_max: float, radius: float, *, background: float = 1.0, side: int = 32, spacing: float = 3.0):
    """A ball of one uptake at the centre, in [0, 1] of 0 to 15 SUVbw: shape (1, 1, S, S, S)."""
    axis = (np.arange(side) - (side - 1) / 2) * spacing
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    inside = z**2 + y**2 + x**2 <= radius**2
    return np.where(inside, suv_max, background)[None, None].astype(np.float32) / 15, int(inside.sum())


def test_numbers_of_a_ball_of_known_uptake():
    values, voxels = crop(8.0, 15.0)
    row = crop_features(values, modality="pet").iloc[0]
    ml = voxels * 27 / 1000
    assert row["suv_max"] == pytest.approx(8, abs=1e-5) and row["suv_peak"] == pytest.approx(8, abs=1e-5)
    assert row["suv_mean_10mm"] == pytest.approx(8, abs=1e-5)
    assert 1 < row["suv_mean_20mm"] < 8
    assert row["suv_background"] == pytest.approx(1) and row["suv_ratio"] == pytest.approx(8)
    assert row["volume_suv2.5_ml"] == pytest.approx(ml) and row["volume_41pct_ml"] == pytest.approx(ml)
    assert ml == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.1)
    assert row["suv_mean_41pct"] == pytest.approx(8) and row["suv_sd_41pct"] == pytest.approx(0, abs=1e-5)
    assert row["glycolysis_41pct"] == pytest.approx(8 * ml)


def test_a_peak_of_one_voxel_is_lower_than_its_maximum():
    values, _ = crop(8.0, 15.0)
    values[0, 0, 16, 16, 16] = 14 / 15
    row = crop_features(values, modality="pet").iloc[0]
    assert row["suv_max"] == pytest.approx(14) and 8 < row["suv_peak"] < 8.4


def test_another_hot_place_is_not_counted():
    values, voxels = crop(8.0, 9.0)
    values[0, 0, :3] = 14 / 15  # more than 30 mm away: a heart, say
    row = crop_features(values, modality="pet").iloc[0]
    assert row["suv_max"] == pytest.approx(8)
    assert row["volume_41pct_ml"] == pytest.approx(voxels * 27 / 1000)


def test_nothing_above_the_fixed_threshold():
    values, _ = crop(2.0, 9.0)
    row = crop_features(values, modality="pet").iloc[0]
    assert row["volume_suv2.5_ml"] == 0 and row["volume_41pct_ml"] > 0


def test_what_is_wrong_if_the_uptake_is_above_the_window():
    axis = (np.arange(32) - 15.5) * 3.0
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    suv = (25 * np.exp(-(z**2 + y**2 + x**2) / (2 * 8**2)) + 0.8)[None, None]
    true, cut = (crop_features(one / 15, modality="pet").iloc[0] for one in (suv, np.clip(suv, 0, 15)))
    assert cut["suv_max"] == pytest.approx(15)
    too_low = ["suv_max", "suv_peak", "suv_ratio", "suv_mean_6mm", "suv_mean_41pct"]
    assert (cut[too_low] < 0.9 * true[too_low]).all()
    assert cut["volume_41pct_ml"] > 2 * true["volume_41pct_ml"]
    assert cut["glycolysis_41pct"] > 1.3 * true["glycolysis_41pct"]
    assert cut["volume_suv2.5_ml"] == true["volume_suv2.5_ml"]


def test_rows_without_a_scan_are_missing():
    values, _ = crop(8.0, 15.0)
    table = crop_features(np.concatenate([values, np.zeros_like(values)]), modality="pet", index=["A", "B"])
    assert table.shape == (2, 13) and table.loc["A"].notna().all() and table.loc["B"].isna().all()


def test_examples():
    for module in (hu_only, uptake):
        result = doctest.testmod(module)
        assert result.attempted and not result.failed
