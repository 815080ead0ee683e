"""Every file of a scan is accounted for: used, left out for a reason, or lost with a warning."""

import gzip
import shutil
import tarfile
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from mmfusion.data.discovery.sniff_scans import sniff_scan
from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import list_series, read, read_crop
from tests.imaging.dicoms import phantom_hu, write_series, zipped

HU = phantom_hu()


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "s", HU)


def bare(path, *, implicit, keep_meta=False):
    """The file again, without suffix, the first 128 bytes and the mark."""
    ds = pydicom.dcmread(path)
    if keep_meta:
        data = path.read_bytes()[132:]
        path.with_suffix("").write_bytes(data)
    else:
        del ds.file_meta, ds.preamble
        ds.save_as(path.with_suffix(""), implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    path.unlink()


@pytest.mark.parametrize("kind", ["implicit", "explicit", "with meta header"])
@pytest.mark.parametrize("numbers", [[4, 5], [0, 1, 2, 3, 4, 5]], ids=["some", "all"])
def test_files_without_preamble_and_suffix_are_slices(folder, kind, numbers):
    expected = read(folder)
    for k in numbers:
        bare(folder / f"1_{k * 7:03d}.dcm", implicit=kind == "implicit", keep_meta=kind == "with meta header")
    for path in (folder, zipped(folder, folder.parent / "s.zip")):
        volume = read(path)
        np.testing.assert_array_equal(volume.array, expected.array)
        assert (volume.source.given, volume.source.used, volume.source.left_out) == (6, 6, ())


def test_one_file_without_preamble_is_recognised(folder):
    bare(folder / "1_014.dcm", implicit=True)
    assert read(folder / "1_014").shape == (1, 16, 20)


def test_what_cannot_be_understood_is_a_loss(folder):
    for name in ("IM0007", "1.2.840.7", "slice.bin"):
        (folder / name).write_bytes(b"\0\1\2\3" * 300)
    (folder / "IM0008").write_bytes(b"")
    for way in (read, lambda p: read_crop(p, (-27, -36, 103), 4.0, 1.0)):
        with pytest.warns(
            ScanWarning, match=r"not be complete: 3 files: cannot be understood .*1 file: empty"
        ):
            volume = way(folder)
        assert (volume.source.given, volume.source.used, volume.source.n_lost) == (10, 6, 4)
    row = list_series(folder).iloc[0]
    assert (row.n_files, row.n_lost) == (6, 4)
    assert "6 of 10 files used" in row.account
    assert "3 files: cannot be understood as DICOM (1.2.840.7" in sniff_scan(folder).why


def test_other_files_are_no_loss(folder):
    write_series(
        folder / "2", HU + 5, series="scout", change=lambda ds, k: setattr(ds, "ImageType", "LOCALIZER")
    )
    for name in ("notes.txt", "README", "a.xml", "Thumbs.db", "report.pdf", "labels.csv.gz", "mask.nii.gz"):
        (folder / name).write_bytes(b"text" if name == "README" else b"\0\1\2\3" * 50)
    source = read(folder).source
    assert (source.given, source.used, source.n_lost) == (19, 6, 0)
    assert [str(part).split(" (")[0] for part in source.left_out] == [
        "7 files: not DICOM",
        "6 files: CT, localizer",
    ]


def test_text_is_never_dicom(tmp_path):
    for text in (
        b"CT scan of P1, DICM " * 20,
        b"UICSLODA" * 40,
        b" " * 132 + b"\x08\0\x05\0CS",
        b"\x08\0" * 80,
    ):
        (tmp_path / "x").write_bytes(text)
        with pytest.raises(ScanError, match="unknown scan format"):
            read(tmp_path / "x")


def test_the_account_stays_with_the_volume(folder):
    shutil.copy(folder / "1_014.dcm", folder / "again.dcm")
    with pytest.warns(ScanWarning, match="the same file as another"):
        volume = read(folder)
    assert replace(volume, modality="CT").source is volume.source
    assert volume.resample(2.0).source == volume.source
    assert "1 file: CT, another pass, or a copy (again.dcm)" in str(volume.source)


@pytest.mark.parametrize("suffix", [".gz", ".GZ"])
def test_gzip_of_each_file(folder, suffix):
    expected = read(folder)
    for path in sorted(folder.iterdir()):
        path.with_name(path.name + suffix).write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for path in (folder, zipped(folder, folder.parent / "s.zip")):
        np.testing.assert_array_equal(read(path).array, expected.array)
    one = sorted(folder.iterdir())[0]
    assert read(one).shape == (1, 16, 20)
    data = one.read_bytes()
    one.write_bytes(data[:-30])
    with pytest.raises(ScanError, match=r"packed data are damaged .*copy or download"):
        read(folder)
    one.write_bytes(data[:-6] + bytes([data[-6] ^ 1]) + data[-5:])
    with pytest.raises(ScanError, match=r"packed data are damaged .*incorrect data check"):
        read(folder)


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz", "s.7z", "s.rar"])
def test_other_archives_are_said(folder, tmp_path, name):
    path = tmp_path / name
    if "tar" in name:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            archive.add(folder, "s")
    else:
        path.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(500))
    with pytest.raises(ScanError, match=r"unknown scan format .*unpack it"):
        read(path)
    shutil.move(path, folder / name)
    with pytest.warns(ScanWarning, match=rf"1 file: packed: unpack it \({name}\)"):
        assert read(folder).shape == (6, 16, 20)


