"""Headers are what pydicom reads; damage to one element stays with that element."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from mmfusion.errors import ScanError
from mmfusion.imaging import read
from mmfusion.imaging.dicom import headers
from mmfusion.imaging.dicom.archive import Member, members
from mmfusion.imaging.dicom.headers import read_header
from mmfusion.imaging.dicom.tags import KEYWORDS
from tests.imaging.dicoms import phantom_hu, write_series, zipped

ENCODINGS = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless]


def member(data: bytes, name: str = "a.dcm", asked: list | None = None) -> Member:
    """A file in memory; `asked` notes which parts of it are read."""

    def part(start: int, size: int) -> bytes:
        if asked is not None:
            asked.append((start, size))
        return data[start:] if size < 0 else data[start : start + size]

    return Member(name, len(data), part, Path(name))


def slice_bytes(folder, change=None, **options) -> bytes:
    (file,) = write_series(folder, np.abs(phantom_hu((1, 16, 20))), change=change, **options).iterdir()
    return file.read_bytes()


def encoded(syntax):
    def change(ds, k):
        if syntax == RLELossless:
            ds.compress(syntax)
        ds.file_meta.TransferSyntaxUID = syntax
        ds["PixelData"].VR = "OW"

    return change


def plain(value):
    """Numbers as numbers and everything else as text, so that "1.0" and 1.0 are the same."""
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    try:
        return [float(v) for v in values]
    except (TypeError, ValueError):
        return [str(v).strip() for v in values]


@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.parametrize("syntax", ENCODINGS, ids=lambda s: s.name)
def test_values_are_those_of_the_whole_file(tmp_path, modality, syntax):
    data = slice_bytes(tmp_path, encoded(syntax), modality=modality)
    header, ds = read_header(member(data)), pydicom.dcmread(next(tmp_path.iterdir()))
    assert header.syntax == syntax
    expected = {k for k in KEYWORDS if ds.get(k) not in (None, "")}
    assert set(header.values) == expected >= {"Rows", "ImageType", "SOPClassUID", "ImagePositionPatient"}
    for keyword in expected - {"RadiopharmaceuticalInformationSequence"}:
        assert plain(header.values[keyword]) == plain(ds[keyword].value)
    if modality == "PT":
        tracer = header.values["RadiopharmaceuticalInformationSequence"]
        assert {k: plain(v) for k, v in tracer.items()} == {
            "RadionuclideTotalDose": [350e6],
            "RadionuclideHalfLife": [6586.2],
            "RadiopharmaceuticalStartTime": [130000.0],
        }


def test_values_of_real_files(shared_data):
    for path in ("pet_ct/AMC-001_ct.zip", "rtstruct", "dicom_seg"):
        with members(shared_data / path) as found:
            for one in found[:12]:
                header = read_header(one)
                (whole := pydicom.filebase.DicomBytesIO(one.read())).seek(0)
                ds = pydicom.dcmread(whole)
                wanted = {k for k in KEYWORDS if k in ds and ds[k].value not in (None, "")}
                assert set(filter(lambda k: isinstance(k, str), header.values)) == wanted
                assert all(plain(header.values[k]) == plain(ds[k].value) for k in wanted)


@pytest.mark.parametrize("syntax", ENCODINGS, ids=lambda s: s.name)
def test_where_the_pixels_lie(tmp_path, syntax):
    data = slice_bytes(tmp_path, encoded(syntax))
    header, pixels = read_header(member(data)), pydicom.dcmread(next(tmp_path.iterdir())).PixelData
    if syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert header.length == len(pixels)
        assert data[header.offset : header.offset + header.length] == pixels
    else:
        assert header.offset is None
        assert header.length is not None


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda s: s.name)
@pytest.mark.parametrize("size", [10, 20_000, 600_000])
def test_no_more_is_read_than_the_header_needs(tmp_path, size, syntax):
    def change(ds, k):
        encoded(syntax)(ds, k)
        block = ds.private_block(0x0021, "mine", create=True)
        block.add_new(1, "OB", bytes(size))
        ds.PixelData = bytes(2 * 2048 * 2048)
        ds.Rows = ds.Columns = 2048

    asked = []
    data = slice_bytes(tmp_path, change)
    header = read_header(member(data, asked=asked))
    assert data[header.offset :] == bytes(2 * 2048 * 2048)
    assert all(start == 0 for start, _ in asked)
    steps = [16 * 2**10, 512 * 2**10, 16 * 2**20]
    assert [n for _, n in asked] == steps[: next(k for k, n in enumerate(steps, 1) if n > size)]


def test_text_that_should_be_a_number_is_said_when_it_is_needed(tmp_path):
    data = slice_bytes(tmp_path).replace(b"DS\x04\x001.0 ", b"DS\x04\x00x   ")  # RescaleSlope
    header = read_header(member(data))
    assert header.text("RescaleSlope") == "x"
    with pytest.raises(ScanError, match=r"a.dcm, column RescaleSlope: a damaged header .*a number; got x"):
        header.number("RescaleSlope")


def test_a_series_number_that_is_none(tmp_path):
    write_series(tmp_path, phantom_hu(), series="1")
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert b"IS\x02\x0050" in data
        path.write_bytes(data.replace(b"IS\x02\x0050", b"IS\x02\x00II", 1))
    np.testing.assert_array_equal(read(tmp_path).array, phantom_hu())


def test_damage_stays_with_its_element(tmp_path):
    data = slice_bytes(tmp_path)
    at = data.index(b"\x28\x00\x10\x00US\x02\x00")  # Rows becomes a double of 2 bytes
    header = read_header(member(data[:at] + b"\x28\x00\x10\x00FD" + data[at + 6 :]))
    assert header.number("Columns") == 20
    with pytest.raises(ScanError, match=r"a.dcm, column Rows: a damaged header"):
        header.number("Rows")


def test_characters_beyond_ascii(tmp_path):
    def change(ds, k):
        ds.SpecificCharacterSet, ds.SeriesDescription = "ISO_IR 192", "Lunge, dünn"

    header = read_header(member(slice_bytes(tmp_path, change)))
    assert header.text("SeriesDescription") == "Lunge, dünn"
    assert "SpecificCharacterSet" not in header.values


def test_a_wrong_length_of_the_meta_header(tmp_path):
    data = bytearray(slice_bytes(tmp_path))
    data[140:144] = (4).to_bytes(4, "little")
    assert read_header(member(bytes(data))).number("Rows") == 16


def test_empty_elements_are_absent(tmp_path):
    def change(ds, k):
        ds.SeriesDescription, ds.RescaleType, ds.PatientWeight, ds.CorrectedImage = "", None, None, []

    header = read_header(member(slice_bytes(tmp_path, change)))
    for tag in ("SeriesDescription", "RescaleType", "PatientWeight", "CorrectedImage"):
        assert header.value(tag) is None
        assert header.text(tag) == ""


def test_what_is_no_image(tmp_path):
    data = slice_bytes(tmp_path)
    assert read_header(member(b"hello" * 100, "readme.txt")) is None
    directory = data.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.1.3.10\0\0\0\0\0\0")
    assert directory != data
    assert read_header(member(directory, "DICOMDIR")) is None
    for broken in (data[:100], data[:400]):
        with pytest.raises(ScanError, match="truncated or damaged"):
            read_header(member(broken))
    with pytest.raises(ScanError, match="cannot be understood as DICOM"):
        read_header(member(b"hello" * 100))


def test_a_mistake_of_ours_is_not_called_damage(tmp_path, monkeypatch):
    def mistaken(*args, **kwargs):
        raise KeyError("a mistake")

    data = slice_bytes(tmp_path)
    monkeypatch.setattr(headers, "values_of", mistaken)
    with pytest.raises(KeyError, match="a mistake"):
        read_header(member(data))
    monkeypatch.undo()
    monkeypatch.setattr(headers, "read_partial", mistaken)
    with pytest.raises(KeyError, match="a mistake"):
        read_header(member(data))


def test_formally_wrong_values_are_read_without_a_warning(tmp_path):
    def change(ds, k):
        ds.SeriesDescription = "x" * 80  # longer than allowed

    with pydicom.config.disable_value_validation():
        data = slice_bytes(tmp_path, change)
    assert (
        read_header(member(data)).text("SeriesDescription") == "x" * 80
    )  # and no warning, which would be an error


def test_headers_in_a_zip_are_the_same(tmp_path):
    folder = write_series(tmp_path / "s", phantom_hu())
    with members(folder) as plain_files, members(zipped(folder, tmp_path / "s.zip")) as packed:
        for one, other in zip(plain_files, packed, strict=True):
            a, b = read_header(one), read_header(other)
            assert a.values == b.values
            assert (a.offset, a.length, a.syntax) == (b.offset, b.length, b.syntax)
