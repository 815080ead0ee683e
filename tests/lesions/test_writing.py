"""Masks as files."""

from dataclasses import replace

import numpy as np
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
