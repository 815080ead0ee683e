"""Every real sample against SimpleITK as an independent reader, and the SUV against a formula of its own."""

import tracemalloc
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.ndimage import binary_fill_holes

from mmfusion.imaging import list_series, read, read_crop

CT = {
    "nsclc_radiogenomics/ct/R01-001.zip": ((89, 512, 512), (1.0, 0.693359375, 0.693359375)),
    "pet_ct/AMC-001_ct.zip": ((55, 512, 512), (3.27, 0.976562, 0.976562)),
    "rtstruct/4D-Lung-113_ct.zip": ((46, 512, 512), (3.0, 0.9766, 0.9766)),
}
PET = "pet_ct/AMC-001_pet.zip"


@pytest.fixture
def unpacked(shared_data, tmp_path):
    def unpack(name):
        with zipfile.ZipFile(shared_data / name) as archive:
            archive.extractall(tmp_path)
        return next(tmp_path.rglob("*.dcm")).parent

    return unpack


def by_itk(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.DICOMOrient(reader.Execute(), "LPS")


def assert_same_place(volume, image):
    assert volume.shape == image.GetSize()[::-1]
    np.testing.assert_allclose(volume.spacing, image.GetSpacing()[::-1], rtol=1e-5)
    for corner in ((0, 0, 0), tuple(n - 1 for n in image.GetSize())):
        np.testing.assert_allclose(
            volume.voxel_to_mm(corner), image.TransformIndexToPhysicalPoint(corner), atol=2e-3
        )
    assert (np.diag(volume.affine) > 0).all()


@pytest.mark.parametrize("name", CT)
def test_ct(shared_data, unpacked, name):
    volume, folder = read(shared_data / name), unpacked(name)
    assert (volume.shape, volume.spacing) == (CT[name][0], pytest.approx(CT[name][1], rel=1e-4))
    assert (volume.modality, volume.unit, volume.array.dtype) == ("CT", "HU", np.int16)
    image = by_itk(folder)
    np.testing.assert_array_equal(volume.array, np.maximum(sitk.GetArrayFromImage(image), -1024))
    assert_same_place(volume, image)
    np.testing.assert_array_equal(read(folder).array, volume.array)
    lung, tissue = (
        np.count_nonzero((volume.array > a) & (volume.array < b)) for a, b in ((-950, -700), (-100, 150))
    )
    assert min(lung, tissue) > 0.04 * volume.array.size
    assert volume.array.min() == -1024 or name.startswith("rtstruct")  # padding of -2000 in AMC-001


def test_crop_around_the_seed(shared_data, unpacked):
    name, at = "nsclc_radiogenomics/ct/R01-001.zip", (-95.69, -144.98, -66.12)
    expected = read(shared_data / name).crop(at, 96, 1.0, fill=-1000).array
    for path in (shared_data / name, unpacked(name)):
        np.testing.assert_array_equal(read_crop(path, at, 96, 1.0, fill=-1000).array, expected)
    core = read_crop(shared_data / name, at, 6, 1.0).array
    assert core.mean() > -200  # a tumour, in lung of some -850


def test_memory(shared_data):
    path, decoded = shared_data / "nsclc_radiogenomics/ct/R01-001.zip", 89 * 512 * 512 * 2
    for step in (lambda: read(path), lambda: read_crop(path, (-95.69, -144.98, -66.12), 96, 1.0)):
        tracemalloc.start()
        step()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1.5 * decoded


def test_one_slice(shared_data):
    path = shared_data / "dicom_seg" / "ct_image.dcm"
    volume, image = read(path), sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    np.testing.assert_array_equal(volume.array, np.maximum(sitk.GetArrayFromImage(image), -1024))
    np.testing.assert_allclose(volume.affine[:3, 3], image.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(volume.spacing, image.GetSpacing()[::-1], rtol=1e-5)
    assert read(path.parent).shape == volume.shape  # beside segmentations


@pytest.mark.parametrize("name", ["volumes/lung1_image.nrrd", "volumes/example_ct.nii.gz"])
def test_files(shared_data, name):
    volume = read(shared_data / name)
    image = sitk.DICOMOrient(sitk.ReadImage(str(shared_data / name)), "LPS")
    np.testing.assert_array_equal(volume.array, np.maximum(sitk.GetArrayFromImage(image), -1024))
    assert_same_place(volume, image)


def test_pet(shared_data, unpacked):
    volume, folder = read(shared_data / PET), unpacked(PET)
    assert (volume.modality, volume.unit, volume.array.dtype) == ("PT", "SUVbw", np.float32)
    image = by_itk(folder)  # Bq/mL
    assert_same_place(volume, image)
    ds = pydicom.dcmread(next(folder.iterdir()))
    tracer = ds.RadiopharmaceuticalInformationSequence[0]
    assert (ds.Units, ds.DecayCorrection, ds.SeriesTime) == ("BQML", "START", "133949")
    assert tracer.RadiopharmaceuticalStartTime == "124800.00"
    minutes = (13 * 60 + 39 + 49 / 60) - (12 * 60 + 48)  # of uptake: 51.8
    left = float(tracer.RadionuclideTotalDose) * np.exp(-np.log(2) * minutes / 109.77)
    expected = sitk.GetArrayFromImage(image) * float(ds.PatientWeight) * 1000 / left
    np.testing.assert_allclose(volume.array, expected, rtol=1e-4, atol=1e-5)
    # DecayFactor says when this frame was: it was corrected to SeriesTime, as assumed
    middle = (13 * 60 + 49 + 57 / 60 + 1) - (13 * 60 + 39 + 49 / 60)
    assert float(ds.DecayFactor) == pytest.approx(2 ** (middle / 109.77), rel=1e-3)


def test_pet_lies_where_the_ct_lies(shared_data):
    ct, pet = read(shared_data / "pet_ct" / "AMC-001_ct.zip"), read(shared_data / PET)
    assert ct.frame_of_reference == pet.frame_of_reference
    on_ct = pet.on_grid(ct.affine, ct.shape)
    assert (on_ct.shape, on_ct.unit) == (ct.shape, "SUVbw")
    hu, suv = ct.array[::4, ::4, ::4], on_ct.array[::4, ::4, ::4]
    body, active = (
        np.stack([binary_fill_holes(plane) for plane in mask]) for mask in (hu > -300, suv > 0.25)
    )

    def dice(a, b):
        return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))

    here = dice(body, active)
    assert here > 0.85  # the table is in one of them
    for axis, by in ((1, 8), (1, -8), (2, 8), (2, -8)):  # 31 mm
        assert dice(body, np.roll(active, by, axis)) < here - 0.05
    assert 0.4 < np.median(suv[body & (hu > 20) & (hu < 80)]) < 1.2  # muscle, mostly
    assert 0.2 < np.median(suv[body & (hu > -950) & (hu < -700)]) < 0.7  # lung


def test_ct_and_pet_in_one_folder(shared_data):
    table = list_series(shared_data / "pet_ct")
    assert sorted(table.modality) == ["CT", "PT"]
    assert (table.problem == "").all()
    assert read(shared_data / "pet_ct").unit == "HU"
    assert read(shared_data / "pet_ct", "PT").unit == "SUVbw"
    assert read(shared_data / "pet_ct", "wb mac").unit == "SUVbw"
