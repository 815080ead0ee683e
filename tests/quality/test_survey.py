"""A survey of scans describes every readable scan, lists the others, and does not stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.scans import open_scan
from mmfusion.errors import ScanWarning
from mmfusion.figures import scan_survey
from mmfusion.imaging import Volume, write_nifti
from mmfusion.quality.survey import series_choices, site_effect, survey_scans
from mmfusion.reports import run_report


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return mf.phantom(24, 3, missing=0.0, root=tmp_path_factory.mktemp("phantom"))[0]


def test_a_scan_is_described(cohort):
    patients = list(cohort.table.index[:3])
    survey = survey_scans(cohort, patients)
    assert list(survey.table.index) == patients and not len(survey.failures)
    scan = open_scan(cohort, patients[0])
    row = survey.table.iloc[0]
    assert (row["z_mm"], row["y_mm"], row["x_mm"]) == pytest.approx(scan.volume.spacing)
    assert row["lesion_ml"] == pytest.approx(scan.lesion.volume_ml())
    assert row["height_mm"] == pytest.approx(scan.volume.shape[0] * scan.volume.spacing[0])
    assert survey.headline() == "3 of 3 scans read"
    assert survey.account(24) == (
        "None of the 3 scans that were opened failed; 21 others were not opened (n_scans=0 opens all)."
    )
    assert survey.account(3) == "None of the 3 scans that were opened failed."
    assert "the cohort has 24" in survey.verdict(24)[0]
    scan_survey(survey.table)


def test_a_bad_scan_is_listed_and_the_survey_goes_on(cohort, tmp_path):
    table = cohort.table.copy()
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not an image")
    table.loc[table.index[1], ("ct", "volume")] = str(broken)
    changed = mf.Cohort("bad", table, cohort.outcomes, cohort.target, cohort.units)
    survey = survey_scans(changed, list(table.index[:3]))
    assert list(survey.table.index) == [table.index[0], table.index[2]]
    assert survey.failures.loc[table.index[1], "file"] == broken
    assert survey.failures["problem"].notna().all()
    assert survey.headline() == "2 of 3 scans read; 1 failed"


def test_the_crop_around_a_lesion_has_the_scans_own_voxels(cohort):
    scan = open_scan(cohort, cohort.table.index[0])
    around = scan.around(60.0)
    inside = scan.volume.mm_to_voxel(around.voxel_to_mm([0, 0, 0])).round().astype(int)[::-1]
    own = scan.volume.array[tuple(slice(a, a + n) for a, n in zip(inside, around.shape, strict=True))]
    np.testing.assert_array_equal(around.array, own)
    assert scan.lesion.like(around).array.sum() == scan.lesion.array.sum()
    assert np.abs(np.array(around.shape) * around.spacing - 60).max() < 2 * max(around.spacing)


def test_a_bad_mask_does_not_hide_its_scan(tmp_path):
    noise = np.random.default_rng(0).normal(0, 20, (6, 24, 24)) + np.where(np.arange(24) < 12, -900, 40)
    scan = Volume(noise.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
    write_nifti(scan, tmp_path / "scan.nii.gz")
    write_nifti(scan, tmp_path / "mask.nii.gz")  # no mask
    row = {("ct", "volume"): str(tmp_path / "scan.nii.gz"), ("ct", "mask"): str(tmp_path / "mask.nii.gz")}
    table = pd.DataFrame([row], index=pd.Index(["A"], name="patient_id"))
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    one = mf.Cohort("one", table, pd.DataFrame({"stage": {"A": "IA"}}), "stage3_ajcc7")
    survey = survey_scans(one)
    assert survey.failures.loc["A", "file"] == tmp_path / "mask.nii.gz"
    assert np.isnan(survey.table.loc["A", "lesion_ml"]) and survey.table.loc["A", "slices"] == 6
    assert survey.headline() == "1 of 1 scans read; 1 bad masks"
    assert any("No lung" in line for line in survey.verdict(1))
    write_nifti(Volume(np.zeros((6, 24, 24), np.uint8), scan.affine, unit="mask"), tmp_path / "mask.nii.gz")
    survey = survey_scans(one)  # an empty mask says that there is no lesion
    assert (
        survey.table.loc["A", "lesion_ml"] == 0 and "the mask is empty" in survey.table.loc["A", "warnings"]
    )
    with pytest.warns(ScanWarning, match="the mask is empty"):
        assert open_scan(one, "A").focus == "the middle"


def test_the_series_that_was_read(shared_data: Path):
    path = shared_data / "nsclc_radiogenomics" / "ct" / "R01-001.zip"
    uid = mf.imaging.read(path).series_uid
    table = series_choices(
        pd.Series({"R01-001": str(path), "A": "a.nii.gz"}), pd.Series({"R01-001": uid, "A": ""})
    )
    assert table["read"].tolist() == [True] and table["n_slices"].tolist() == [89]
    unread = series_choices(pd.Series({"R01-001": str(path), "A": "a.nii.gz"}), pd.Series(dtype=str))
    assert unread["read"].tolist() == [False]  # a scan that failed is listed, but for one that offers nothing


def test_sites_are_separable_until_harmonised(cohort):
    effect = site_effect(cohort, list(cohort.table.index))
    assert effect is not None and set(effect.table.index) == {"before", "after"}
    assert site_effect(cohort, list(cohort.table.index[:4])) is None


def test_a_scan_that_cannot_be_read_does_not_end_the_comparison_of_sites(cohort, tmp_path):
    table = cohort.table.copy()
    (tmp_path / "broken.nii.gz").write_bytes(b"not an image")
    table.loc[table.index[0], ("ct", "volume")] = str(tmp_path / "broken.nii.gz")
    changed = mf.Cohort("bad", table, cohort.outcomes, cohort.target, cohort.units)
    effect = site_effect(changed, list(table.index))
    assert effect is not None and table.index[0] not in effect.pca.index


@pytest.mark.slow
def test_a_report_of_scans_none_of_which_can_be_read(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"not an image")
    row = {"dataset": "bad", "patient_id": "A", "modality": "ct", "role": "volume", "path": "a.nii.gz"}
    pd.DataFrame([row]).to_csv(tmp_path / "manifest.csv", index=False)
    out = run_report("scans", {"cohort": str(tmp_path / "manifest.csv")}, tmp_path / "report", progress=False)
    found = json.loads((out / "metrics.json").read_text())
    assert (found["read"], len(found["failures"])) == (0, 1)
