import copy

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.imaging import Volume
from mmfusion.imaging.restoration import restore
from mmfusion.preprocessing import scans
from mmfusion.preprocessing.scans import ScanTransformer, SeedWarning, standard_crop
from tests.imaging.dicoms import phantom_hu, write_series, zipped
from tests.imaging.restorers import write_network
from tests.imaging.test_lungs import chest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def scan():
    """Lung at -800 HU with a ball of 40 HU and 20 mm across at (10, 20, 30)."""
    spacing, n = 2.0, 50
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = np.array([10, 20, 30]) + axis[0]
    return Volume(np.where(x**2 + y**2 + z**2 < 100, 40, -800).astype(np.int16), affine)


def saved(volume, path):
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.affine[:3, 3])
    sitk.WriteImage(image, str(path))
    return str(path)


def frame(scan, tmp_path, n=3):
    seeds = {f"seed_{a}": [v, np.nan, np.nan][:n] for a, v in zip("xyz", (10.0, 20.0, 30.0))}
    paths = [saved(scan, tmp_path / "a.nii.gz"), np.nan, saved(scan, tmp_path / "b.nii.gz")][:n]
    index = pd.Index(["P1", "P2", "P3"][:n], name="patient_id")
    return pd.DataFrame({"volume": pd.array(paths, dtype="str"), "mask": np.nan, **seeds}, index=index)


def test_crop_is_a_window_round_the_point(scan):
    crop = standard_crop(scan, (10, 20, 30), side=16, spacing=3)
    assert crop.shape == (16, 16, 16)
    assert crop.dtype == np.float32
    assert crop[8, 8, 8] == pytest.approx(1040 / 1400)
    assert crop[0, 0, 0] == pytest.approx(200 / 1400)
    ball = (crop - 200 / 1400).sum() * 1400 / 840 * 27
    assert ball == pytest.approx((scan.array == 40).sum() * 8, rel=0.01)  # mm³
    wide = standard_crop(scan, (10, 20, 30), 64, 3.0, (-800, 40))
    assert (wide.min(), wide.max()) == (0, 1)
    assert not wide[:10].any()  # air beyond the field of view


def test_a_shift_of_the_point_shifts_the_crop(scan):
    here, there = standard_crop(scan, (10, 20, 30)), standard_crop(scan, (13, 20, 30))
    np.testing.assert_allclose(there[:, :, :-1], here[:, :, 1:], atol=1e-5)


def test_file_zip_and_volume_are_alike(tmp_path, cache):
    hu = phantom_hu((20, 24, 22))
    folder = write_series(tmp_path / "d", hu)
    at = (-22.0, -30.0, 125.0)
    crops = [standard_crop(p, at, side=8) for p in (folder, zipped(folder, tmp_path / "s.zip"))]
    np.testing.assert_array_equal(*crops)
    assert len(list(cache.rglob("*.npy"))) == 2


def test_crops_of_files_are_cached(scan, tmp_path, monkeypatch):
    path = saved(scan, tmp_path / "a.nii.gz")
    first = standard_crop(path, (10, 20, 30))
    reads = []
    monkeypatch.setattr(
        scans, "read_crop", lambda p, *a, series, unit, **k: reads.append(p) or scan.crop(*a, **k)
    )
    np.testing.assert_array_equal(standard_crop(path, np.array([10, 20, 30]), window=[-1000, 400]), first)
    assert not reads
    standard_crop(path, (10, 20, 31))
    standard_crop(path, (10, 20, 30), side=24)
    saved(Volume(scan.array + np.int16(1), scan.affine), tmp_path / "a.nii.gz")
    standard_crop(path, (10, 20, 30))
    assert len(reads) == 3  # another point, another side, another file


