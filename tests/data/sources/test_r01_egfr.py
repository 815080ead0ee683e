"""EGFR of NSCLC-Radiogenomics: the official status counts, and each difference is named."""

import gzip

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.data.blocks import feature_names
from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.probe import assert_no_leak

CLINICAL = "NSCLCR01Radiogenomic_DATA_LABELS_2018-05-22_1500-shifted.csv"
RADIOMICS = "someone_R01_radiomics_egfr_n4.csv.gz"
OFFICIAL = {"R01-001": "Mutant", "R01-002": "Wildtype", "R01-003": "Wildtype", "R01-004": "Unknown"}


@pytest.fixture
def folder(tmp_path):
    """The two tables, with headers as published: one status differs, one is unknown, one patient is new."""
    n = len(OFFICIAL)
    clinical = pd.DataFrame(
        {
            "Case ID": list(OFFICIAL),
            "Patient affiliation": ["Stanford", "VA", "VA", "Stanford"],
            "Gender": ["Female", "Male", "Male", "Female"],
            "Smoking status": ["Nonsmoker", "Former", "Current", "Former"],
            "Histopathological Grade": ["G1 Well differentiated", "Not Collected", "G3", "G2"],
            **{f"Pathological {letter} stage": ["T1a", "N0", "M0"]["TNM".index(letter)] for letter in "TNM"},
            "EGFR mutation status": list(OFFICIAL.values()),
            "KRAS mutation status": ["Wildtype"] * n,
        }
    )
    clinical.to_csv(tmp_path / CLINICAL, index=False)
    write_radiomics(tmp_path, ids=["R01-001", "R01-002", "R01-004", "R01-900"], status=[1, 1, 0, 0])
    return tmp_path


def write_radiomics(folder, ids, status, **columns):
    table = pd.DataFrame({"Case ID": ids, "Gender": "Male", "Smoking status": "Former"})
    table = table.assign(original_shape_Sphericity=np.linspace(0.2, 0.8, len(ids)), **columns)
    text = table.assign(**{"EGFR mutation status": status}).to_csv(index=False)
    (folder / RADIOMICS).write_bytes(gzip.compress(text.encode()))


def test_the_official_status_counts(folder):
    cohort = mf.load_cohort("r01_egfr", folder)
    assert cohort.y.astype(str).to_dict() == {
        "R01-001": "mutant",
        "R01-002": "wildtype",
        "R01-003": "wildtype",
    }
    notes = "\n".join(cohort.notes)
    assert "differs from the official one for 1 of 3 patients" in notes
    assert "R01-002 (mutant, officially wildtype)" in notes
    assert "1 patients with radiomics have no official EGFR status, and no label: R01-004" in notes
    assert "1 patients with radiomics are not in the clinical table, and are left out: R01-900" in notes
    assert feature_names(cohort.X["ct"], "ct") == ["original_shape_Sphericity"]
    assert list(cohort.complete(["ct"]).X.index) == ["R01-001", "R01-002"]
    assert cohort.table["ehr", "sex"].tolist() == [
        "female",
        "male",
        "male",
        "female",
    ]  # of the official table


def test_site_and_grade_are_inputs_only_on_request(folder):
    plain = mf.load_cohort("r01_egfr", folder)
    assert not {("ehr", "site"), ("ehr", "grade")} & set(plain.table.columns)
    cohort = mf.load_cohort("r01_egfr", folder, site=True, grade=True)
    assert cohort.table["ehr", "site"].tolist() == ["Stanford", "VA", "VA", "Stanford"]
    assert cohort.table["ehr", "grade"].isna().tolist() == [False, True, False, False]
    assert any("only after surgery" in note for note in cohort.notes)
    assert any("the hospital is among the health records" in note for note in cohort.notes)


def test_files_and_cells_that_cannot_be_used(folder):
    write_radiomics(folder, ["R01-001", "R01-002"], ["1", "often"])
    with pytest.raises(DataError, match=r"patient R01-002.*not a mutation status.*got 'often'"):
        mf.load_cohort("r01_egfr", folder)
    write_radiomics(folder, ["R01-001", "R01-002"], [1, 0], original_glcm_Contrast=["1.5", "high"])
    with pytest.raises(DataError, match="column original_glcm_Contrast: a feature is not a number"):
        mf.load_cohort("r01_egfr", folder)
    write_radiomics(folder, ["R01-001", "R01-001"], [1, 0])
    with pytest.raises(DataError, match="duplicate patient"):
        mf.load_cohort("r01_egfr", folder)
    (folder / RADIOMICS).write_bytes(gzip.compress(b"Case ID,volume\nR01-001,2\n"))
    with pytest.raises(DataError, match="no EGFR status in the table of radiomics"):
        mf.load_cohort("r01_egfr", folder)
    (folder / RADIOMICS).unlink()
    with pytest.raises(DataError, match="table of radiomics not found"):
        mf.load_cohort("r01_egfr", folder)
    with pytest.raises(DataError, match="needs the folder of its files"):
        mf.load_cohort("r01_egfr")


def test_the_published_tables(shared_data):
    """117 patients with radiomics; R01-012 is a mutant in their table, and officially wild type."""
    cohort = mf.load_cohort("r01_egfr", shared_data)
    assert cohort.y.value_counts().to_dict() == {"wildtype": 129, "mutant": 43}
    part = cohort.complete(["ct"])
    assert part.y.value_counts().to_dict() == {"wildtype": 94, "mutant": 23}
    assert part.X["ct"].shape == (117, 1316) and part.X["ct"].notna().all(axis=None)
    assert part.X["ehr", "histology"].value_counts()["adenocarcinoma"] == 97
    noted = [note for note in cohort.notes if "differs from the official one" in note]
    assert len(noted) == 1 and "1 of 117" in noted[0] and "R01-012 (mutant, officially wildtype)" in noted[0]
    assert cohort.withheld == [("ehr", "egfr"), ("ehr", "kras"), ("ehr", "alk")]
    assert_no_leak(part.X, part.y)
    assert len(cohort.with_target("expression").complete(["ct"])) == 94
