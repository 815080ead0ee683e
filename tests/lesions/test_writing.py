"""Masks as files."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import ScanError
from mmfusion.imaging import Volume
from mmfusion.lesions import write_mask


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