def test_lung_mode_stretches_the_lungs_to_a_cube(tmp_path):
    volume, _ = chest()
    crop = standard_crop(volume, side=24, mode="lung")
    assert crop.shape == (24, 24, 24)
    assert 0.3 < (crop < 0.2).mean() < 0.75
    np.testing.assert_array_equal(standard_crop(volume, (1e9, 0, 0), side=24, mode="lung"), crop)


def test_transform(scan, tmp_path):
    X = frame(scan, tmp_path)
    before = X.copy(deep=True)
    with pytest.warns(SeedWarning, match=r"1 patient\(s\).*: P3$") as caught:
        out = ScanTransformer(side=16).fit(X).transform(X)
    assert len(caught) == 1
    assert (out.shape, out.dtype) == ((3, 1, 16, 16, 16), np.float32)
    assert not out[1].any()
    np.testing.assert_array_equal(out[0, 0], standard_crop(scan, (10, 20, 30), side=16))
    np.testing.assert_allclose(out[2], out[0], atol=1e-6)  # no lung: the scan's centre, which is the ball's
    pd.testing.assert_frame_equal(X, before)


def test_no_warning_where_no_seed_is_needed(scan, tmp_path):
    X = frame(scan, tmp_path, 2)
    ScanTransformer(side=8).fit(X).transform(X)
    X = frame(scan, tmp_path).drop(columns=["seed_x", "seed_y", "seed_z"])
    ScanTransformer(side=8, mode="lung").fit(X).transform(X)
    with pytest.warns(SeedWarning, match=r"2 patient\(s\)"):
        ScanTransformer(side=8).fit(X).transform(X)


def test_state_goes_and_comes(scan, tmp_path):
    X = frame(scan, tmp_path, 2)
    fitted = ScanTransformer(side=8, spacing=4.0, window=(-900, 100)).fit(X)
    state = copy.deepcopy(fitted.state())
    again = ScanTransformer.from_state(state)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert fitted.n_fitted_ == 1


@pytest.mark.parametrize(
    ("cells", "kind", "message"),
    [
        ({"seed_y": np.nan}, DataError, "P1, column seed_x, seed_y, seed_z: not a seed"),
        ({"seed_y": "left"}, DataError, "not a seed"),
        ({"seed_y": np.inf}, DataError, "not a seed"),
        ({"seed_x": -110.0}, ScanError, r"patient P1, file .*a.nii.gz: a point outside the scan"),
        ({"volume": "gone.nii.gz"}, ScanError, r"patient P1, file gone.nii.gz: no such scan"),
    ],
)
def test_bad_rows_name_the_patient(scan, tmp_path, cells, kind, message):
    X = frame(scan, tmp_path, 2).astype(object)
    for column, value in cells.items():
        X.loc["P1", column] = value
    with pytest.raises(kind, match=message):
        ScanTransformer(side=8).fit(X).transform(X)


