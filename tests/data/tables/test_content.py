"""Files that hold a table: encodings, packed files, other kinds of files."""

import gzip
import zipfile

import pytest

from mmfusion.data.tables.content import text_of
from mmfusion.data.tables.files import read_table
from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import DataError

TEXT = "patient_id;Größe\nA;1,5\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_of_unicode(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes(TEXT.encode(encoding))
    assert text_of(tmp_path / "t.csv") == TEXT


def test_windows_1252_is_read_and_noted(tmp_path):
    (tmp_path / "t.csv").write_bytes(TEXT.encode("cp1252"))
    notes = TableNotes()
    assert text_of(tmp_path / "t.csv", notes) == TEXT
    assert "Windows-1252" in notes.texts[0] and "line 1" in notes.texts[0]


@pytest.mark.parametrize("encoding", ["gbk", "cp1251", "shift_jis", "mac_roman"])
def test_another_encoding_is_refused(tmp_path, encoding):
    words = {"gbk": "性别年龄", "cp1251": "возраст", "shift_jis": "性別年齢", "mac_roman": "Größe"}
    (tmp_path / "t.csv").write_bytes(f"patient_id,{words[encoding]}\nA,1\n".encode(encoding))
    with pytest.raises(DataError, match="not a text table in UTF-8") as raised:
        text_of(tmp_path / "t.csv")
    assert "UTF-16 or Windows-1252" in raised.value.expected and "line 1" in raised.value.got


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04\x14\0", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel workbook"),
        (b"%PDF-1.4\n", "PDF"),
        (b"<html><table>", "HTML"),
        (b'{"a": 1}', "JSON"),
        (b"PAR1\x15\x04", "Parquet"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "gzipped twice"),
        (b"a,b\n1,\x002\n", "line 2"),
        (b"a,b\n1,\x1b2\n", "line 2"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, data, kind):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(DataError, match="not a text table") as raised:
        text_of(tmp_path / "t.csv")
    assert kind in raised.value.got


def test_damaged_archives(tmp_path):
    packed = gzip.compress(b"patient_id,age\n" + b"A,1\n" * 200)
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-20])
    (tmp_path / "crc.csv.gz").write_bytes(packed[:-8] + b"\1\2\3\4" + packed[-4:])
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("t.csv", "patient_id,age\nA,1\n")
    whole = (tmp_path / "t.csv.zip").read_bytes()
    (tmp_path / "crc.csv.zip").write_bytes(whole.replace(b"A,1", b"A,2", 1))
    for name in ("cut.csv.gz", "crc.csv.gz", "crc.csv.zip"):
        with pytest.raises(DataError, match="cannot be unpacked"):
            text_of(tmp_path / name)


def test_a_small_file_that_unpacks_to_much(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_MAX_GIB", "0.01")
    rows = b"A,1\n" * 2_000_000
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"patient_id,age\n" + rows))
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", b"patient_id,age\n" + rows)
    (tmp_path / "t.csv").write_bytes(b"patient_id,age\n" + rows)
    for name in ("t.csv.gz", "t.csv.zip", "t.csv"):
        with pytest.raises(DataError, match="too large") as raised:
            read_table(tmp_path / name)
        assert "MMFUSION_MAX_GIB" in raised.value.hint


def test_many_cells_are_counted_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_MAX_GIB", "0.01")
    (tmp_path / "t.csv").write_text("a,b\n" + "1,\n" * 400_000)
    with pytest.raises(DataError, match="the table is too large"):
        read_table(tmp_path / "t.csv")


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        text_of(tmp_path)
