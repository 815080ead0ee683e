import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import RLELossless, generate_uid

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import read, read_crop
from mmfusion.imaging.dicom.pixels import SlicedArray
from tests.imaging.dicoms import phantom_hu, write_series, zipped

TILT = np.deg2rad(10)


def itk(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.DICOMOrient(reader.Execute(), "LPS")


def assert_same(volume, image):
    np.testing.assert_array_equal(volume.array, np.maximum(sitk.GetArrayFromImage(image), -1024))
    np.testing.assert_allclose(volume.spacing, image.GetSpacing()[::-1], rtol=1e-6)
    for corner in ((0, 0, 0), tuple(n - 1 for n in image.GetSize())):
        np.testing.assert_allclose(
            volume.voxel_to_mm(corner), image.TransformIndexToPhysicalPoint(corner), atol=1e-3
        )


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


def test_one_file_is_one_slice(tmp_path, shared_data):
    folder = write_series(tmp_path, phantom_hu())
    volume = read(sorted(folder.iterdir())[0])
    assert volume.shape == (1, 16, 20)
    assert volume.spacing == pytest.approx((2.5, 0.8, 0.7))
    assert read(shared_data / "dicom_seg" / "ct_image.dcm").shape[0] == 1


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
    with pytest.raises(ScanError, match=r"x.dcm: cannot be understood as DICOM"):
        read(tmp_path)


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


def test_a_copy_of_a_slice_is_passed_over(tmp_path):
    folder = write_series(tmp_path, phantom_hu())
    expected = read(folder)
    shutil.copy(folder / "1_014.dcm", folder / "copy.dcm")
    for path in (folder, zipped(folder, tmp_path.with_suffix(".zip"))):
        with pytest.warns(ScanWarning, match=r"copy.dcm: passed over, the same file"):
            np.testing.assert_array_equal(read(path).array, expected.array)


@pytest.mark.parametrize("same_uid", [True, False])
def test_doubled_slice(tmp_path, same_uid):
    folder = write_series(tmp_path, phantom_hu())
    ds = pydicom.dcmread(folder / "1_014.dcm")
    ds.PixelData = bytes(len(ds.PixelData))
    if not same_uid:
        ds.SOPInstanceUID = generate_uid()
    ds.save_as(folder / "other.dcm")
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


def test_gaps_that_grow(tmp_path):
    def change(ds, k):
        ds.ImagePositionPatient = [-30, -40, 100 + 2.0 * k + 0.01 * k**2]

    with pytest.raises(ScanError, match=r"uneven spacing"):
        read(write_series(tmp_path, phantom_hu((19, 8, 8)), change=change))


def test_a_slice_aside(tmp_path):
    def change(ds, k):
        if k == 3:
            ds.ImagePositionPatient = [-20, -40, 107.5]

    with pytest.raises(ScanError, match=r"1_021.dcm: a slice shifted against the others .*got 10.0 mm"):
        read(write_series(tmp_path, phantom_hu(), change=change))


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
        ("RescaleSlope", None, "not a usable slice .*RescaleSlope"),
        ("ImagePositionPatient", None, "not a usable slice.*ImagePositionPatient"),
        ("Rows", 15, "unlike the others"),
        ("RescaleSlope", -1, "cannot be HU"),
        ("RescaleType", "OD", "RescaleType: values that are not HU .*got OD"),
        ("BitsAllocated", 12, "BitsAllocated: a damaged header .*got 12"),
        ("SamplesPerPixel", 3, "3 values per pixel"),
        ("NumberOfFrames", 3, "single-frame"),
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
        read(write_series(tmp_path, phantom_hu(), change=change))
    assert "1_021.dcm" in str(error.value)


def test_single_slice_needs_thickness(tmp_path):
    def change(ds, k):
        del ds.SliceThickness

    with pytest.raises(ScanError, match="without thickness"):
        read(write_series(tmp_path, phantom_hu()[:1], change=change))


def test_raw_values_are_no_hu(tmp_path):
    rng = np.random.default_rng(0)
    hu = np.where(rng.random((6, 40, 40)) < 0.5, -1000, 40).astype(np.int16)

    def unscaled(ds, k):
        ds.RescaleIntercept = 0

    with pytest.raises(ScanError, match=r"values that cannot be HU .*got 24 to 1064.*rescale"):
        read(write_series(tmp_path / "a", hu, change=unscaled))
    with pytest.raises(ScanError, match=r"values that cannot be HU .*inverted"):
        read(write_series(tmp_path / "b", -hu))

    def unsigned(ds, k):
        ds.RescaleIntercept, ds.PixelRepresentation = 0, 0

    with pytest.raises(ScanError, match=r"RescaleIntercept: values that cannot be HU"):
        read(write_series(tmp_path / "c", hu, change=unsigned))
    with pytest.raises(ScanError, match=r"every voxel has one value"):
        read(write_series(tmp_path / "d", np.full_like(hu, -1000)))
    assert read(write_series(tmp_path / "e", hu)).array.max() == 40


ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (*np.round([np.cos(0.2), np.sin(0.2)], 6), 0, *np.round([-np.sin(0.2), np.cos(0.2)], 6), 0),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_crop_is_that_of_the_whole(tmp_path, orientation, modality):
    values = phantom_hu((14, 30, 26)) if modality == "CT" else np.abs(phantom_hu((14, 30, 26)))
    folder = write_series(tmp_path / "s", values, orientation=orientation, modality=modality)
    whole = read(folder)
    rng = np.random.default_rng(1)
    for path in (folder, zipped(folder, tmp_path / "s.zip")):
        for spacing in (None, 1.0, (3.0, 0.6, 1.1)):
            center = whole.voxel_to_mm(rng.uniform(0, np.array(whole.shape[::-1]) - 1))
            size = rng.uniform(3, 15, 3)
            crop, expected = read_crop(path, center, size, spacing), whole.crop(center, size, spacing)
            np.testing.assert_array_equal(crop.array, expected.array)
            np.testing.assert_array_equal(crop.affine, expected.affine)
            assert (crop.modality, crop.unit) == (whole.modality, whole.unit)
    filled = read_crop(folder, whole.center_mm, 100, 5.0, fill=-7).array
    np.testing.assert_array_equal(filled, whole.crop(whole.center_mm, 100, 5.0, fill=-7).array)
    assert filled[0, 0, 0] == -7
    with pytest.raises(ScanError, match="a point outside the scan"):
        read_crop(folder, (500, 0, 0), 10)


def test_crop_reads_what_it_needs_and_checks_the_rest(tmp_path, monkeypatch):
    folder = write_series(tmp_path, phantom_hu((40, 16, 20)))
    read_slices = []
    values = SlicedArray._values

    def counted(self, k, y, x):
        read_slices.append((k, y))
        return values(self, k, y, x)

    monkeypatch.setattr(SlicedArray, "_values", counted)
    read_crop(folder, (-25, -35, 150), 5.0)
    assert len({k for k, _ in read_slices}) <= 3 + 10
    assert any(y.stop - y.start < 16 for _, y in read_slices)
    (folder / "1_000.dcm").unlink()
    with pytest.warns(ScanWarning, match="InstanceNumber begins at 2: 1 slice may be missing"):
        read_crop(folder, (-25, -35, 150), 5.0)
    (folder / "1_266.dcm").unlink()  # far from the crop
    with pytest.raises(ScanError, match="1 slice is missing"):
        read_crop(folder, (-25, -35, 120), 5.0)


def test_names_its_series_and_frame(tmp_path):
    def change(ds, k):
        ds.FrameOfReferenceUID = "1.2.3"

    volume = read(write_series(tmp_path, phantom_hu(), series="a", change=change))
    assert volume.series_uid == str(generate_uid(entropy_srcs=["series", "a"]))
    assert volume.frame_of_reference == "1.2.3"


def test_a_slice_exported_anew_is_a_copy(tmp_path):
    folder = write_series(tmp_path, phantom_hu())
    expected = read(folder)
    ds = pydicom.dcmread(folder / "1_014.dcm")
    ds.InstanceCreationTime = "101010"
    ds.save_as(folder / "later.dcm")
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(folder / "packed.dcm")
    with pytest.warns(ScanWarning, match=r"later.dcm and 1 more: passed over"):
        np.testing.assert_array_equal(read(folder).array, expected.array)
