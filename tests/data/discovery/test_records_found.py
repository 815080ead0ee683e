"""Tables of health records and stages in a folder."""

import pandas as pd
import pytest

from mmfusion.data.discovery.account import page
from mmfusion.data.discovery.discover import discover
from mmfusion.data.load import load_cohort
from tests.data.discovery.folders import EHR, row


def test_tables_without_ids_and_broken_ones(study):
    (study / "anonymous.csv").write_text("age,sex\n60,M\n61,F\n")
    (study / "broken.csv").write_bytes(b"\0\1\2")
    (study / "unknown.csv").write_text("patient_id,x1,x2\nP-001,1,2\n")
    (study / "radiomics_ct.csv").write_text("patient_id,sphericity\nP-001,0.5\n")
    found = discover(study)
    assert "name one patient_id" in row(found, "anonymous.csv")["why"]
    assert "cannot be read" in row(found, "broken.csv")["why"]
    assert "clinical.csv has some of the same patients" in row(found, "unknown.csv")["why"]
    for name in ("anonymous.csv", "broken.csv", "unknown.csv"):
        assert any(text.startswith(f"{name} not used: ") for text in found.to_do)
    assert row(found, "radiomics_ct.csv")["as"] == "ct features"


def test_other_tables_are_left_to_a_person_and_prose_is_not(study):
    (study / "more.parquet").write_bytes(b"PAR1")
    (study / "old.xls").write_bytes(b"x")
    (study / "~$open.xlsx").write_bytes(b"x")
    (study / "README.txt").write_text("Thank you, dear colleague\nfor the data\n")
    to_do = discover(study).to_do
    assert "more.parquet not used: a table of another kind: save it as CSV" in to_do
    assert any("old.xls not used: cannot be read: a workbook of this format" in text for text in to_do)
    assert not any("README" in text or "open.xlsx" in text for text in to_do)


def test_a_workbook_is_read(study):
    pytest.importorskip("openpyxl")
    pd.read_csv(study / "clinical.csv").to_excel(study / "clinical.xlsx", index=False)
    (study / "clinical.csv").unlink()
    found = discover(study)
    assert row(found, "clinical.xlsx")["as"] == "ehr features, labels"
    assert len(load_cohort(found.write())) == 3


def test_a_workbook_of_several_sheets_asks_for_one(study):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(study / "study.xlsx") as book:
        for name in ("Labs", "Words"):
            pd.DataFrame({"patient_id": ["P-001"], "ldh": [1]}).to_excel(book, sheet_name=name, index=False)
    (text,) = [text for text in discover(study).to_do if "study.xlsx" in text]
    assert "Labs" in text and "Words" in text


def test_unknown_columns_beside_known_ids_are_records(study):
    (study / "clinical.csv").write_text("Patient ID,stage,ldh\nP-001,IA,200\nP-002,IIB,310\nP-003,IIIA,\n")
    found = discover(study)
    assert row(found, "clinical.csv")["as"] == "ehr features, labels"
    assert row(found, "clinical.csv")["why"] == "records: taken as they are ldh; stage from stage"
    assert load_cohort(found.write()).table["ehr"].columns.tolist() == ["ldh"]


def test_unknown_columns_give_way_to_records_of_the_same_patients(study):
    (study / "labs.csv").write_text("patient_id,ldh\nP-001,200\n")
    (study / "stages.csv").write_text("patient_id,stage,ward\nP-001,IA,x\n")
    (study / "clinical.csv").write_text(EHR.replace("Overall Stage", "ecog").replace("IIIA", "IA"))
    found = discover(study)
    assert not row(found, "labs.csv")["used"]
    assert row(found, "stages.csv")["as"] == "labels"
    reason = "the records are not taken, as clinical.csv has some of the same patients: add the columns there"
    assert f"stages.csv: {reason}" in found.to_do
    assert f"labs.csv not used: records: taken as they are ldh; {reason}" in found.to_do
    assert load_cohort(found.write()).table["ehr"].columns.tolist() == ["age", "sex", "ecog"]


def test_the_account_lists_every_column(study):
    text = EHR.replace("Overall Stage", "Overall Stage,ldh,Outcome").replace("IA\n", "IA,1,2\n")
    (study / "clinical.csv").write_text(text.replace("IIB\n", "IIB,1,2\n").replace("IIIA,1", "IIIA,1"))
    why = row(discover(study), "clinical.csv")["why"]
    assert (
        why
        == "records: recognised Age, Sex; taken as they are ldh; left out Outcome; stage from Overall Stage"
    )


@pytest.mark.parametrize(
    "header",
    ["AJCC Stage (7th ed)", "Stage at diagnosis", "pStage", "cStage", "Pathologic Stage Group", "TNM stage",
     "UICC stage (8th edition)", "AJCC 9 stage", "Overall.Stage", "ajcc7_stage"],
)  # fmt: skip
def test_usual_headers_of_the_stage(study, header):
    (study / "clinical.csv").write_text(EHR.replace("Overall Stage", header))
    found = discover(study)
    assert found.patients["stage"].sum() == 3
    assert len(load_cohort(found.write())) == 3


@pytest.mark.parametrize(
    "header", ["T stage", "Stage at relapse", "Staging PET", "stage IV ever", "M category"]
)
def test_headers_that_are_not_the_stage(study, header):
    (study / "clinical.csv").write_text(EHR.replace("Overall Stage", header))
    (text,) = [text for text in discover(study).to_do if "no stages found" in text]
    assert "pStage" in text and "t, n and m" in text
    assert ("; the closest: " in text) == ("tag" in header)


def test_patients_with_a_stage_are_counted(study):
    (study / "clinical.csv").write_text(EHR.replace("IIB", "").replace("IIIA", "Unknown"))
    found = discover(study)
    assert found.patients["stage"].to_dict() == {"P-001": True, "P-002": False, "P-003": False}
    assert "| stage | 1 |" in page(found)
    assert "2 of 3 patients have no stage (P-002, P-003), so that no model learns from them" in page(found)
