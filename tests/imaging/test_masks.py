"""Masks know where they are, and say when they do not belong to the scan."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging import Volume, read, read_crop, read_mask, write_nifti
from tests.imaging.structure_sets import ball, rtstruct, scan, square


def rotated(degrees, spacing=(2.0, 0.8, 0.8), origin=(-30, 40, -500)):
    a = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    affine[:3, :3] *= spacing[::-1]
    affine[:3, 3] = origin
    return affine


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**30), st.floats(-40, 40))
def test_centroid_and_box_are_those_of_the_covered_voxels(seed, degrees):
    rng = np.random.default_rng(seed)
    array = (rng.random((5, 9, 8)) < 0.1).astype(np.uint8)
    array[tuple(rng.integers(0, n) for n in array.shape)] = 1
    mask = Volume(array, rotated(degrees), unit="mask")
    points = mask.voxel_to_mm(np.argwhere(array)[:, ::-1])
    np.testing.assert_allclose(mask.centroid_mm, points.mean(axis=0))
    lower, upper = mask.bounding_box_mm()
    assert (lower < points.min(axis=0)).all() and (points.max(axis=0) < upper).all()
    if abs(degrees) < 1e-9:
        np.testing.assert_allclose(upper - lower, np.ptp(points, axis=0) + np.array([0.8, 0.8, 2.0]))
    turned = mask.to_lps()
    np.testing.assert_allclose(turned.centroid_mm, mask.centroid_mm)


def test_a_crop_around_the_centroid_holds_the_lesion(tmp_path):
    folder, ct = scan(tmp_path / "ct", (24, 70, 80), (3, 0.8, 0.7))
    mask = ball(ct, 6, off=(14, -11, 20))
    assert np.linalg.norm(mask.center_mm - ct.center_mm) < 1e-9
    np.testing.assert_allclose(mask.centroid_mm, ct.center_mm + np.array([14, -11, 20]), atol=0.3)
    near = read_crop(folder, mask.centroid_mm, 20)
    assert mask.like(near).volume_ml() == pytest.approx(mask.volume_ml(), rel=0.02)
    assert not mask.like(read_crop(folder, mask.center_mm, 20)).array.any()


@pytest.mark.parametrize("ask", ["centroid_mm", "bounding_box_mm", "bounding_box"])
def test_what_is_no_mask_or_empty(ask):
    def of(volume):
        found = getattr(volume, ask)
        return found() if callable(found) else found

    with pytest.raises(ScanError, match=r"not a mask .*got HU"):
        of(Volume(np.zeros((2, 2, 2), np.int16), np.eye(4)))
    with pytest.raises(ScanError, match="an empty mask"):
        of(Volume(np.zeros((2, 2, 2), np.uint8), np.eye(4), unit="mask"))


def _ct(shape=(12, 40, 40), origin=(-20, -20, -300)):
    affine = np.diag([1.0, 1.0, 2.5, 1.0])
    affine[:3, 3] = origin
    hu = np.full(shape, -800, np.int16)
    hu[:, 8:-8, 8:-8] = 40
    return Volume(hu, affine)


def _written(path, shape, affine):
    array = np.zeros(shape, np.uint8)
    array[2:6, 10:20, 12:18] = 1
    return write_nifti(Volume(array, affine, unit="mask"), path)


def test_a_label_image_of_another_grid_warns_with_both_geometries(tmp_path):
    ct = _ct()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_mask(_written(tmp_path / "own.nii.gz", ct.shape, ct.affine), ct)
        flipped = ct.affine @ np.diag([-1, -1, 1, 1])
        flipped[:3, 3] = ct.voxel_to_mm([39, 39, 0])
        read_mask(
            _written(tmp_path / "ras.nii.gz", ct.shape, flipped), ct
        )  # the same voxels, stored otherwise
    moved = ct.affine.copy()
    moved[0, 3] += 4
    other = {
        "shape": ((14, 40, 40), ct.affine),
        "spacing": (ct.shape, _scaled(ct.affine, 1.1)),
        "origin": (ct.shape, moved),
        "tilted": (ct.shape, rotated(10, (2.5, 1, 1), (-20, -20, -300))),
    }
    for name, (shape, affine) in other.items():
        path = _written(tmp_path / f"{name}.nii.gz", shape, affine)
        with pytest.warns(ScanWarning) as caught:
            mask = read_mask(path, ct)
        [text] = [str(w.message) for w in caught]
        assert mask.shape == ct.shape
        assert text.startswith(f"{path}: the mask has another grid than the scan")
        assert ct.geometry() in text and "mask: " in text
        assert ("tilted by 10.0 degrees" in text) == (name == "tilted")


def _scaled(affine, factor):
    out = affine.copy()
    out[:3, :2] *= factor
    return out


def test_a_mask_that_lies_outside_names_both_places(tmp_path):
    ct = _ct()
    away = ct.affine.copy()
    away[2, 3] = 900
    with pytest.raises(ScanError, match=r"outside the scan .*12 x 40 x 40 voxels.*got a region at x .*z 903"):
        read_mask(_written(tmp_path / "m.nii.gz", ct.shape, away), ct)


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nii"])
def test_an_empty_label_image_is_an_empty_mask(tmp_path, name):
    """A patient without a lesion has a mask without a region; a region that was asked for has to be there."""
    ct = _ct()
    path = write_nifti(Volume(np.zeros(ct.shape, np.uint8), ct.affine, unit="mask"), tmp_path / name)
    for reference in (None, ct):
        with pytest.warns(ScanWarning, match=rf"{name}: the mask is empty: every voxel is 0"):
            mask = read_mask(path, reference)
        assert (mask.unit, mask.volume_ml(), mask.shape) == ("mask", 0.0, ct.shape)
    for roi in (1, "*", "tumour", [1, 2]):
        with pytest.raises(ScanError, match="the file has no region"):
            read_mask(path, ct, roi)


def test_an_undrawn_structure_is_an_error(tmp_path):
    """A structure set often comes with empty templates, so an empty one does not say "no lesion"."""
    folder, _ = scan(tmp_path / "ct")
    path = rtstruct(tmp_path / "r.dcm", {"GTV": []})
    with pytest.raises(ScanError, match="column GTV: an empty region"):
        read_mask(path, read(folder))
    two = rtstruct(tmp_path / "s.dcm", {"GTV": [], "PTV": [square(-5, -5, 5, 5, 0)]})
    with pytest.raises(ScanError, match="2 regions"):
        read_mask(two, read(folder))
