"""Sheets of workbooks."""

import datetime
import sys
import zipfile

import pytest

from mmfusion.data.tables.files import read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.data.tables.readers import read_ehr, read_rna
from mmfusion.errors import DataError

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl reads workbooks")


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def changed(path, change):
    book = openpyxl.load_workbook(path)
    change(book)
    book.save(path)
    return path


ROWS = [["patient_id", "age", "sex"], [7, 61.5, "F"], ["007", 70, "M"]]


def test_cells_are_read_as_stored(tmp_path):
    when = datetime.datetime(2023, 9, 2)
    rows = [["patient_id", "x"], [7, 8.0], ["007", 0.1], [1.5, True], ["b", when], ["c", None]]
    path = changed(workbook(tmp_path / "t.xlsx", a=rows), lambda book: setattr(book["a"]["A4"], "value", 12))
    path = changed(path, lambda book: setattr(book["a"]["A4"], "number_format", "0000"))
    table = read_table(path)
    assert table["patient_id"].tolist() == ["7", "007", "0012", "b", "c"]
    assert table["x"].tolist() == ["8", "0.1", "True", "2023-09-02", ""]


def test_the_only_sheet_with_content_or_the_named_one(tmp_path):
    path = workbook(tmp_path / "t.xlsx", Records=ROWS, Empty=[])
    assert read_ehr(path).loc["007"].to_dict() == {"age": 70.0, "sex": "male"}
    path = workbook(tmp_path / "t.xlsx", Records=ROWS, Labs=[["patient_id", "crp"], ["a", 1]])
    assert read_table(path, sheet="labs").columns.tolist() == ["patient_id", "crp"]
    assert read_table(f"{path}#Labs").columns.tolist() == ["patient_id", "crp"]
    for wanted, got in ((None, "several sheets"), ("Lab", "no such sheet")):
        with pytest.raises(DataError, match=got) as raised:
            read_table(path, sheet=wanted)
        assert "Records, Labs" in str(raised.value)
    with pytest.raises(DataError, match="two sheets are named"):
        read_table(f"{path}#Labs", sheet="Records")
    with pytest.raises(DataError, match="the sheet is empty"):
        read_table(workbook(tmp_path / "t.xlsx", Records=ROWS, Empty=[]), sheet="Empty")
    with pytest.raises(DataError, match="the table is empty"):
        read_table(workbook(tmp_path / "t.xlsx", Empty=[]))


def test_hidden_and_merged_parts_are_noted(tmp_path):
    def hide(book):
        sheet = book["a"]
        sheet.merge_cells("C2:C3")
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["B"].hidden = True
        book["b"].sheet_state = "hidden"

    notes = TableNotes()
    table = read_table(changed(workbook(tmp_path / "t.xlsx", a=ROWS, b=ROWS), hide), notes=notes)
    assert table.shape == (2, 3) and table["sex"].tolist() == ["F", ""]
    for text in (
        "C2:C3",
        "hidden rows are read: 3",
        "hidden columns are read: B",
        "hidden sheets were not read: b",
    ):
        assert any(text in noted for noted in notes.texts)


def test_formulas_without_a_value_and_errors(tmp_path):
    path = workbook(tmp_path / "t.xlsx", a=[["patient_id", "age"], ["a", "=30*2"]])
    with pytest.raises(DataError, match="formulas without a stored value") as raised:
        read_table(path)
    assert raised.value.got == "B2"
    notes = TableNotes()
    path = workbook(tmp_path / "t.xlsx", a=[["patient_id", "crp"], ["a", "#REF!"], ["b", 2]])
    assert read_ehr(path, notes=notes)["crp"].dropna().to_dict() == {"b": 2.0}
    assert "#REF! in crp of a" in notes.texts[0]


def test_dates_in_the_place_of_genes(tmp_path):
    rows = [["gene", "p1"], ["TP53", 1], ["EGFR", 2], [datetime.datetime(2021, 9, 2), 3]]
    notes = TableNotes()
    assert list(read_rna(workbook(tmp_path / "t.xlsx", a=rows), notes=notes)) == ["TP53", "EGFR", "SEPTIN2"]
    assert "2021-09-02 as SEPTIN2" in notes.texts[0]


def test_title_rows_and_empty_columns(tmp_path):
    rows = [["Study X"], [], [None, *ROWS[0]], *([None, *row] for row in ROWS[1:])]
    notes = TableNotes()
    table = read_table(workbook(tmp_path / "t.xlsx", a=rows), notes=notes)
    assert table.iloc[:, -3:].columns.tolist() == ["patient_id", "age", "sex"]
    assert "above the header" in notes.texts[0]


def repacked(path, change):
    """Change the XML of the first sheet."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda xml: xml.replace(b"</sheetData>", b"<row/>" * 12_000_000 + b"</sheetData>"), "too large"),
        (
            lambda xml: xml.replace(
                b"</sheetData>", b"</sheetData><mergeCells><mergeCell ref = 'A1:XFD1048576'/></mergeCells>"
            ),
            "too many merged cells",
        ),
        (lambda xml: b'<!DOCTYPE a [<!ENTITY a "b">]>' + xml, "entities"),
        (lambda xml: xml[: len(xml) // 2], "cannot read this workbook"),
        (lambda xml: b"", "cannot read this workbook"),
        (lambda xml: xml.replace(b'r="A2"', b'r="XFD1048576"'), "the sheet, whose last cell is XFD1048576"),
    ],
)
def test_hostile_workbooks(tmp_path, change, message):
    path = repacked(workbook(tmp_path / "t.xlsx", a=ROWS), change)
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_other_formats_and_no_openpyxl(tmp_path, monkeypatch):
    for name in ("t.xls", "t.ods", "t.xlsb"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(DataError, match="a workbook of this format is not read"):
            read_table(tmp_path / name)
    (tmp_path / "t.xlsx").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(DataError, match="a workbook with a password"):
        read_table(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match="only a workbook has sheets"):
        (tmp_path / "t.csv").write_text("a,b\n1,2\n")
        read_table(tmp_path / "t.csv", sheet="a")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match="openpyxl") as raised:
        read_table(workbook(tmp_path / "u.xlsx", a=ROWS))
    assert "mmfusion[excel]" in raised.value.hint
