"""NIfTI headers that lie, and data that are longer or shorter than they promise."""

import gzip
import tracemalloc
import warnings

import nibabel as nib
import numpy as np
import pytest

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging.formats.nifti import read_nifti, write_nifti
from mmfusion.imaging.volume import Volume
from tests.imaging.headers import VOXELS

PLACE = np.diag([-0.7, -0.8, 2.5, 1])


def image(sform=PLACE, qform=PLACE, kind=nib.Nifti1Image, array=VOXELS):
    out = kind(array.T, np.eye(4))
    out.set_sform(sform, code=0 if sform is None else 1)
    out.set_qform(qform, code=0 if qform is None else 1)
    return out


def changed(path, at=None, value=b"", made=None, cut=None, more=b""):
    """Write a NIfTI whose bytes from `at` on are `value`."""
    data = bytearray((made or image()).to_bytes())
    if at is not None:
        data[at : at + len(value)] = value
    data = bytes(data[:cut] + more)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (40, np.array([3, 30000, 30000, 30000], "<i2"), "the scan is too large .*2 GiB at most"),
        (40, np.array([3, 5, 3, 5], "<i2"), "120 of 150 bytes of voxels"),
        (40, np.array([3, 5, 3, 3], "<i2"), "more data than the header states"),
        (40, np.array([3, 5, 3, 0], "<i2"), "not a volume"),
        (40, np.array([3, 5, -3, 4], "<i2"), "not a volume|cannot be used"),
        (40, np.array([4, 5, 3, 2, 2], "<i2"), "not a volume .*5 x 3 x 2 x 2"),
        (40, np.array([32000], "<i2"), "not a volume|cannot be used"),
        (70, np.array([1792], "<i2"), "not a volume .*complex"),
        (70, np.array([128], "<i2"), "not a volume .*RGB"),
        (70, np.array([1536], "<i2"), "not a volume .*float128|the header cannot be used .*1536"),
        (70, np.array([77], "<i2"), "the header cannot be used .*77"),
        (108, np.array([np.nan], "<f4"), "vox_offset: an impossible place"),
        (108, np.array([1e30], "<f4"), "vox_offset: an impossible place"),
        (108, np.array([352.5], "<f4"), "vox_offset: an impossible place"),
        (108, np.array([100], "<f4"), "cannot be used|an impossible place"),
        (108, np.array([368], "<f4"), "104 of 120 bytes of voxels"),
        (108, np.array([60_000_000], "<f4"), "bytes before the voxels begin"),
        (112, np.array([np.inf, 0], "<f4"), "scl_slope, scl_inter: values cannot be rescaled"),
        (112, np.array([2, np.nan], "<f4"), "scl_slope, scl_inter: values cannot be rescaled"),
        (123, b"\x05", "xyzt_units: unknown unit"),
        (280, np.array([np.nan], "<f4"), "sform, qform: not a position"),
        (280, np.array([1e38], "<f4"), "sform, qform: not a position"),
        (344, b"ni1\0", "a header without voxels"),
        (344, b"abc\0", "the header cannot be used .*magic"),
    ],
)
@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_headers_that_lie(tmp_path, name, at, value, message):
    value = value if isinstance(value, bytes) else value.tobytes()
    with pytest.raises(ScanError, match=message) as raised:
        read_nifti(changed(tmp_path / name, at, value))
    assert name in str(raised.value)
    assert "download" not in str(raised.value) or "bytes" in str(raised.value)  # only data are called damaged


def test_a_large_nifti2_header(tmp_path):
    path = tmp_path / "v.nii"
    made = image(kind=nib.Nifti2Image)
    for at, value in (
        (16, np.array([3, 2**62, 2**62, 2**62], "<i8")),
        (16, np.array([3, 2**62, 3, 4], "<i8")),
    ):
        with pytest.raises(ScanError, match="the scan is too large"):
            read_nifti(changed(path, at, value.tobytes(), made))
    with pytest.raises(ScanError, match="not a position"):
        read_nifti(changed(path, 400, np.array([1e308], "<f8").tobytes(), made))


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_other_lengths(tmp_path, name):
    with pytest.raises(ScanError, match="more data than the header states"):
        read_nifti(changed(tmp_path / name, more=b"\0"))
    for cut in (0, 3, 100, 351, 353, -1):
        with pytest.raises(ScanError, match="cannot be read"):
            read_nifti(changed(tmp_path / name, cut=cut))


def test_what_follows_gzip(tmp_path):
    path = changed(tmp_path / "v.nii.gz")
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 300)  # padding of a tape or an archive
    np.testing.assert_array_equal(read_nifti(path)[0], VOXELS)
    path.write_bytes(whole + whole)
    with pytest.raises(ScanError, match="more data than the header states"):
        read_nifti(path)
    path.write_bytes(whole + b"text")
    with pytest.raises(ScanError, match="other data follow"):
        read_nifti(path)


