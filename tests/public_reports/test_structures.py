"""Reports on drawn regions (RTSTRUCT, SEG), each with a small input of its own and the right value."""

import warnings

import numpy as np
import pydicom
import pytest

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import Volume, list_rois, read_mask, write_seg
from tests.imaging.structure_sets import FRAME, ball, rtstruct, scan, square


@pytest.fixture
def grid():
    return Volume(np.zeros((12, 40, 40), np.int16), np.diag([1.0, 1.0, 3.0, 1.0]), frame_of_reference=FRAME)


@pytest.mark.parametrize(("kind", "voxels"), [("CLOSED_PLANAR", 400), ("CLOSEDPLANAR_XOR", 300)])
def test_pieces_that_overlap(tmp_path, grid, kind, voxels):
    """z-rad issue 181: the overlap of two contours of one region was cut out, whatever their type."""
    pieces = [square(5.5, 5.5, 20.5, 25.5, 15), square(15.5, 5.5, 25.5, 25.5, 15)]
    mask = read_mask(rtstruct(tmp_path / "r.dcm", {"GTV": pieces}, kind=kind), grid)
    assert mask.array.sum() == mask.array[5].sum() == voxels


def test_frames_without_positions(tmp_path):
    """highdicom issue 251: a SEG whose frames state no position; it is whole, but cannot be placed."""
    folder, ct = scan(tmp_path / "ct")
    path = write_seg(ball(ct, 8), folder, tmp_path / "s.dcm")
    ds = pydicom.dcmread(path)
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    ds.save_as(path)
    with pytest.raises(ScanError, match="the frames have no positions") as caught:
        read_mask(path, ct)
    assert "damaged" not in str(caught.value)
    assert list_rois(path).name.tolist() == ["Tumour"]


OUTER, INNER = square(5.5, 5.5, 25.5, 25.5, 15), square(10.5, 10.5, 20.5, 20.5, 15)


def test_a_ring(tmp_path, grid):
    """platipy issue 244, dcmrtstruct2nii issue 32, rt-utils pull request 53: holes were filled."""
    mask = read_mask(rtstruct(tmp_path / "r.dcm", {"ring": [OUTER, INNER]}), grid)
    assert mask.array.sum() == 400 - 100
    assert not mask.array[5, 15, 15]


def test_two_shapes_of_one_slice_are_not_connected(tmp_path, grid):
    """pyTG43 issue 5: points between two shapes were counted."""
    shapes = [square(2.5, 5.5, 8.5, 11.5, 15), square(20.5, 5.5, 26.5, 11.5, 15)]
    mask = read_mask(rtstruct(tmp_path / "r.dcm", {"a": shapes}), grid)
    assert mask.array.sum() == 72
    assert not mask.array[5, :, 9:21].any()


def test_contours_beyond_the_field_of_view(tmp_path, grid):
    """z-rad pull request 252: contours outside the image gave an IndexError; what lies inside counts."""
    contours = [OUTER, square(30.5, 5.5, 60.5, 15.5, 18), square(5.5, 5.5, 9.5, 9.5, 900)]
    path = rtstruct(tmp_path / "r.dcm", {"a": contours})
    with pytest.warns(ScanWarning, match="2 of 3 contours reach beyond the scan"):
        mask = read_mask(path, grid)
    assert mask.array.sum((1, 2)).tolist() == [0] * 5 + [400, 90] + [0] * 5  # columns 31 to 39 of 10 rows


def test_contours_of_one_or_two_points(tmp_path, grid):
    """rt-utils issue 87 and pull request 134: one stray contour of two points stopped the whole region."""
    path = rtstruct(tmp_path / "r.dcm", {"a": [OUTER, [(1, 1, 18), (2, 2, 18)], [(1, 1, 21)]]})
    with pytest.warns(
        ScanWarning, match=r"enclose nothing are left out: CLOSED_PLANAR of fewer than 3 points"
    ):
        assert read_mask(path, grid).array.sum() == 400


@pytest.mark.parametrize("absent", ["ContourSequence", "item"])
def test_a_region_without_contours_beside_others(tmp_path, grid, absent):
    """rt-utils issue 67, pydicom issue 1206 (no ContourSequence); platipy pull request 143 (no item)."""

    def change(ds):
        if absent == "item":
            del ds.ROIContourSequence[0]
        else:
            del ds.ROIContourSequence[0].ContourSequence

    path = rtstruct(tmp_path / "r.dcm", {"template": [], "GTV": [OUTER]}, change=change)
    assert read_mask(path, grid, "GTV").array.sum() == 400
    assert list_rois(path).parts.tolist() == [0, 1]
    with pytest.raises(ScanError, match="column template: an empty region"):
        read_mask(path, grid, "template")


def test_items_in_another_order(tmp_path, grid):
    """med-imagetools issue 147: contours were matched to names by their place in the list."""

    def change(ds):
        ds.ROIContourSequence = ds.ROIContourSequence[::-1]

    path = rtstruct(tmp_path / "r.dcm", {"a": [OUTER], "b": [INNER]}, change=change)
    assert [read_mask(path, grid, name).array.sum() for name in "ab"] == [400, 100]


def test_interpolated_contours(tmp_path, grid):
    """dcmrtstruct2nii issue 2: contours of type INTERPOLATED_PLANAR are closed ones, made by a program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom: the word is longer than DICOM allows
        path = rtstruct(tmp_path / "r.dcm", {"a": [OUTER, INNER]}, kind="INTERPOLATED_PLANAR")
    assert read_mask(path, grid).array.sum() == 300


def test_contours_that_name_no_image(tmp_path, grid):
    """rt-utils issue 49, dicompyler-core pull request 81: ContourImageSequence is optional."""
    path = rtstruct(tmp_path / "r.dcm", {"a": [OUTER]}, series=None)
    assert "ContourImageSequence" not in pydicom.dcmread(path).ROIContourSequence[0].ContourSequence[0]
    assert read_mask(path, grid).array.sum() == 400


def test_slices_that_a_segmentation_leaves_out(tmp_path):
    """dcmqi issue 513, pydicom-seg issue 53: the mask has the scan's slices, also those that hold nothing."""
    folder, ct = scan(tmp_path / "ct")
    array = np.zeros(ct.shape, np.uint8)
    array[[2, 5], 10:20, 10:20] = 1
    path = write_seg(Volume(array, ct.affine, unit="mask"), folder, tmp_path / "s.dcm")
    assert int(pydicom.dcmread(path).NumberOfFrames) == 2
    np.testing.assert_array_equal(read_mask(path, ct).array, array)


def test_the_distance_of_planes_is_not_their_thickness(tmp_path):
    """dwv issue 1677: SliceThickness was taken where SpacingBetweenSlices is stated."""
    folder, ct = scan(tmp_path / "ct")
    path = write_seg(ball(ct, 8), folder, tmp_path / "s.dcm")
    ds = pydicom.dcmread(path)
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SliceThickness, measures.SpacingBetweenSlices = 1.5, 3.0
    ds.save_as(path)
    mask = read_mask(path)
    assert mask.spacing[0] == pytest.approx(3.0)
    np.testing.assert_array_equal(mask.like(ct).array, ball(ct, 8).array)
