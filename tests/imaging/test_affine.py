"""Affines as matrices: what they say, and that every module says it alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.errors import ScanError
from mmfusion.imaging.affine import centered, checked_affine, corners, directions, spacing_of, stacked
from mmfusion.imaging.plausible import check_size
from tests.imaging.test_volume import affine_of, rotation, spacings


@settings(max_examples=30, deadline=None)
@given(spacings, st.floats(-90, 90), st.integers(0, 2))
def test_an_affine_has_the_axes_and_spacing_it_was_made_from(spacing, degrees, axis):
    axes = rotation(degrees, axis)
    slices = stacked(axes[:, 0], axes[:, 1], spacing, np.array([1.0, 2, 3]))
    np.testing.assert_allclose(slices, affine_of(spacing, (1, 2, 3), axes), atol=1e-12)
    np.testing.assert_allclose(spacing_of(slices), spacing)
    np.testing.assert_allclose(directions(slices), axes, atol=1e-12)
    grid = centered(axes, np.array([5.0, 6, 7]), spacing, (4, 5, 6))
    np.testing.assert_allclose(grid @ [2.5, 2, 1.5, 1], [5, 6, 7, 1])
    np.testing.assert_allclose(grid[:3, :3], slices[:3, :3], atol=1e-12)


def test_corners_of_a_box():
    found = corners((0, 1, 2), (3, 4, 5))
    assert found.shape == (3, 8) and len({*map(tuple, found.T)}) == 8
    assert {*found[0]} == {0, 3} and {*found[1]} == {1, 4} and {*found[2]} == {2, 5}


def test_a_checked_affine_is_a_copy():
    affine = np.eye(4, dtype=np.float32)
    checked = checked_affine(affine)
    checked[0, 0] = 2
    assert affine[0, 0] == 1 and checked.dtype == np.float64


def test_a_scan_that_no_memory_holds(monkeypatch):
    """Stored int16 and a float32 copy: 6 bytes a voxel, 2 GiB at most."""
    side = int((2**31 / 6) ** (1 / 3))
    check_size((side, side, side), "a.nii")
    with pytest.raises(ScanError, match=r"a.nii: the scan is too large .*2 GiB at most; got 26.82 GiB"):
        check_size((3, 40_000, 40_000), "a.nii")
    check_size((side, side, side), "a.nii", stored=2)
    with pytest.raises(ScanError, match=r"raise the limit: set the environment variable MMFUSION_MAX_GIB"):
        check_size((side, side, side), "a.nii", stored=8)
    monkeypatch.setenv("MMFUSION_MAX_GIB", "30")
    check_size((3, 40_000, 40_000), "a.nii")