def test_a_zip_in_a_zip(folder, tmp_path):
    inner = zipped(folder, tmp_path / "inner.zip")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(inner, "inner.zip")
    with pytest.raises(ScanError, match=r"outer.zip: no CT or PET series .*1 of packed: unpack it"):
        read(tmp_path / "outer.zip")


def test_a_header_without_modality_is_not_called_damaged(folder):
    ds = pydicom.dcmread(folder / "1_014.dcm")
    del ds.Modality
    ds.save_as(folder / "1_014.dcm")
    with pytest.raises(ScanError, match=r"1_014.dcm: not a usable slice \(expected Modality"):
        read(folder)


def number(start, step=1):
    return lambda ds, k: setattr(ds, "InstanceNumber", start + step * k)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (number(1), ""),
        (number(0), ""),
        (number(6, -1), ""),
        (number(101), ""),
        (number(1000), ""),
        (number(4), "InstanceNumber begins at 4: 3 slices may be missing"),
        (number(9, -1), "InstanceNumber begins at 4: 3 slices may be missing"),
        (number(1, 2), "InstanceNumber goes in steps of 2"),
        (lambda ds, k: setattr(ds, "InstanceNumber", [7, 2, 9, 4, 3, 8][k]), ""),
        (lambda ds, k: delattr(ds, "InstanceNumber"), ""),
        (lambda ds, k: setattr(ds, "ImagesInAcquisition", 6), ""),
        (
            lambda ds, k: setattr(ds, "ImagesInAcquisition", 9),
            "6 of 9 images that ImagesInAcquisition states",
        ),
        (lambda ds, k: setattr(ds, "NumberOfSlices", 6), ""),
        (lambda ds, k: setattr(ds, "NumberOfSlices", 8), "6 of 8 slices that NumberOfSlices states"),
    ],
)
def test_slices_that_are_missing_at_an_end(tmp_path, change, message):
    folder = write_series(tmp_path, HU, change=change)
    if message:
        with pytest.warns(ScanWarning, match=message):
            volume = read(folder)
        assert volume.source.remarks
        assert message in list_series(folder).account.item()
    else:
        assert read(folder).source.remarks == ()


def test_numbers_of_a_localizer_are_known(tmp_path):
    def localizer(ds, k):
        ds.ImageType, ds.InstanceNumber = ["ORIGINAL", "PRIMARY", "LOCALIZER"], k + 1

    write_series(tmp_path, HU, change=number(3))
    write_series(tmp_path / "x", HU[:2], change=localizer)
    assert read(tmp_path).source.remarks == ()


@pytest.mark.parametrize("more", [1, 2, 300])
def test_surplus_bytes_of_pixels(tmp_path, more):
    def change(ds, k):
        ds.Rows, ds.Columns = 15, 19
        ds.PixelData = ds.PixelData[: 15 * 19 * 2] + bytes(more + more % 2)

    folder = write_series(tmp_path, HU, change=change)
    with pytest.warns(ScanWarning, match=r"and 5 more: \d+ bytes of pixels, the image needs 570"):
        assert read(folder).shape == (6, 15, 19)


def test_a_pad_byte_is_usual(tmp_path):
    def change(ds, k):
        ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 15, 19, 8, 8, 7
        ds.PixelRepresentation, ds.RescaleSlope = 0, 8
        ds.PixelData = (np.arange(285) % 250).astype(np.uint8).tobytes() + b"\0"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(write_series(tmp_path, HU, change=change)).shape == (6, 15, 19)


@pytest.mark.parametrize(
    ("behind", "noticed"),
    [
        (b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0\0\0\0\0", False),
        (bytes(512), False),
        (b"\x10\x02\x11\x03" * 8, True),
    ],
    ids=["padding element", "zeros", "other bytes"],
)
def test_bytes_behind_the_pixels(folder, behind, noticed):
    path = folder / "1_014.dcm"
    path.write_bytes(path.read_bytes() + behind)
    if noticed:
        with pytest.warns(ScanWarning, match=r"1_014.dcm: 32 bytes after the pixels that are no element"):
            read(folder)
    else:
        assert read(folder).source.remarks == ()


@pytest.mark.parametrize(
    ("tag", "value"), [("SOPClassUID", "1.2.840.10008.5.1.4.1.1.99"), ("Modality", "CU")]
)
def test_a_slice_of_the_series_with_another_class_is_a_loss(folder, tag, value):
    def change(ds, k):
        if k == 5:
            setattr(ds, tag, value)

    write_series(folder, HU, change=change)
    with pytest.warns(
        ScanWarning, match=r"1 file: C., (no image of slices|neither CT nor PET) \(1_035.dcm\)"
    ):
        assert read(folder).shape == (5, 16, 20)
