import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging.restoration import NonLocalMeans
from mmfusion.imaging.restoration import cellpose as adapter
from mmfusion.quality import compare_restorers
from tests.imaging.restorers import NOISE, noisy, truth

DENOISERS = ["nlm", "bilateral", "wavelet"]


def test_comparison_against_a_known_truth():
    clean, lesion = truth((12, 64, 64))
    scan = noisy(clean)
    found = compare_restorers(scan, mask=lesion, reference=clean, predict=lambda v: {"I": 0.4, "II": 0.6})
    table = found.table
    assert list(table.index) == ["input", "identity", "bilateral", "nlm", "wavelet"]
    one = table.loc[["input", "identity"]]
    assert (
        (one["ssim"] == 1).all() and np.isinf(one["psnr_db"]).all() and (one["mean_abs_delta_hu"] == 0).all()
    )
    expected = -20 * np.log10(NOISE / 1400)  # a few voxels are clipped by the window
    assert table.loc["input", "psnr_reference_db"] == pytest.approx(expected, abs=0.3)
    better = table.loc[DENOISERS]
    assert (better["psnr_reference_db"] > table.loc["input", "psnr_reference_db"] + 2).all()
    assert (better["ssim_reference"] > table.loc["input", "ssim_reference"]).all()
    assert (better["psnr_db"] < 45).all() and (better["ssim"] < 0.999).all()
    assert table.loc["input", "contrast_hu"] == pytest.approx(890, abs=15)
    assert table.loc["input", "cnr"] == pytest.approx(890 / NOISE, rel=0.1)
    assert (better["cnr"] > table.loc["input", "cnr"]).all()
    assert table.loc["input", "noise_tissue_hu"] == pytest.approx(NOISE, rel=0.1)
    assert (better["noise_tissue_hu"] < 0.9 * NOISE).all()
    assert (table["shift"] == 0).all() and (table["p(II)"] == 0.6).all()
    assert table["seconds"].isna().tolist() == [True, *[False] * 4]


def test_comparison_shows_the_slice_through_the_lesion():
    clean, lesion = truth()
    found = compare_restorers(clean, ["nlm", {"name": "wavelet", "sigma_hu": 30.0}], mask=lesion)
    assert found.slice_index in (7, 8) and found.spacing == (1.0, 1.0)
    assert list(found.images) == ["input", "nlm", "wavelet"] and list(found.deltas) == ["nlm", "wavelet"]
    np.testing.assert_array_equal(found.contour, lesion.array[found.slice_index] > 0)
    np.testing.assert_array_equal(found.deltas["wavelet"], found.images["wavelet"] - found.images["input"])


def test_a_ball_around_a_point_is_used_as_the_lesion():
    clean, _ = truth()
    found = compare_restorers(clean, ["identity"], point=(0, 0, 0))
    assert found.table.loc["input", "contrast_hu"] == pytest.approx(
        890, abs=60
    )  # the ball's own rim is in the ring
    without = compare_restorers(clean, ["identity"])
    assert without.contour is None and "contrast_hu" not in without.table
    with pytest.raises(ScanError, match="outside the scan"):
        compare_restorers(clean, ["identity"], point=(1000, 0, 0))


def test_a_change_of_the_prediction_is_measured():
    clean, _ = truth()
    found = compare_restorers(
        noisy(clean), ["identity", "nlm"], predict=lambda v: {"I": float(v.array.std()), "II": 0.0}
    )
    assert found.table.loc["identity", "shift"] == 0 < found.table.loc["nlm", "shift"]


def test_restorers_with_equal_names_get_different_labels():
    clean, _ = truth((4, 24, 28))
    chosen = [
        {"name": "nlm", "strength": 0.5},
        NonLocalMeans(strength=2.0, patch=5),
        "identity",
        "nlm",
        "identity",
    ]
    found = compare_restorers(noisy(clean), chosen)
    names = ["nlm strength=0.5 patch=3", "nlm strength=2.0 patch=5", "identity", "nlm strength=0.8 patch=3"]
    assert list(found.deltas) == [*names, "identity #2"] == list(found.table.index[1:])
    assert found.table["mean_abs_delta_hu"].nunique() == 4  # of the input and both identities, nothing


def test_by_default_those_that_need_no_weights():
    clean, _ = truth((4, 24, 28))
    assert adapter.CellposeRestorer.needs_weights and not NonLocalMeans.needs_weights
    assert list(compare_restorers(clean).deltas) == ["identity", "bilateral", "nlm", "wavelet"]


def test_volumes_on_different_grids_are_not_compared():
    with pytest.raises(ScanError, match="different grids"):
        compare_restorers(truth()[0], ["identity"], reference=truth((8, 40, 44))[0])


def test_real_nodule_keeps_its_contrast(shared_data):
    import pandas as pd

    from mmfusion.imaging import read

    seeds = pd.read_csv(shared_data / "nsclc_radiogenomics" / "fmcib_seeds.csv", index_col="Case ID")
    seed = seeds.loc["R01-001", ["coordX", "coordY", "coordZ"]].to_numpy(dtype=float)
    scan = read(shared_data / "nsclc_radiogenomics" / "ct" / "R01-001.zip").around(seed, 40)
    table = compare_restorers(scan, point=seed).table
    assert table.loc["input", "contrast_hu"] == pytest.approx(632, abs=5)
    np.testing.assert_allclose(table["contrast_hu"], table.loc["input", "contrast_hu"], rtol=0.01)
    assert (
        table.loc[["nlm", "bilateral"], "noise_tissue_hu"] < 0.8 * table.loc["input", "noise_tissue_hu"]
    ).all()