def test_a_damaged_file_names_the_patient(scan, tmp_path):
    X = frame(scan, tmp_path, 2)
    (tmp_path / "a.nii.gz").write_bytes(b"broken")
    with pytest.raises(ScanError, match=r"patient P1, file .*a.nii.gz: the scan cannot be read"):
        ScanTransformer(side=8).fit(X).transform(X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "heart"}, "unknown way to crop"),
        ({"side": 1}, "side of the crop"),
        ({"spacing": 0}, "spacing of the crop"),
        ({"window": (400, -1000)}, "not a window"),
    ],
)
def test_options_out_of_range(scan, tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        ScanTransformer(**options).fit(frame(scan, tmp_path, 2))
    with pytest.raises(DataError, match=message):
        standard_crop(scan, **options)


def test_not_a_frame_of_scans(scan):
    with pytest.raises(DataError, match="no scans in this frame"):
        ScanTransformer().fit(pd.DataFrame({"sphericity": [1.0]}, index=["P1"]))
    pet = Volume(scan.array.astype(np.float32), scan.affine, modality="PT", unit="SUVbw")
    with pytest.raises(ScanError, match="not a CT"):
        standard_crop(pet)


def test_real_tumour(shared_data):
    seeds = pd.read_csv(shared_data / "nsclc_radiogenomics" / "fmcib_seeds.csv", index_col="Case ID")
    seed = seeds.loc["R01-001", ["coordX", "coordY", "coordZ"]].to_numpy(dtype=float)
    crop = standard_crop(shared_data / "nsclc_radiogenomics" / "ct" / "R01-001.zip", seed)
    hu = crop * 1400 - 1000
    assert hu[15:17, 15:17, 15:17].mean() > -50  # the nodule
    assert hu[15:17, 15:17, 21:24].mean() < -750  # lung 20 mm medial to it


def noisy(scan):
    noise = np.random.default_rng(0).normal(0, 40, scan.shape)
    return Volume(np.round(scan.array + noise).astype(np.int16), scan.affine)


def test_restored_before_it_is_resampled(scan, tmp_path):
    volume = noisy(scan)
    plain, restored = (standard_crop(volume, (10, 20, 30), side=16, restore=r) for r in ("identity", "nlm"))
    assert restored[8, 8, 8] == pytest.approx(plain[8, 8, 8], abs=0.03)  # the ball
    lung = (slice(0, 4),) * 3
    assert restored[lung].std() < 0.7 * plain[lung].std()
    box = volume.around((10, 20, 30), 16 * 3 + 32)
    expected = standard_crop(restore(box, "nlm"), (10, 20, 30), side=16)
    np.testing.assert_array_equal(restored, expected)
    path = saved(volume, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(standard_crop(path, (10, 20, 30), side=16, restore="nlm"), restored)


def test_crops_restored_otherwise_are_others_in_the_cache(scan, tmp_path, cache):
    path = saved(noisy(scan), tmp_path / "a.nii.gz")
    ways = ["identity", "nlm", {"name": "nlm"}, {"name": "nlm", "strength": 2.0}, "wavelet"]
    crops = [standard_crop(path, (10, 20, 30), side=8, restore=way) for way in ways]
    np.testing.assert_array_equal(crops[1], crops[2])
    assert len({crop.tobytes() for crop in crops}) == 4
    again = [standard_crop(path, (10, 20, 30), side=8, restore=way) for way in ways]
    np.testing.assert_array_equal(again, crops)


def test_lungs_are_found_before_restoration(tmp_path):
    volume, _ = chest()
    ways = ("identity", {"name": "nlm", "sigma_hu": 0})
    a, b = (standard_crop(volume, side=12, mode="lung", restore=way) for way in ways)
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_scans_are_restored_at_prediction_as_in_fit(scan, tmp_path):
    X = frame(noisy(scan), tmp_path, 2)
    weights = write_network(tmp_path / "network")
    fitted = ScanTransformer(side=4, restore={"name": "cellpose", "weights": str(weights)}).fit(X)
    state = copy.deepcopy(fitted.state())
    np.testing.assert_array_equal(ScanTransformer.from_state(state).transform(X), fitted.transform(X))
    assert len(fitted.restored_by_["weights"]) == 64
    write_network(weights, seed=1)
    with pytest.raises(DataError, match="scans would not be restored as in fit"):
        ScanTransformer.from_state(state).transform(X)


def test_a_state_from_before_restoration(scan, tmp_path):
    X = frame(scan, tmp_path, 2)
    fitted = ScanTransformer(side=8).fit(X)
    state = fitted.state()
    for name in ("restore", "harmonise"):
        del state["params"][name]
    for name in ("restored_by_", "matching_"):
        del state["fitted"][name]
    np.testing.assert_array_equal(ScanTransformer.from_state(state).transform(X), fitted.transform(X))


def test_no_such_restorer(scan, tmp_path):
    with pytest.raises(MMFusionError, match="no restorer called 'magic'"):
        ScanTransformer(restore="magic").fit(frame(scan, tmp_path, 2))
