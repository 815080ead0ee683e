import shutil
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import RLELossless, generate_uid

from mmfusion.errors import ScanError
from mmfusion.imaging import read
from mmfusion.imaging.dicom import read_series
from tests.imaging.dicoms import phantom_hu, write_series, zipped

TILT = np.deg2rad(10)


def series_uid(name):
    return str(generate_uid(entropy_srcs=["series", name]))


def itk(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.DICOMOrient(reader.Execute(), "LPS")


def assert_same(volume, image):
    np.testing.assert_array_equal(volume.array, np.maximum(sitk.GetArrayFromImage(image), -1024))
    np.testing.assert_allclose(volume.spacing, image.GetSpacing()[::-1], rtol=1e-6)
    for corner in ((0, 0, 0), tuple(n - 1 for n in image.GetSize())):
        np.testing.assert_allclose(volume.voxel_to_mm(corner), image.TransformIndexToPhysicalPoint(corner), atol=1e-3)


@pytest.mark.parametrize(
    "orientation",
    [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)],
    ids=["axial", "mirrored", "prone", "coronal", "sagittal"],
)
def test_agrees_with_simpleitk(tmp_path, orientation):
    folder = write_series(tmp_path / "s", phantom_hu(), orientation=orientation)
    volume = read(folder)
    assert_same(volume, itk(folder))
    assert (np.diag(volume.affine)[:3] > 0).all()
    assert volume.array.dtype == np.int16
    assert (volume.modality, volume.unit) == ("CT", "HU")


def test_folder_zip_and_nesting_are_alike(tmp_path):
    folder = write_series(tmp_path / "in" / "x" / "y", phantom_hu())
    (tmp_path / "in" / "readme.txt").write_text("not DICOM")
    (tmp_path / "in" / ".DS_Store").write_bytes(b"x" * 200)
    expected = read(folder)
    for path in (tmp_path / "in", zipped(tmp_path / "in", tmp_path / "s.zip")):
        got = read(path)
        np.testing.assert_array_equal(got.array, expected.array)
        np.testing.assert_array_equal(got.affine, expected.affine)


def test_real_ct(shared_data, tmp_path):
    archive = shared_data / "nsclc_radiogenomics" / "ct" / "R01-001.zip"
    volume = read(archive)
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    assert volume.shape == (89, 512, 512)
    assert_same(volume, itk(tmp_path / "R01-001"))


def test_real_padding(shared_data):
    volume = read(shared_data / "pet_ct" / "AMC-001_ct.zip")  # PixelPaddingValue -2000
    assert volume.array.min() == -1024


def test_rescale_and_padding(tmp_path):
    def change(ds, k):
        ds.RescaleSlope, ds.RescaleIntercept = 0.5, -500
        raw = np.full((16, 20), 1000, dtype="<i2")
        raw[0, 0], raw[0, 1] = 30000, -4000
        ds.PixelPaddingValue = 30000
        ds["PixelPaddingValue"].VR = "SS"
        ds.PixelData = raw.tobytes()

    volume = read(write_series(tmp_path, phantom_hu(), change=change))
    assert volume.array.dtype == np.float32
    assert volume.array[2, 5, 5] == 0.0
    assert volume.array[2, 0, 0] == volume.array[2, 0, 1] == -1024


def test_compressed_slices(tmp_path):
    folder = write_series(tmp_path, phantom_hu())
    expected = read(folder).array
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        ds.compress(RLELossless)
        ds.save_as(path)
    np.testing.assert_array_equal(read(folder).array, expected)


def test_one_file_is_one_slice(tmp_path, shared_data):
    folder = write_series(tmp_path, phantom_hu())
    volume = read(sorted(folder.iterdir())[0])
    assert volume.shape == (1, 16, 20)
    assert volume.spacing == pytest.approx((2.5, 0.8, 0.7))
    assert read(shared_data / "dicom_seg" / "ct_image.dcm").shape[0] == 1


def test_what_is_not_ct_is_passed_over_beside_one_series(tmp_path):
    hu = phantom_hu()
    write_series(tmp_path, hu, series="ct")
    write_series(tmp_path, hu, series="pt", modality="PT")

    def localizer(ds, k):
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path, hu[:1], series="scout", change=localizer)
    np.testing.assert_array_equal(read(tmp_path).array, hu)


def test_mixed_series_are_refused_and_listed(tmp_path):
    write_series(tmp_path, phantom_hu(), series="a")
    write_series(tmp_path, phantom_hu()[:4] + 7, series="b")
    with pytest.raises(ScanError, match="2 CT series") as error:
        read(tmp_path)
    for name, n in (("a", 6), ("b", 4)):
        assert f"{series_uid(name)} ({n} slices)" in str(error.value)
    np.testing.assert_array_equal(read(tmp_path, series=series_uid("b")).array, phantom_hu()[:4] + 7)
    with pytest.raises(ScanError, match="no such CT series"):
        read(tmp_path, series="1.2.3")


