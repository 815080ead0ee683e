"""NRRD, MetaImage and NIfTI files of public reports: what is sound is read, the rest is refused."""

import gzip
import zlib

import nibabel as nib
import numpy as np
import pytest

from mmfusion.errors import ScanError
from mmfusion.imaging.files import read
from tests.imaging.headers import VOXELS, metaimage, nrrd, split

PACKED = zlib.compress(VOXELS.tobytes())


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """The voxels of these tests are noise, which is no CT."""
    monkeypatch.setattr("mmfusion.imaging.files.check_scan", lambda *args: None)


@pytest.mark.parametrize("names", ["s01.raw\ns02.raw", "s01.raw\ns02.raw\ns03.raw"])
def test_a_list_of_slices_that_is_too_short(tmp_path, names):
    """MetaIO pull request 141 (ITK 6575, B64): success was reported for slices that were never read."""
    split(tmp_path)
    with pytest.raises(ScanError, match="data files"):
        read(metaimage(tmp_path / "v.mhd", ElementDataFile="LIST", extra=names, DimSize="5 3 5"))
    for dims in ("LIST -1", "LIST 3"):
        with pytest.raises(ScanError):
            read(metaimage(tmp_path / "v.mhd", ElementDataFile=dims, extra=names))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_compressed_data_that_end_early(tmp_path, share):
    """MetaIO pull request 142 (ITK 6575, B66; merged by ITK 6692): the rest of the voxels was old memory."""
    data = PACKED[: int(share * len(PACKED))]
    with pytest.raises(ScanError, match=r"v.mha: the scan cannot be read"):
        read(metaimage(tmp_path / "v.mha", data, CompressedData="True"))
    (tmp_path / "v.zraw").write_bytes(data)
    with pytest.raises(ScanError, match=r"v.mhd .*v.zraw"):
        read(metaimage(tmp_path / "v.mhd", CompressedData="True", ElementDataFile="v.zraw"))


def test_a_wrong_checksum(tmp_path):
    """MetaIO pull request 142: data whose checksum was wrong were read."""
    data = PACKED[:-1] + bytes([PACKED[-1] ^ 1])
    with pytest.raises(ScanError, match="compressed data that are damaged"):
        read(metaimage(tmp_path / "v.mha", data, CompressedData="True", CompressedDataSize=len(data)))


def test_local_compressed_data_without_their_size(tmp_path):
    """MetaIO pull request 142 (ITK 6575, B65): the header itself was unpacked in place of the voxels."""
    volume = read(
        metaimage(tmp_path / "v.mha", PACKED, CompressedData="True", TransformMatrix="1 0 0 0 1 0 0 0 1")
    )
    np.testing.assert_array_equal(volume.array, VOXELS)


def test_a_long_header_of_another_program(tmp_path):
    """scifio-imageio 57: long unknown fields stopped ITK's reader."""
    path = metaimage(tmp_path / "v.mha", **{f"Tag {k}": "x" * 5000 for k in range(20)})
    np.testing.assert_array_equal(np.sort(read(path).array, axis=None), np.sort(VOXELS, axis=None))


def test_bytes_that_are_skipped_from_the_end(tmp_path):
    """pynrrd 70: `byte skip: -1` means that the voxels lie at the end of the file."""
    (tmp_path / "v.raw").write_bytes(b"12345" + VOXELS.tobytes())
    directions = "(1,0,0) (0,1,0) (0,0,1)"
    path = nrrd(tmp_path / "v.nhdr", byte_skip=-1, data_file="v.raw", space_directions=directions)
    np.testing.assert_array_equal(read(path).array, VOXELS)


def test_lines_and_bytes_of_a_detached_header(tmp_path):
    """nat 236 and 237: lines are skipped in the file, bytes in the unpacked data."""
    (tmp_path / "v.raw.gz").write_bytes(b"a line\n" + gzip.compress(b"123" + VOXELS.tobytes()))
    skips = {
        "line_skip": 1,
        "byte_skip": 3,
        "encoding": "gzip",
        "space_directions": "(1,0,0) (0,1,0) (0,0,1)",
    }
    np.testing.assert_array_equal(
        read(nrrd(tmp_path / "v.nhdr", data_file="v.raw.gz", **skips)).array, VOXELS
    )


def test_raw_data_that_are_longer_than_the_header_states(tmp_path):
    """TIGRLab admin 349: "finished reading raw data, but file not at EOF" was a warning that nobody saw."""
    with pytest.raises(ScanError, match="more data than the header states"):
        read(nrrd(tmp_path / "v.nrrd", VOXELS.tobytes() + b"\0\0"))


def nifti(path, b, c, d, *, sform):
    place = np.diag([-0.8, -0.8, 2.5, 1])
    image = nib.Nifti1Image(VOXELS.T, place)
    image.set_sform(place, code=int(sform))
    image.set_qform(place, code=1)
    data = bytearray(image.to_bytes())
    data[256:268] = np.array([b, c, d], "<f4").tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("excess", [3.845952e-07, 9.5e-7])
def test_a_quaternion_above_one_by_rounding(tmp_path, excess):
    """Nibabel 625 and 626, fmriprep 845, spinalcordtoolbox 3703: `w2 should be positive`."""
    size = np.sqrt(1 + excess)
    for sform in (True, False):
        volume = read(nifti(tmp_path / "v.nii", 0, 0, size, sform=sform))
        np.testing.assert_array_equal(volume.array, VOXELS)
        assert volume.spacing == pytest.approx((2.5, 0.8, 0.8))


def test_a_wrong_checksum_of_gzip(tmp_path):
    """indexed_gzip 80, mriqc 379 and 623: a file whose checksum is wrong is not read."""
    data = bytearray(gzip.compress(nifti(tmp_path / "v.nii", 0, 0, 1, sform=True).read_bytes()))
    data[-6] ^= 1
    (tmp_path / "v.nii.gz").write_bytes(data)
    with pytest.raises(ScanError, match="compressed data that are damaged"):
        read(tmp_path / "v.nii.gz")


def test_a_header_that_is_not_within_the_first_bytes_of_gzip(tmp_path):
    """BIDS validator 1135: a long file name in the gzip header comes before the NIfTI header."""
    data = nifti(tmp_path / "v.nii", 0, 0, 1, sform=True).read_bytes()
    packed = gzip.compress(data, mtime=0)
    named = packed[:3] + b"\x08" + packed[4:10] + b"n" * 2000 + b"\0" + packed[10:]
    (tmp_path / "v.nii.gz").write_bytes(named)
    np.testing.assert_array_equal(read(tmp_path / "v.nii.gz").array, VOXELS)
