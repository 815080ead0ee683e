"""Two cohorts that share scans under other ids are found, and refused with both ids."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.data import Cohort, check_no_duplicates, find_duplicates
from mmfusion.data.lesion_cohort import lesion_cohort
from mmfusion.errors import LeakageError, ScanError
from mmfusion.imaging import Volume, write_nifti

SHAPE = (40, 40, 40)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def texture(seed):
    """A patient made of blobs; other seeds are other patients."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.5)
    return np.clip(-300 + 400 * noise / noise.std(), -1000, 1000).astype(np.int16)


def cohort(folder, volumes, name, persons=None):
    rows = {}
    for patient, volume in volumes.items():
        file = write_nifti(volume, folder / f"{name}_{patient}.nii.gz")
        rows[patient] = {("ct", "volume"): str(file), ("ct", "mask"): str(file)}
    return lesion_cohort(name, rows, {}, persons=persons)


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    scans = [Volume(texture(seed), AFFINE) for seed in range(4)]
    other = scans[1].crop_box([slice(5, 40), slice(0, 36), slice(2, 40)]).resample((5.0, 2.5, 2.5))
    affine = other.affine.copy()
    affine[:3, 3] += (40.0, -13.0, 7.5)
    moved = Volume(other.array, affine)
    return (
        cohort(tmp_path, {"R01-003": scans[0], "R01-007": scans[1]}, "radiogenomics"),
        cohort(tmp_path, {"lung_001": moved, "lung_002": scans[2]}, "msd"),
    )


def test_shared_patients_are_found(two):
    found = find_duplicates(*two)
    assert found[["modality", "first", "second"]].values.tolist() == [["ct", "R01-007", "lung_001"]]
    assert 0.9 < found["similarity"][0] <= 1
    assert find_duplicates(*two, moved=False).empty  # the position was lost
    assert find_duplicates(two[0]).empty
    pd.testing.assert_frame_equal(find_duplicates(*two), found)  # from the cache


def test_shared_patients_are_refused(two):
    with pytest.raises(LeakageError, match=r"R01-007 = lung_001 \(ct, 0.9\d\), file radiogenomics, msd") as e:
        check_no_duplicates(*two)
    assert e.value.hint
    check_no_duplicates(two[0])


def test_rows_of_one_person_may_share_a_scan(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    scan = Volume(texture(0), AFFINE)
    volumes = {"a": scan, "b": scan.resample(2.5)}
    with pytest.raises(LeakageError, match="a = b"):
        check_no_duplicates(cohort(tmp_path, volumes, "two"))
    check_no_duplicates(cohort(tmp_path, volumes, "one", persons={"a": "a", "b": "a"}))


def test_what_has_no_scans(two, tmp_path):
    ids = pd.Index(["p1", "p2"], name="patient_id")
    table = pd.DataFrame({("ehr", "age"): [61.0, 70.0]}, index=ids)
    plain = Cohort("plain", table, pd.DataFrame({"stage": ["IA", "IIIB"]}, index=ids), "stage2")
    assert find_duplicates(two[0], plain).empty
    check_no_duplicates(plain)
    (tmp_path / "msd_lung_002.nii.gz").write_bytes(b"nothing")
    with pytest.raises(ScanError) as raised:
        find_duplicates(two[1])
    assert raised.value.patient == "lung_002"


def test_the_ibsi_phantom_is_a_patient_of_lung1(shared_data, tmp_path, monkeypatch):
    """The native crop of LUNG1-002 under another name, beside other patients."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    folder = shared_data / "lesions"

    def listed(name, files):
        rows = {k: {("ct", "volume"): str(folder / v), ("ct", "mask"): "m"} for k, v in files.items()}
        return lesion_cohort(name, rows, {})

    lung1 = listed("lung1", {"LUNG1-002": "LUNG1-002/ct_2mm_thorax.nii.gz"})
    others = {
        "IBSI": "LUNG1-002/ct_crop_native.nii.gz",
        "LIDC-IDRI-0314": "LIDC-IDRI-0314/ct_crop_native.nii.gz",
        "pat 2": "cancerdata_pat_2/ct.nii.gz",
    }
    found = find_duplicates(lung1, listed("ibsi", others))
    assert found[["first", "second"]].values.tolist() == [["LUNG1-002", "IBSI"]]


def test_nested_cv_compares_the_scans_on_request(tmp_path, monkeypatch):
    from dataclasses import replace

    from sklearn.dummy import DummyClassifier

    from mmfusion.evaluation import nested_cv

    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    scans = [Volume(texture(k % 7), AFFINE) for k in range(8)]
    scans[7] = scans[7].crop_box([slice(4, 40)] * 3)
    twice = cohort(tmp_path, {f"p{k}": scan for k, scan in enumerate(scans)}, "twice")
    stages = pd.DataFrame({"stage": ["IA", "IIIB"] * 4}, index=twice.table.index)
    twice = replace(twice, outcomes=stages, target="stage2")
    options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    with pytest.raises(LeakageError, match="p0 = p7"):
        nested_cv(DummyClassifier(), twice, check_scans=True, **options)
    apart = twice.select(patients=[f"p{k}" for k in range(6)])
    assert len(nested_cv(DummyClassifier(), apart, check_scans=True, **options).predictions) == 6


def test_external_validation_compares_the_scans_on_request(two, monkeypatch):
    from types import SimpleNamespace

    import mmfusion.bundle
    from mmfusion.evaluation import external_validation

    monkeypatch.setattr(mmfusion.bundle, "load", lambda _: SimpleNamespace(patients_=[]))
    with pytest.raises(LeakageError, match="R01-007 = lung_001"):
        external_validation("model", two[1], trained_on=two[0])
