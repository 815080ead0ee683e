"""Damaged, hostile and empty DICOM-SEG files."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import read_mask


def _edited(path, out, change):
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(out)
    return out


def _set(**values):
    def change(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


def _shifted(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] += 0.9


def _aside(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[0] += 5


def _unnamed(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[2].pop("SegmentIdentificationSequence")


def _place(ds: Dataset, k: int, z: float) -> None:
    ds.PerFrameFunctionalGroupsSequence[k].PlanePositionSequence[0].ImagePositionPatient[2] = z


def _nowhere(ds: Dataset) -> None:
    _place(ds, 1, 1e7)


def _far(ds: Dataset) -> None:
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices, measures.SliceThickness = 0.0001, 0.0001
    for k, z in enumerate((-90_000, 0, 90_000)):
        _place(ds, k, z)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(SegmentationType="CONTOUR"), "not a segmentation of voxels .*CONTOUR"),
        (_set(Modality="CT"), r"no sets of regions .*got CT.*read\(\)"),
        (_set(SegmentSequence=[]), "the file has no region"),
        (_set(PixelData=b"\0"), "truncated or damaged"),
        (_set(PerFrameFunctionalGroupsSequence=[]), r"truncated or damaged .*expected 0 frames.*got 3"),
        (_shifted, "unevenly spaced"),
        (_aside, "shifted against each other"),
        (
            lambda ds: ds.PerFrameFunctionalGroupsSequence[0].pop("PlanePositionSequence"),
            r"the frames have no positions .*absent in 1 of 3 frames.*cannot be placed",
        ),
        (
            lambda ds: ds.SharedFunctionalGroupsSequence[0].pop("PlaneOrientationSequence"),
            "the frames have no orientation",
        ),
        (
            lambda ds: ds.SharedFunctionalGroupsSequence[0].pop("PixelMeasuresSequence"),
            "the frames have no pixel size",
        ),
        (lambda ds: ds.pop("SharedFunctionalGroupsSequence"), "the frames have no orientation"),
        (_unnamed, "frames that state no segment .*absent in 1 of 3"),
        (_nowhere, "a frame at an impossible place"),
        (_far, "the mask is too large"),
        (_set(Rows=60_000, Columns=60_000), "the segmentation is too large"),
        (_set(Rows=20), r"truncated or damaged DICOM-SEG .*of .* bytes of pixels"),
    ],
)
def test_what_cannot_be_read(shared_data, tmp_path, change, message):
    path = _edited(shared_data / "dicom_seg" / "seg_image_ct_binary.dcm", tmp_path / "bad.dcm", change)
    with pytest.raises(ScanError, match=message) as caught:
        read_mask(path)
    assert "bad.dcm" in str(caught.value)


def test_a_truncated_one(shared_data, tmp_path):
    data = (shared_data / "dicom_seg" / "seg_image_ct_binary_overlap.dcm").read_bytes()
    for share in (0.05, 0.3, 0.6, 0.9, 0.99):
        (tmp_path / "bad.dcm").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ScanError, match=r"bad.dcm"):
            read_mask(tmp_path / "bad.dcm", roi=1)


def test_a_segment_without_a_voxel(shared_data, tmp_path):
    """A file that says "nothing was found" is an empty mask; a region that was asked for has to be there."""
    source = shared_data / "dicom_seg" / "seg_image_ct_binary.dcm"
    path = _edited(source, tmp_path / "none.dcm", _set(PixelData=b"\0" * 96))
    with pytest.warns(ScanWarning, match=r"none.dcm: first segment: the region is empty"):
        mask = read_mask(path)
    assert (mask.array.sum(), mask.shape) == (0, read_mask(source).shape)
    with pytest.raises(ScanError, match=r"an empty region .*first segment"):
        read_mask(path, roi=1)


def test_surplus_pixels_are_named(shared_data, tmp_path):
    source = shared_data / "dicom_seg" / "seg_image_ct_binary.dcm"
    data = pydicom.dcmread(source).PixelData
    path = _edited(source, tmp_path / "long.dcm", _set(PixelData=data + b"\1" * 40))
    with pytest.warns(ScanWarning, match="40 bytes of pixels more than its frames have"):
        np.testing.assert_array_equal(read_mask(path).array, read_mask(source).array)


def test_a_deflated_file_is_unpacked_within_the_limit(shared_data, tmp_path, monkeypatch):
    source = shared_data / "dicom_seg" / "seg_image_ct_binary.dcm"
    expected = read_mask(source)

    def deflate(ds: Dataset, surplus: int = 0) -> None:
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        ds.add_new(0x00091001, "OB", b"\0" * surplus)

    path = _edited(source, tmp_path / "small.dcm", deflate)
    np.testing.assert_array_equal(read_mask(path).array, expected.array)
    path = _edited(source, tmp_path / "bomb.dcm", lambda ds: deflate(ds, 8 * 2**20))
    assert path.stat().st_size < 2**17
    monkeypatch.setenv("MMFUSION_MAX_GIB", "0.005")
    with pytest.raises(ScanError, match=r"bomb.dcm.*too large .*MMFUSION_MAX_GIB"):
        read_mask(path)
