import locale

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from mmfusion.errors import ScanError
from mmfusion.imaging import read, read_crop
from mmfusion.imaging.dicom import decoder, decoding
from tests.imaging.dicoms import phantom_hu, write_series, zipped


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "s", phantom_hu())


def rewritten(folder, change):
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        change(ds)
        ds.save_as(path)
    return folder


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda s: s.name)
def test_lossless_compression(tmp_path, syntax, signed):
    def change(ds, k):
        ds.PixelRepresentation, ds.RescaleIntercept = signed, -1024
        ds.BitsStored, ds.HighBit = (16, 15) if signed else (12, 11)
        ds.compress(syntax)

    hu = phantom_hu((6, 40, 48))
    folder = write_series(tmp_path / "s", hu, change=change)
    for path in (folder, zipped(folder, tmp_path / "s.zip")):
        np.testing.assert_array_equal(read(path).array, hu)
    crop = read_crop(folder, (-25, -35, 105), 4.0, 0.9).array
    np.testing.assert_array_equal(crop, read(folder).crop((-25, -35, 105), 4.0, 0.9).array)


def test_jpeg_lossless(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    hu = phantom_hu((1, 16, 20))
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((0.7, 0.8, 2.5))
    for key, value in {
        "0008|0060": "CT", "0008|0016": "1.2.840.10008.5.1.4.1.1.2", "0020|000e": "1.2.3", "0018|0050": "2.5",
        "0028|1052": "-1024", "0028|1053": "1", "0020|0037": r"1\0\0\0\1\0", "0020|0032": r"0\0\0",
    }.items():  # fmt: skip
        image.SetMetaData(key, value)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.SetFileName(str(folder / "a.dcm"))
    kept = locale.setlocale(locale.LC_ALL)
    writer.Execute(image)
    locale.setlocale(locale.LC_ALL, kept)  # ITK's writer of DICOM leaves "C"
    assert pydicom.dcmread(folder / "a.dcm").file_meta.TransferSyntaxUID.name.startswith("JPEG Lossless")
    np.testing.assert_array_equal(read(folder).array, hu)


def test_lossy_compression_is_near(tmp_path):
    smooth = np.add.outer(np.zeros(3), np.add.outer(np.arange(-1000, -400, 10), np.arange(64) * 5)).astype(
        np.int16
    )

    def change(ds, k):
        ds.compress(JPEG2000, j2k_cr=[2])

    assert np.abs(read(write_series(tmp_path, smooth, change=change)).array - smooth).max() < 5


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_other_encodings(tmp_path, syntax):
    def change(ds, k):
        ds.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        ds["PixelData"].VR = "OW"

    folder = write_series(tmp_path / "s", phantom_hu(), change=change)
    np.testing.assert_array_equal(read(folder).array, phantom_hu())


def test_without_preamble_and_meta_header(folder):
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        del ds.file_meta, ds.preamble
        ds.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    np.testing.assert_array_equal(read(folder).array, phantom_hu())


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_widths(tmp_path, bits, signed):
    stored = (phantom_hu((4, 8, 8)).astype(np.int64) + 1024) // (16 if bits == 8 else 1)

    def change(ds, k):
        ds.BitsAllocated = ds.BitsStored = bits
        ds.HighBit, ds.PixelRepresentation = bits - 1, signed
        ds.RescaleSlope = 16 if bits == 8 else 1
        values = stored[k] - (64 if bits == 8 and signed else 0)
        ds.RescaleIntercept = 0 if bits == 8 and signed else -1024
        ds.PixelData = values.astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes()

    volume = read(write_series(tmp_path, phantom_hu((4, 8, 8)), change=change))
    np.testing.assert_array_equal(volume.array, stored * (16 if bits == 8 else 1) - 1024)


@pytest.mark.parametrize(
    ("value", "limit", "vr"),
    [(-2000, None, "SS"), (63536, None, "US"), (-2000, -1990, "SS"), (-1990, -2000, "SS")],
)
def test_padding(tmp_path, value, limit, vr):
    def change(ds, k):
        ds.PixelPaddingValue = value
        ds["PixelPaddingValue"].VR = vr
        if limit is not None:
            ds.PixelPaddingRangeLimit = limit
            ds["PixelPaddingRangeLimit"].VR = vr
        ds.RescaleIntercept = 1000  # so that padding does not become air by itself
        stored = (phantom_hu()[k] - 1000).astype("<i2")
        stored[0, :3] = -2000, -1995, -1990
        ds.PixelData = stored.tobytes()

    array = read(write_series(tmp_path, phantom_hu(), change=change)).array
    expected = [-1024, -995, -990] if limit is None else [-1024] * 3
    np.testing.assert_array_equal(array[:, 0, :3], [expected] * 6)
    rest = phantom_hu()[:, 1:]
    np.testing.assert_array_equal(array[:, 1:][rest > -990], rest[rest > -990])


def test_no_decoder(folder, monkeypatch):
    rewritten(folder, lambda ds: ds.compress(JPEGLSLossless))
    monkeypatch.setattr(pydicom.pixels.get_decoder(JPEGLSLossless), "_available", {})
    message = decoder.decode(b"", JPEGLSLossless, {})
    assert message[0]["missing"]
    monkeypatch.setattr(decoding, "_answer", lambda *a: message)
    with pytest.raises(ScanError, match=r"no decoder for this compression .*JPEG-LS.*pip install pyjpegls"):
        read(folder)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=lambda s: s.name)
def test_damaged_compressed_pixels(tmp_path, syntax):
    folder = write_series(tmp_path, phantom_hu((6, 40, 48)), change=lambda ds, k: ds.compress(syntax))
    bad = folder / "1_021.dcm"
    whole = bad.read_bytes()
    good = read(folder).array
    for keep in (0.97, 0.9, 0.7):
        bad.write_bytes(whole[: int(len(whole) * keep)])
        with pytest.raises(ScanError, match=r"1_021.dcm: truncated or damaged"):
            read(folder)
    bad.write_bytes(whole)
    np.testing.assert_array_equal(read(folder).array, good)


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("overlay", [False, True])
def test_unused_bits_do_not_count(tmp_path, signed, overlay):
    """The 12th of 16 bits is the sign; old scanners used the rest for overlays; SimpleITK agrees."""

    def change(ds, k):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, signed
        ds.RescaleIntercept = 0 if signed else -1024
        stored = phantom_hu()[k].astype(np.int32) + (0 if signed else 1024) & 0xFFF
        stored[::3] |= 0x8000 if overlay else 0
        ds.PixelData = stored.astype("<u2").tobytes()

    folder = write_series(tmp_path, phantom_hu(), change=change)
    np.testing.assert_array_equal(read(folder).array, phantom_hu())
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(reader.Execute()), phantom_hu())


def test_padding_in_12_bits(tmp_path):
    def change(ds, k):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation, ds.RescaleIntercept = 12, 11, 1, 1000
        ds.PixelPaddingValue = -2000
        ds["PixelPaddingValue"].VR = "SS"
        stored = phantom_hu()[k].astype(np.int32) - 1000
        stored[0, 0] = -2000
        ds.PixelData = (stored & 0xFFF).astype("<u2").tobytes()

    array = read(write_series(tmp_path, phantom_hu(), change=change)).array
    assert (array[:, 0, 0] == -1024).all()
    near = phantom_hu() > -900
    near[:, 0, 0] = False
    np.testing.assert_array_equal(array[near], phantom_hu()[near])