def test_a_bomb_takes_no_memory(tmp_path):
    """400 MB of zeros behind the header of a scan of 120 bytes, and a header that promises 1 GiB."""
    path = changed(tmp_path / "v.nii.gz", more=bytes(400_000_000))
    tracemalloc.start()
    with pytest.raises(ScanError, match="more data than the header states"):
        read_nifti(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    with pytest.raises(ScanError, match="which cannot hold so many"):
        read_nifti(changed(path, 40, np.array([3, 600, 600, 900], "<i2").tobytes()))


def quaternion(path, b, c, d, sform=None):
    values = np.array([b, c, d], "<f4").tobytes()
    return changed(path, 256, values, image(sform, PLACE))


@pytest.mark.parametrize("excess", [0.0, 3.8e-7, 9.5e-7, 9e-6])
def test_a_quaternion_that_exceeds_one_by_rounding(tmp_path, excess):
    """It is a half turn; with an sform, the sform is used."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sform in (None, PLACE):
            path = quaternion(tmp_path / "v.nii", 0, 0, np.sqrt(1 + excess), sform)
            np.testing.assert_allclose(read_nifti(path)[1], np.diag([0.7, 0.8, 2.5, 1]), atol=1e-6)
        path = quaternion(tmp_path / "v.nii", 0.0007071, 0.0007071, 1.0, PLACE)
        np.testing.assert_allclose(read_nifti(path)[1], np.diag([0.7, 0.8, 2.5, 1]), atol=1e-6)


@pytest.mark.parametrize("size", [1.1, 2.0, np.nan, np.inf, 1e38])
def test_a_quaternion_that_is_none(tmp_path, size):
    with pytest.raises(ScanError, match="quatern_b, c, d, pixdim: not a rotation"):
        read_nifti(quaternion(tmp_path / "v.nii", 0, 0, size))
    with pytest.warns(ScanWarning, match="the qform is not a rotation: the sform is used alone"):
        _, affine = read_nifti(quaternion(tmp_path / "v.nii", 0, 0, size, PLACE))
    np.testing.assert_allclose(affine, np.diag([0.7, 0.8, 2.5, 1]), atol=1e-6)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
def test_a_round_trip(tmp_path, name):
    turned = np.array([[0, 0.7, 0, 5], [0.8, 0, 0, -6], [0, 0, -2.5, 7], [0, 0, 0, 1.0]])
    for array in (VOXELS, VOXELS.astype(np.float32) / 3, (VOXELS > 0).astype(np.uint8)):
        scan = Volume(array, turned, "CT", "mask" if array.dtype == np.uint8 else "HU")
        array, affine = read_nifti(write_nifti(scan, tmp_path / name))
        np.testing.assert_array_equal(array, scan.array)
        np.testing.assert_allclose(affine, turned, atol=1e-6)


@pytest.mark.parametrize(
    "sizes", [(1, 0, 0.8, 2.5), (1, 0.7, -0.8, 2.5), (1, np.nan, 0.8, 2.5), (7, 0.7, 0.8, 2.5)]
)
def test_voxel_sizes_that_are_none(tmp_path, sizes):
    """Nibabel replaces a size of 0 by 1 mm; here it is an error, unless the sform states the sizes."""
    sizes = np.array(sizes, "<f4").tobytes()
    with pytest.raises(ScanError, match="pixdim: not a rotation"):
        read_nifti(changed(tmp_path / "v.nii", 76, sizes, image(None)))
    with pytest.warns(ScanWarning, match="the sform is used alone"):
        _, affine = read_nifti(changed(tmp_path / "v.nii", 76, sizes))
    np.testing.assert_allclose(affine, np.diag([0.7, 0.8, 2.5, 1]), atol=1e-6)
    np.testing.assert_allclose(
        read_nifti(changed(tmp_path / "v.nii", 76, sizes, image(PLACE, None)))[1], affine
    )


def test_a_size_of_zero_without_a_position(tmp_path):
    with (
        pytest.warns(ScanWarning, match="the position is not stated"),
        pytest.raises(ScanError, match="pixdim: not a voxel size"),
    ):
        read_nifti(changed(tmp_path / "v.nii", 80, bytes(4), image(None, None)))


def test_nothing_is_printed(tmp_path, capfd):
    with pytest.raises(ScanError):
        read_nifti(changed(tmp_path / "v.nii", 70, b"\x59\x1f"))
    assert capfd.readouterr() == ("", "")
