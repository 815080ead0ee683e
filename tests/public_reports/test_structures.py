"""Reports on drawn regions (RTSTRUCT, SEG), each with a small input of its own and the right value."""

import numpy as np
import pydicom
import pytest

from mmfusion.errors import ScanError
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
