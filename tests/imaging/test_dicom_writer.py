"""A CT written as DICOM: read back the same by others and by us."""

import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, read
from mmfusion.imaging.dicom.writer import write_dicom_zip
from tests.imaging.dicoms import phantom_hu

SPACING, ORIGIN = (0.7, 0.8, 2.5), (-120.5, 33.25, -700.125)  # x, y, z


def volume(turn=(0.0, 0.0, 0.0), array=None):
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(sitk.Euler3DTransform((0, 0, 0), *turn).GetMatrix(), (3, 3)) * SPACING
    affine[:3, 3] = ORIGIN
    return Volume(phantom_hu() if array is None else array, affine)


def unpacked(archive, folder):
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder)
    return sorted(map(str, folder.rglob("*.dcm")))


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.1, -0.2, 0.3)])
def test_simpleitk_reads_the_same(tmp_path, turn):
    scan = volume(turn)
    unpacked(write_dicom_zip(scan, tmp_path / "s.zip", "x"), tmp_path / "out")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "out" / "CT")))
    got = reader.Execute()
    assert np.array_equal(sitk.GetArrayFromImage(got), scan.array)
    assert got.GetOrigin() == pytest.approx(ORIGIN, abs=1e-4)
    assert got.GetSpacing() == pytest.approx(SPACING, abs=1e-5)
    assert np.reshape(got.GetDirection(), (3, 3)) == pytest.approx(scan.affine[:3, :3] / SPACING, abs=1e-6)


def test_reads_back_and_is_the_same_each_time(tmp_path):
    scan = volume()
    archive = write_dicom_zip(scan, tmp_path / "s.zip", "PH-1", description="synthetic")
    got = read(archive)
    assert np.array_equal(got.array, scan.array) and got.array.dtype == np.int16
    assert got.affine == pytest.approx(scan.affine, abs=1e-6)
    headers = [pydicom.dcmread(name, stop_before_pixels=True) for name in unpacked(archive, tmp_path / "out")]
    assert {(h.PatientID, str(h.PatientName), h.SeriesDescription, h.Modality) for h in headers} == {
        ("PH-1", "PH-1", "synthetic", "CT")
    }
    assert len({h.SOPInstanceUID for h in headers}) == len(headers) == 6
    assert len({(h.StudyInstanceUID, h.SeriesInstanceUID, h.FrameOfReferenceUID) for h in headers}) == 1
    again = write_dicom_zip(scan, tmp_path / "again.zip", "PH-1", description="synthetic")
    assert again.read_bytes() == archive.read_bytes()


def test_two_scans_of_a_patient_are_two_series_of_a_study(tmp_path):
    scans = volume(), volume(array=phantom_hu() + np.int16(1))
    archives = [write_dicom_zip(s, tmp_path / f"{k}.zip", "PH-1") for k, s in enumerate(scans)]
    first, second = (pydicom.dcmread(unpacked(a, tmp_path / a.stem)[0]) for a in archives)
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_fractions_are_rounded_and_the_frame_is_kept(tmp_path):
    scan = Volume(phantom_hu().astype(np.float32) + 0.4, volume().affine, frame_of_reference="1.2.3")
    got = read(write_dicom_zip(scan, tmp_path / "s.zip", "x"))
    assert np.array_equal(got.array, phantom_hu()) and got.frame_of_reference == "1.2.3"


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ScanError, match="-1024 to 64511"):
        write_dicom_zip(volume(array=np.full((2, 3, 4), -3024, np.int16)), tmp_path / "s.zip", "x")
    with pytest.raises(ScanError, match="not a CT"):
        write_dicom_zip(Volume(np.ones((2, 3, 4), np.uint8), np.eye(4), unit="mask"), tmp_path / "s.zip", "x")
    with pytest.raises(ScanError, match="not a name"):
        write_dicom_zip(volume(), tmp_path / "s.dcm", "x")
    assert list(tmp_path.iterdir()) == []
