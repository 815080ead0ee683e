"""Which voxels the contours of an RTSTRUCT cover: pieces, holes, planes."""

import numpy as np
import pytest

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import Volume, read_mask
from tests.imaging.structure_sets import FRAME, grid, rtstruct, square


def test_a_contour_drawn_twice_does_not_cancel_itself(tmp_path):
    once = [square(10.5, 10.5, 40.5, 30.5, z) for z in (6, 8, 10)]
    again = [once[1][2:] + once[1][:2], once[1][::-1]]  # begun elsewhere, the other way round
    path = rtstruct(tmp_path / "r.dcm", {"once": once, "twice": [*once, *again]})
    expected = read_mask(path, grid(), "once")
    assert expected.array.sum() == 3 * 30 * 20
    np.testing.assert_array_equal(read_mask(path, grid(), "twice").array, expected.array)


def _box(x0, x1, z=8):
    return square(x0 + 0.5, 10.5, x1 + 0.5, 30.5, z)  # whole voxels: (x1 - x0) x 20


SHELL, HOLE, ISLAND = (square(10.5 + k, 10.5 + k, 40.5 - k, 40.5 - k, 8) for k in (0, 5, 10))
CUT = square(11.5, 20.5, 30.5, 30.5, 8)  # crosses the outline of HOLE, and lies within SHELL


@pytest.mark.parametrize(
    ("contours", "joined", "xor"),
    [
        ([_box(10, 25), _box(20, 40)], 600, 500),  # two pieces that overlap in part
        ([_box(10, 25), _box(25, 40)], 600, 600),  # two that touch
        ([_box(10, 20), _box(18, 30), _box(28, 40)], 600, 520),  # a chain
        ([SHELL, HOLE], 900 - 400, 900 - 400),
        ([SHELL, HOLE, ISLAND], 900 - 400 + 100, 900 - 400 + 100),
        ([ISLAND, HOLE, SHELL], 900 - 400 + 100, 900 - 400 + 100),  # the order does not count
        ([SHELL, HOLE[::-1]], 900 - 400, 900 - 400),  # nor the direction
        ([SHELL, HOLE, CUT], 900 - 400 - 40, 900 - 400 - 40 + 150),  # two holes that overlap are one
        (
            [_box(10, 30), _box(15, 40), square(18.5, 15.5, 22.5, 25.5, 8)],
            600 - 40,
            300 + 40,
        ),  # of both pieces
        ([SHELL, SHELL[2:] + SHELL[:2], HOLE, HOLE[::-1]], 900 - 400, 0),  # each drawn twice
        ([SHELL, square(10.5, 15.5, 20.5, 25.5, 8)], 900 - 100, 900 - 100),  # a hole at the edge
    ],
)
def test_golden_areas(tmp_path, contours, joined, xor):
    """A region's voxels on one slice, by the rule of its geometric type."""
    other = square(45.5, 45.5, 50.5, 50.5, 8)  # keeps the region from being empty
    for kind, area in (("CLOSED_PLANAR", joined), ("CLOSEDPLANAR_XOR", xor)):
        path = rtstruct(tmp_path / "r.dcm", {"a": [*contours, other]}, kind=kind)
        array = read_mask(path, grid()).array
        assert array[4].sum() == area + 25
        assert array.sum() == area + 25


def test_keyholes_and_both_types_in_one_plane(tmp_path):
    keyhole = [*SHELL, SHELL[0], *HOLE[::-1], HOLE[-1], SHELL[0]]

    def half(ds):
        for contour in ds.ROIContourSequence[0].ContourSequence[1:]:
            contour.ContourGeometricType = "CLOSEDPLANAR_XOR"

    path = rtstruct(tmp_path / "r.dcm", {"a": [keyhole, _box(42, 52), _box(47, 57)]}, change=half)
    assert read_mask(path, grid()).array.sum() == 500 + 200


