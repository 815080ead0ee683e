"""Axial diameters of ellipsoids whose diameters are known, at any voxel size and orientation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, axial_diameters

TURNED = np.eye(3)


def ellipsoid(radii, spacing, turn=TURNED, shift=(0.0, 0.0, 0.0)) -> Volume:
    """The mask of an ellipsoid with radii (x, y, z) along the patient's axes, mm, on a turned grid.

    A voxel is in the mask if at least half of 27 points in it are inside.
    """
    affine, n = np.eye(4), np.ceil((2 * max(radii) + 12) / np.array(spacing)).astype(int)
    affine[:3, :3] = turn @ np.diag(spacing[::-1])
    affine[:3, 3] = np.array(shift) - affine[:3, :3] @ ((n[::-1] - 1) / 2)
    count = np.zeros(n, np.uint8)
    for part in np.ndindex(3, 3, 3):
        z, y, x = np.meshgrid(*(np.arange(k) + (p - 1) / 3 for k, p in zip(n, part)), indexing="ij")
        points = np.stack([x, y, z], axis=-1) @ affine[:3, :3].T + affine[:3, 3]
        count += ((points / radii) ** 2).sum(axis=-1) <= 1
    return Volume(count >= 14, affine, unit="mask")


def errors(radii, mask) -> np.ndarray:
    found = axial_diameters(mask)
    return np.array([found.longest_mm - 2 * max(radii[:2]), found.perpendicular_mm - 2 * min(radii[:2])])


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    radii=st.tuples(*[st.floats(9, 22)] * 3),
    slices=st.sampled_from([1.0, 2.0, 3.0]),
    pixel=st.floats(0.6, 1.0),
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
)
def test_axial_slices(radii, slices, pixel, shift):
    mask = ellipsoid(radii, (slices, pixel, pixel), shift=shift)
    assert np.abs(errors(radii, mask)).max() < 1.0
    volume = 4 / 3 * np.pi * np.prod(radii) / 1000
    assert abs(mask.volume_ml() / volume - 1) < 0.03


@pytest.mark.parametrize("slices", [1.0, 2.0, 3.0, 5.0])
def test_tilted_slices(slices):
    rng = np.random.default_rng(int(slices))
    found = []
    for _ in range(6):
        turn = Rotation.from_euler("zyx", rng.uniform(-60, 60, 3), degrees=True).as_matrix()
        radii = rng.uniform(9, 22, 3)
        mask = ellipsoid(radii, (slices, 0.8, 0.8), turn, rng.uniform(-1, 1, 3))
        found.append(errors(radii, mask))
    assert np.abs(found).max() < max(1.0, 0.5 * slices)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_order_of_the_axes_is_no_matter(order):
    mask = ellipsoid((20, 10, 15), (2.0, 1.0, 1.0))
    affine = mask.affine.copy()
    affine[:, :3] = mask.affine[:, [2 - order[2], 2 - order[1], 2 - order[0]]]
    turned = Volume(mask.array.transpose(order), affine, unit="mask")
    one, two = axial_diameters(mask), axial_diameters(turned)
    assert one.longest_mm == pytest.approx(two.longest_mm)
    assert one.perpendicular_mm == pytest.approx(two.perpendicular_mm)


def test_the_ends_lie_on_the_outline():
    found = axial_diameters(ellipsoid((20, 10, 15), (2.0, 1.0, 1.0), shift=(3.0, -2.0, 1.0)))
    assert np.linalg.norm(found.longest[1] - found.longest[0]) == pytest.approx(found.longest_mm)
    along, across = np.diff(found.longest, axis=0)[0], np.diff(found.perpendicular, axis=0)[0]
    assert along @ across == pytest.approx(0, abs=1e-6)
    assert np.ptp([*found.longest[:, 2], *found.perpendicular[:, 2]]) == 0
    assert found.product_mm2 == pytest.approx(found.longest_mm * found.perpendicular_mm)


def test_a_ring_is_measured_from_outside_to_outside():
    y, x = np.mgrid[-20:21, -20:21]
    ring = (np.hypot(y, x) <= 15) & (np.hypot(y, x) > 12)
    found = axial_diameters(Volume(ring[None], np.eye(4), unit="mask"))
    assert abs(found.longest_mm - 31) < 1 and abs(found.perpendicular_mm - 31) < 1


@pytest.mark.parametrize("turn", [0.0, 30.0])
def test_one_voxel(turn):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("x", turn, degrees=True).as_matrix()
    array = np.zeros((3, 3, 3), np.uint8)
    array[1, 1, 1] = 1
    found = axial_diameters(Volume(array, affine, unit="mask"))
    assert 0 < found.perpendicular_mm <= found.longest_mm <= 2


def test_the_consensus_of_a_real_nodule(shared_data):
    from mmfusion.imaging import read_mask

    mask = read_mask(shared_data / "lesions/LIDC-IDRI-0314/consensus_crop_native.nii.gz")
    assert mask.volume_ml() == pytest.approx(2.08, abs=0.01)  # as the data set's notes state
    assert 15 < axial_diameters(mask).longest_mm < 25


def test_not_a_mask():
    with pytest.raises(ScanError, match="not a mask"):
        axial_diameters(Volume(np.ones((2, 2, 2), np.int16), np.eye(4)))
    with pytest.raises(ScanError, match="an empty mask"):
        axial_diameters(Volume(np.zeros((2, 2, 2), np.uint8), np.eye(4), unit="mask"))
