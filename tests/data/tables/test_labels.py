"""Stages in tables of labels: spellings, editions, stages that do not exist."""

import pytest

from mmfusion.data.tables.labels import read_outcomes
from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import DataError


def read(tmp_path, text, *arguments):
    notes = TableNotes()
    (tmp_path / "labels.csv").write_text(text)
    return read_outcomes(tmp_path / "labels.csv", *arguments, notes=notes), notes


def test_tnm_in_the_column_of_the_stage(tmp_path):
    table, _ = read(tmp_path, "id,stage\na,pT2aN0M0\nb,Ⅲ A\nc,'--\nd,T3 N1 cM0\ne,2.0\n")
    assert table["stage"].dropna().to_dict() == {"a": "IB", "b": "IIIA", "d": "IIIA", "e": "II"}


@pytest.mark.parametrize("cell", ["T2aN0", "I-II", "IIIA/B", "IIIA1", "3.5", "5", "limited"])
def test_what_is_not_clear_is_refused(tmp_path, cell):
    with pytest.raises(DataError, match="not a stage group") as raised:
        read(tmp_path, f"id,stage\na,IA\nb,{cell}\n")
    assert (raised.value.patient, raised.value.column, raised.value.got) == ("b", "stage", repr(cell))
    assert "Stage IIIA" in raised.value.expected


@pytest.mark.parametrize(
    ("header", "edition"),
    [
        ("AJCC 9 stage", 9),
        ("Stage (8th ed.)", 8),
        ("Stage (eighth edition)", 8),
        ("TNM stage v8", 8),
        ("stage", None),
        ("AJCC stage", None),
    ],
)
def test_the_header_names_the_edition(tmp_path, header, edition):
    table, notes = read(tmp_path, f"id,{header}\na,T1bN0M0\n")
    assert notes.edition == edition
    assert table.loc["a", "stage"] == ("IA" if edition is None else "IA2")


def test_columns_of_two_editions(tmp_path):
    text = "id,Stage (7th ed.),Stage (8th ed.)\na,IA,IA1\n"
    for edition, stage in ((7, "IA"), (8, "IA1")):
        table, notes = read(tmp_path, text, edition)
        assert table.loc["a", "stage"] == stage and notes.edition == edition
        assert list(notes.unused.values()) == ["another stage is read"]
    with pytest.raises(DataError, match="several AJCC editions") as raised:
        read(tmp_path, "id,T (AJCC 8),N (AJCC 7),M (AJCC 8)\na,T1b,N0,M0\n")
    assert raised.value.column == "T (AJCC 8), N (AJCC 7), M (AJCC 8)"
    with pytest.raises(DataError, match="no such AJCC edition"):
        read(tmp_path, "id,Stage (6th ed.)\na,IA\n")


def test_t_n_m_with_an_edition(tmp_path):
    table, notes = read(tmp_path, "id,T (AJCC 8),N (AJCC 8),M (AJCC 8)\na,2.0,0.0,0.0\nb,T1c,N0(i-),M0\n")
    assert table["stage"].to_dict() == {"a": "IB", "b": "IA3"} and notes.edition == 8


def test_a_label_that_ajcc_does_not_list_is_named(tmp_path):
    table, notes = read(tmp_path, "id,pT,pN,pM,age\na,T1a,N0,M0,60\nb,T3,NX,M0,61\n")
    assert table["stage"].dropna().to_dict() == {"a": "IA"}
    assert notes.texts == ["AJCC 7 lists no stage group, so there is no label: T3 NX M0 of b"]
    assert notes.unused == {"age": "not an outcome"}


@pytest.mark.parametrize(
    ("t", "n", "group"),
    [("ypT2a", "N0 (i-)", "IB"), ("T1a (m)", "pN1(sn)", "IIA"), ("Ｔ1a", "cN0(mol+)", "IA")],
)
def test_prefixes_and_suffixes(tmp_path, t, n, group):
    assert read(tmp_path, f"id,T,N,M\na,{t},{n},M0\n")[0].loc["a", "stage"] == group


def test_groups_that_the_assumed_edition_lacks_are_named(tmp_path):
    text = "patient_id,stage\np1,IA1\np2,IVA\np3,IB\n"
    stages, notes = read(tmp_path, text)
    assert stages["stage"].tolist() == ["IA1", "IVA", "IB"]
    assert "IA1, IVA exist since AJCC 8" in notes.texts[0]
    assert not read(tmp_path, text, 8)[1].texts
    assert not read(tmp_path, text.replace("IA1", "IA").replace("IVA", "IV"))[1].texts
