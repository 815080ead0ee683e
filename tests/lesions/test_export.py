"""From probabilities on the grid of a network to masks on the grid of the scan."""

import numpy as np
import pytest

from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume
from mmfusion.lesions import export
from mmfusion.lesions.export import export_mask


def ball(shape, spacing, centre, radius, *, flip=False):
    """A scan, and the share by which a point is inside a ball (LPS mm)."""
    affine = np.diag([*(np.array(spacing[::-1]) * (-1 if flip else 1)), 1.0])
    if flip:
        affine[:3, 3] = (np.array(shape[::-1]) - 1) * spacing[::-1]
    scan = Volume(np.zeros(shape, np.int16), affine)
    points = scan.voxel_to_mm(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")[::-1], -1))
    distance = np.linalg.norm(points - np.array(centre), axis=-1)
    return scan, np.clip((radius - distance) / 4 + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize("flip", [False, True])
def test_a_ball_keeps_its_place_and_volume(flip):
    centre, radius = (21.0, 24.0, 33.0), 12.0
    coarse, probability = ball((24, 24, 24), (3.0, 2.0, 2.0), centre, radius)
    scan, _ = ball((60, 70, 64), (1.0, 0.7, 0.7), centre, radius, flip=flip)
    mask = export_mask(Volume(probability, coarse.affine, unit="probability"), scan, 0.5)
    assert mask.unit == "mask" and mask.shape == scan.shape and mask.array.dtype == np.uint8
    np.testing.assert_array_equal(mask.affine, scan.affine)
    np.testing.assert_allclose(mask.centroid_mm, centre, atol=0.15)
    assert mask.volume_ml() == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.04)


def test_it_is_the_same_as_interpolating_the_whole_map(monkeypatch):
    rng = np.random.default_rng(0)
    array = np.clip(rng.normal(0.4, 0.3, (9, 10, 11)), 0, 1).astype(np.float32)
    low = Volume(array, np.diag([2.0, 2.0, 3.0, 1.0]), unit="probability")
    scan = Volume(np.zeros((20, 22, 18), np.int16), np.diag([1.1, 0.8, 1.2, 1.0]))
    whole = low.like(scan).array
    inside = tuple(slice(0, int(n)) for n in (22, 22, 18))
    monkeypatch.setattr(export, "_TILE", (5, 7, 6))
    mask = export_mask(low, scan, 0.7, min_mm3=0)
    expected = export.clean_mask(whole > 0.7, scan.spacing, min_mm3=0)
    np.testing.assert_array_equal(mask.array[inside], expected[inside])
    assert 0.02 < mask.array.mean() < 0.9


def test_a_scan_turned_by_axes_and_one_coarser_than_the_map():
    centre = (20.0, 24.0, 22.0)
    fine, probability = ball((44, 48, 40), (1.0, 1.0, 1.0), centre, 10.0)
    affine = np.array([[0, 0, 4.0, 0], [0, 2.5, 0, 0], [-5.0, 0, 0, 43], [0, 0, 0, 1.0]])
    scan = Volume(np.zeros((10, 19, 9), np.int16), affine)  # x runs to the feet, z to the left
    mask = export_mask(Volume(probability, fine.affine, unit="probability"), scan, 0.5)
    np.testing.assert_allclose(mask.centroid_mm, centre, atol=1.0)
    assert mask.volume_ml() == pytest.approx(4 / 3 * np.pi, rel=0.12)


def test_what_the_result_keeps_of_the_scan():
    scan = Volume(np.zeros((4, 4, 4), np.int16), np.eye(4), frame_of_reference="1.2", series_uid="3.4")
    low = Volume(np.ones((4, 4, 4), np.float32), np.eye(4), unit="probability")
    mask = export_mask(low, scan, 0.5, provenance="oracle")
    assert (mask.frame_of_reference, mask.series_uid, mask.provenance) == ("1.2", "3.4", "oracle")
    assert mask.array.all()  # also the outermost voxels
    assert not export_mask(Volume(low.array * 0, low.affine, unit="probability"), scan, 0.5).array.any()


def test_what_cannot_be_exported():
    scan = Volume(np.zeros((4, 4, 4), np.int16), np.eye(4))
    low = Volume(np.ones((4, 4, 4), np.float32), np.eye(4), unit="probability")
    with pytest.raises(ScanError, match="not a map of probabilities"):
        export_mask(scan, scan, 0.5)
    with pytest.raises(DataError, match="threshold"):
        export_mask(low, scan, 1.5)
