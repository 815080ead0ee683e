"""Masks as files."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

import mmfusion as mf
from mmfusion.errors import ScanError
from mmfusion.imaging import Volume
from mmfusion.lesions import write_mask
from tests.imaging.dicoms import phantom_hu, write_series


def test_nifti(tmp_path):
    mask = Volume(np.eye(4, dtype=np.uint8)[None].repeat(3, 0), np.diag([1.0, 2.0, 3.0, 1.0]), unit="mask")
    back = mf.imaging.read_mask(write_mask(mask, tmp_path / "m.nii.gz"))
    np.testing.assert_array_equal(back.array, mask.array)
    np.testing.assert_allclose(back.affine, mask.affine)


def test_what_cannot_be_written(tmp_path):
    mask = Volume(np.ones((2, 2, 2), np.uint8), np.eye(4), unit="mask")
    with pytest.raises(ScanError, match="unknown format of masks"):
        write_mask(mask, tmp_path / "m.png")
    with pytest.raises(ScanError, match="unknown format of masks"):
        write_mask(mask, tmp_path / "m.dcm", form="png")
    with pytest.raises(ScanError, match="slices of a scan"):
        write_mask(mask, tmp_path / "m.dcm")
    with pytest.raises(ScanError, match="not a mask"):
        write_mask(Volume(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "m.nii.gz")
    for wrong in (mask.array, None, iter([mask])):
        with pytest.raises(ScanError, match="parameter mask: not a mask"):
            write_mask(wrong, tmp_path / "m.nii.gz")
    for values in (mask.array * 255, mask.array * np.float32(0.5)):
        with pytest.raises(ScanError, match="other values than 0 and 1"):
            write_mask(replace(mask, array=values), tmp_path / "m.nii.gz")
    with pytest.raises(ScanError, match=r"parameter scan: not the files of a scan .*got Volume"):
        write_mask(mask, tmp_path / "m.dcm", mask)
    with pytest.raises(ScanError, match=r"not the files of a scan .*got int"):
        write_mask(mask, tmp_path / "m.dcm", 5)
    with pytest.raises(ScanError, match="not a name of a DICOM file"):
        write_mask(mask, tmp_path / "m.nii.gz", tmp_path, form="seg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["seg", "rtstruct"])
def test_dicom_states_where_the_mask_comes_from(form, tmp_path):
    def with_frame(ds, _):
        ds.FrameOfReferenceUID = "1.2.3"  # contours refer to it

    scan = mf.imaging.read(write_series(tmp_path / "ct", phantom_hu(), change=with_frame))
    array = np.zeros(scan.shape, np.uint8)
    array[2:4, 3:9, 5:11] = 1
    mask = replace(scan, array=array, unit="mask", source=None, provenance="oracle")
    path = write_mask(mask, tmp_path / "mask.dcm", tmp_path / "ct", form=form)
    np.testing.assert_array_equal(mf.imaging.read_mask(path, scan).array, array)
    assert list(mf.imaging.list_rois(path)["name"]) == ["Tumour (oracle)"]


@pytest.mark.parametrize("form", ["seg", "rtstruct"])
def test_names_of_regions_in_dicom(form, tmp_path):
    def patient(ds, _):
        ds.FrameOfReferenceUID = "1.2.3"
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.PatientName = "Müller"

    scan = mf.imaging.read(write_series(tmp_path / "ct", phantom_hu(), change=patient))
    array = np.zeros(scan.shape, np.uint8)
    array[2:4, 3:9, 5:11] = 1
    mask = replace(scan, array=array, unit="mask", source=None)
    for label in ("a\\b", "a\nb", "", 5, None):
        with pytest.raises(ScanError, match="not a valid region name"):
            write_mask(mask, tmp_path / "no.dcm", tmp_path / "ct", form=form, label=label)
    path = write_mask(mask, tmp_path / "mask.dcm", tmp_path / "ct", form=form, label="Tümör 肺")
    assert list(mf.imaging.list_rois(path)["name"]) == ["Tümör 肺"]
    assert str(pydicom.dcmread(path).PatientName) == "Müller"


def test_names_of_algorithms(tmp_path):
    write_series(tmp_path / "ct", phantom_hu())
    mask = Volume(np.ones((2, 2, 2), np.uint8), np.eye(4), unit="mask")
    for name in ("a\\b", "x" * 65, 5):
        with pytest.raises(ScanError, match="not a valid algorithm"):
            write_mask(mask, tmp_path / "no.dcm", tmp_path / "ct", algorithm=name)