def test_no_ct(tmp_path):
    write_series(tmp_path / "pt", phantom_hu(), modality="PT")
    with pytest.raises(ScanError, match=r"no CT series .*got 6 of PT"):
        read(tmp_path / "pt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing")
    with pytest.raises(ScanError, match="no DICOM image at all"):
        read(tmp_path / "empty")


@pytest.mark.parametrize("keep", [0, 100, 180, 420, 700, -100], ids=lambda n: f"{n} bytes")
def test_truncated_file_is_named(tmp_path, keep):
    folder = write_series(tmp_path, phantom_hu())
    bad = sorted(folder.iterdir())[3]
    bad.write_bytes(bad.read_bytes()[:keep])
    for path in (folder, zipped(folder, tmp_path.with_suffix(".zip"))):
        with pytest.raises(ScanError, match=f"{bad.name}: truncated or damaged DICOM"):
            read(path)


def test_not_dicom_at_all(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"hello, this is text" * 50)
    with pytest.raises(ScanError, match=r"x.dcm: truncated or damaged"):
        read(tmp_path)


def test_no_decoder(tmp_path):
    def change(ds, k):
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
        ds.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 no jpeg \xff\xd9"])
        ds["PixelData"].VR = "OB"

    with pytest.raises(ScanError, match=r"no decoder for this compression|truncated or damaged"):
        read(write_series(tmp_path, phantom_hu(), change=change))


@pytest.mark.parametrize(("gone", "message"), [([2], "1 slice is missing"), ([2, 3], "2 slices are missing")])
def test_missing_slices(tmp_path, gone, message):
    folder = write_series(tmp_path, phantom_hu((9, 8, 8)))
    for k in gone:
        (folder / f"1_{k * 7:03d}.dcm").unlink()
    with pytest.raises(ScanError, match=rf"{message} between 102.50 and 1\d\d.\d0 mm .*every 2.50 mm"):
        read(folder)


def test_missing_slice_among_three(tmp_path):
    folder = write_series(tmp_path, phantom_hu((4, 8, 8)))
    (folder / "1_014.dcm").unlink()
    with pytest.raises(ScanError, match="1 slice is missing"):
        read(folder)


def test_doubled_slice(tmp_path):
    folder = write_series(tmp_path, phantom_hu())
    shutil.copy(folder / "1_014.dcm", folder / "copy.dcm")
    with pytest.raises(ScanError, match=r"two slices at one place, 105.00 mm .*1_014.dcm"):
        read(folder)


def test_uneven_spacing(tmp_path):
    def change(ds, k):
        if k >= 3:
            ds.ImagePositionPatient = [-30, -40, 107.5 + 3.3 * (k - 3)]

    with pytest.raises(ScanError, match=r"uneven spacing between 107.50 and 110.80 mm"):
        read(write_series(tmp_path, phantom_hu((6, 8, 8)), change=change))


def test_jitter_of_positions_is_no_gap(tmp_path):
    def change(ds, k):
        ds.ImagePositionPatient = [-30, -40, round(100 + 1.25 * k, 1)]

    volume = read(write_series(tmp_path, phantom_hu((9, 8, 8)), change=change))
    assert volume.spacing[0] == pytest.approx(1.25)


def test_tilted_gantry(tmp_path):
    def table_moves_along_z(ds, k):  # while the slices lean by 10 degrees
        ds.ImagePositionPatient = [-30, -40, 100 + 2.5 * k]

    lean = (1, 0, 0, 0, np.cos(TILT), -np.sin(TILT))
    with pytest.raises(ScanError, match=r"tilted gantry.*10.0 degrees"):
        read(write_series(tmp_path / "a", phantom_hu(), orientation=lean, change=table_moves_along_z))

    def says_so(ds, k):
        ds.GantryDetectorTilt = -12

    with pytest.raises(ScanError, match=r"gantry was tilted .*-12.0 degrees"):
        read(write_series(tmp_path / "b", phantom_hu(), change=says_so))


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        ("PixelSpacing", [1.0, 1.0], "unlike the others"),
        ("ImageOrientationPatient", [0, 1, 0, 1, 0, 0], "unlike the others"),
        ("RescaleSlope", None, "not a usable CT slice"),
        ("ImagePositionPatient", None, "not a usable CT slice.*ImagePositionPatient"),
        ("NumberOfFrames", 3, "single-frame"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2.1", "enhanced"),
    ],
)
def test_a_slice_that_does_not_fit(tmp_path, tag, value, message):
    def change(ds, k):
        if k == 3:
            if value is None:
                delattr(ds, tag)
            else:
                setattr(ds, tag, value)

    with pytest.raises(ScanError, match=message) as error:
        read_series(write_series(tmp_path, phantom_hu(), change=change))
    assert "1_021.dcm" in str(error.value)


def test_single_slice_needs_thickness(tmp_path):
    def change(ds, k):
        del ds.SliceThickness

    with pytest.raises(ScanError, match="without thickness"):
        read(write_series(tmp_path, phantom_hu()[:1], change=change))
