"""FDG-PET-CT-Lesions (autoPET), from small files in its layout."""

import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError


def test_autopet(autopet_root):
    cohort = load_cohort("autopet", autopet_root)
    assert list(cohort.table.index) == ["PETCT_0af_10445", "PETCT_0af_20001", "PETCT_1bc_30007"]
    assert cohort.groups["patient"].tolist() == ["PETCT_0af", "PETCT_0af", "PETCT_1bc"]
    assert cohort.table["ehr"].loc["PETCT_0af_20001"].to_dict() == {"age": 62, "sex": "male"}
    assert open_scan(cohort, "PETCT_1bc_30007", "pet").volume.unit == "SUVbw"
    lung = load_cohort("autopet", autopet_root, diagnosis="LUNG_CANCER")
    assert list(lung.table.index) == ["PETCT_0af_10445"]
    assert any("2 studies of another diagnosis" in note for note in lung.provenance["notes"])
    with pytest.raises(DataError, match="cannot choose the diagnosis"):
        load_cohort("autopet", autopet_root, diagnosis="lung")


@pytest.mark.parametrize("name", ["SUV", "SEG", "CTres"])
def test_autopet_with_a_study_that_is_not_whole(autopet_root, name):
    next(autopet_root.rglob(f"{name}.nii.gz")).unlink()
    with pytest.raises(DataError, match=f"{name}.nii.gz: a study without a file"):
        load_cohort("autopet", autopet_root)


def test_autopet_with_another_clinical_table(autopet_root):
    file = next(autopet_root.glob("*.csv"))
    head, first, *_ = file.read_text().splitlines(keepends=True)
    file.write_text(head + first)
    notes = " ".join(load_cohort("autopet", autopet_root).provenance["notes"])
    assert "2 studies are not in the clinical table" in notes
    file.write_text(head + first + first.replace("LUNG_CANCER", "MELANOMA"))
    with pytest.raises(DataError, match=r"PETCT_0af.*a study whose rows differ"):
        load_cohort("autopet", autopet_root)
