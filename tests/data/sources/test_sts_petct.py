"""The PET/CT of sarcomas: files as they are given, and files that are damaged."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError
from mmfusion.evaluation.mask_baselines import mask_baselines
from mmfusion.metrics.segmentation import mask_scores


def write(folder, name="STS_001", **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "pet_suv": (5 * rng.random((6, 5, 4))).astype(np.float16),
        "ct_hu": rng.integers(-1000, 100, (6, 5, 4)).astype(np.int16),
        "mask": (rng.random((6, 5, 4)) > 0.5).astype(np.uint8),
        "spacing_zyx": np.array([3.27, 4.0, 5.0], np.float32),
    }
    arrays |= changes
    np.savez_compressed(folder / f"{name}.npz", **{k: v for k, v in arrays.items() if v is not None})
    return arrays


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_what_is_read_is_what_the_file_holds(tmp_path):
    arrays = write(tmp_path)
    write(tmp_path, "STS_002")
    cohort = mf.load_cohort("sts_petct", tmp_path)
    assert cohort.X.index.tolist() == ["STS_001", "STS_002"] and cohort.target == "lesion"
    scan, pet = open_scan(cohort, "STS_001"), open_scan(cohort, "STS_001", "pet")
    np.testing.assert_array_equal(scan.volume.array, arrays["ct_hu"])
    np.testing.assert_array_equal(pet.volume.array, arrays["pet_suv"].astype(np.float32))
    np.testing.assert_array_equal(scan.lesion.array, arrays["mask"])
    assert (pet.volume.unit, pet.volume.modality, scan.volume.unit) == ("SUVbw", "PT", "HU")
    np.testing.assert_allclose(pet.volume.spacing, [3.27, 4.0, 5.0])
    np.testing.assert_allclose(pet.volume.affine, scan.volume.affine)
    assert "sarcoma" in " ".join(cohort.notes)
    pd.testing.assert_frame_equal(mf.load_cohort("sts_petct", tmp_path).table, cohort.table)


def test_changed_files_are_converted_again(tmp_path):
    write(tmp_path)
    first = mf.load_cohort("sts_petct", tmp_path)
    changed = write(tmp_path, ct_hu=np.arange(-900, 300, 10, dtype=np.int16).reshape(6, 5, 4))
    second = mf.load_cohort("sts_petct", tmp_path)
    np.testing.assert_array_equal(open_scan(second, "STS_001").volume.array, changed["ct_hu"])
    assert first.table.iloc[0, 0] != second.table.iloc[0, 0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ct_hu": np.full((6, 5, 4), np.nan)}, "column ct_hu: values that cannot be"),
        ({"ct_hu": np.full((6, 5, 4), 70_000)}, "column ct_hu: values that cannot be"),
        ({"pet_suv": np.full((6, 5, 4), np.inf)}, "column pet_suv: values that cannot be"),
        ({"pet_suv": np.full((6, 5, 4), 1j)}, "STS_001.*other arrays"),
        ({"ct_hu": np.full((6, 5, 4), "a")}, "STS_001.*other arrays"),
        ({"spacing_zyx": np.array(["a", "b", "c"])}, "STS_001.*other arrays"),
        ({"mask": None}, "STS_001.*cannot be read"),
        ({"mask": np.zeros((6, 5, 3), np.uint8)}, "STS_001.*other arrays"),
        ({"mask": np.full((6, 5, 4), 2, np.uint8)}, "STS_001.*not a mask"),
        ({"spacing_zyx": np.array([1.0, 0.0, 1.0])}, "STS_001.*other arrays"),
    ],
)
def test_files_that_do_not_fit(tmp_path, changes, says):
    write(tmp_path, **changes)
    with pytest.raises(DataError, match=says):
        mf.load_cohort("sts_petct", tmp_path)


def test_damaged_and_absent_files(tmp_path):
    with pytest.raises(DataError, match="no PET/CT found"):
        mf.load_cohort("sts_petct", tmp_path)
    with pytest.raises(DataError, match="needs the folder"):
        mf.load_cohort("sts_petct")
    write(tmp_path)
    whole = (tmp_path / "STS_001.npz").read_bytes()
    (tmp_path / "STS_001.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"STS_001.*cannot be read"):
        mf.load_cohort("sts_petct", tmp_path)


def test_thresholds_reach_the_published_dice(shared_data):
    """facts.csv holds, for each patient, the Dice of SUV >= 2.5, and of 41 % of the tumour's highest SUV."""
    root = shared_data / "lesions" / "sts_petct"
    facts = pd.read_csv(root / "facts.csv", index_col="patient")
    cohort = mf.load_cohort("sts_petct", root)
    assert cohort.X.index.tolist() == facts.index.tolist()
    X = cohort.X.drop(columns=[("ct", "mask")])
    means = {}
    for name, column in (("SUV >= 2.5", "dice_2p5"), ("41 % of SUVmax", "dice_41pct")):
        rule = mask_baselines(["pet"])[name]
        dice, same = [], []
        for patient, mask in zip(X.index, rule.fit(X).predict(X), strict=True):
            scan = open_scan(cohort, patient, "pet", marked=False).volume
            true = open_scan(cohort, patient).lesion
            dice.append(mask_scores(true.array, mask.array, true.spacing, distances=False)["dice"])
            highest = scan.array.max() == scan.array[true.array > 0].max()  # is in the tumour
            same.append(name == "SUV >= 2.5" or highest)
        np.testing.assert_allclose(np.array(dice)[same], facts[column][same], atol=3e-3)  # the PET is rounded
        means[name] = np.mean(dice)
    assert means == pytest.approx({"SUV >= 2.5": 0.565, "41 % of SUVmax": 0.326}, abs=0.002)