@pytest.mark.parametrize("off", [0.02, 0.2, 0.4])
@pytest.mark.parametrize("step", [2.0, 3.0])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_hole_a_little_off_the_plane_of_its_outline(tmp_path, off, step, n):
    contours = [
        [(x, y, z + k * step) for x, y, z in c]
        for k in range(n)
        for c in (SHELL, [(x, y, z + off) for x, y, z in HOLE])
    ]
    scan = grid((20, 60, 60), (step, 1.0, 1.0))
    scan = Volume(scan.array, scan.affine + np.diag([0, 0, 0, 0]), frame_of_reference=FRAME)
    scan.affine[2, 3] = 8 - 4 * step
    array = read_mask(rtstruct(tmp_path / "r.dcm", {"a": contours}), scan).array
    assert array.sum((1, 2)).tolist() == [0] * 4 + [500] * n + [0] * (16 - n)


def test_thin_planes_stay_apart(tmp_path):
    """Planes 0.5 mm apart, read on slices of 2 mm, are planes and no slips of one plane."""
    contours = [_box(10, 10 + 2 * (k + 1), 6 + 0.5 * k) for k in range(10)]
    volume = sum(20 * 2 * (k + 1) * 0.5 for k in range(10)) / 1000
    mask = read_mask(rtstruct(tmp_path / "r.dcm", {"a": contours}), grid((10, 60, 60)))
    assert mask.volume_ml() == pytest.approx(volume, rel=0.01)


def test_what_is_left_out_is_named(tmp_path):
    def mixed(ds):
        kinds = ("CLOSED_PLANAR", "POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "OPEN_PLANAR")
        for contour, kind in zip(ds.ROIContourSequence[0].ContourSequence, kinds):
            contour.ContourGeometricType = kind

    lines = [[(5, 5, 8)], [(5, 5, 8), (9, 9, 8)], [(5, 5, 8), (9, 9, 9), (4, 4, 4)], [(1, 1, 8), (2, 2, 8)]]
    path = rtstruct(tmp_path / "a.dcm", {"a": [_box(10, 40), *lines]}, change=mixed)
    left = r"a.dcm: a: contours that enclose nothing .*OPEN_NONPLANAR \(1\), OPEN_PLANAR \(2\), POINT \(1\)"
    with pytest.warns(ScanWarning, match=left):
        assert read_mask(path, grid()).array.sum() == 600
    path = rtstruct(tmp_path / "b.dcm", {"a": [_box(10, 40), _box(50, 90), _box(10, 40, 40)]})
    with pytest.warns(ScanWarning, match=r"b.dcm: a: 2 of 3 contours reach beyond the scan"):
        read_mask(path, grid())
    contours = [_box(10, 40, z) for z in (2, 4, 6, 8.7, 10)]
    path = rtstruct(tmp_path / "c.dcm", {"a": contours})
    with pytest.warns(ScanWarning, match=r"c.dcm: a: 1 of 5 contour planes lie between slices \(8.70 mm"):
        read_mask(path, grid())


def test_patterns_ignore_case(tmp_path):
    rois = {"GTV-1": [_box(10, 20)], "gtv-2": [_box(20, 40)], "Heart": [_box(1, 3)]}
    path = rtstruct(tmp_path / "r.dcm", rois)
    for pattern in ("gtv*", "GTV*", "Gtv-?", "[g]tv-[12]"):
        assert read_mask(path, grid(), pattern).array.sum() == 600
    assert read_mask(path, grid(), "GTV-1").array.sum() == 200
    with pytest.raises(ScanError, match="no such region"):
        read_mask(path, grid(), "gtv-1")  # a name is written as in the file


def test_too_much_to_fill(tmp_path, monkeypatch):
    zigzag = [(10 + k % 2, 0.0 if k % 2 else 59.0, 8) for k in range(400)]
    path = rtstruct(tmp_path / "r.dcm", {"a": [zigzag, _box(20, 30)]})
    monkeypatch.setenv("MMFUSION_MAX_GIB", "0.01")
    with pytest.raises(ScanError, match=r"r.dcm, column a: the set of contours in one plane is too large"):
        read_mask(path, grid())
