"""Geometry as laws: what must hold for every grid, orientation and spacing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume
from tests.imaging.test_volume import affine_of, ball, rotation, sphere_ml, turned

mm = st.floats(0.8, 5.0)
spacings = st.tuples(mm, mm, mm)
orders = st.permutations([0, 1, 2])
signs = st.tuples(*[st.sampled_from([-1, 1])] * 3)
angles = st.floats(-45, 45)
CENTER = (0.3, -0.7, 0.4)
AIR, TISSUE = -860, 40


def law(n):
    return settings(max_examples=n, deadline=None)


def mass_ml(scan):
    """Volume of what stands out from the background, mL."""
    return (scan.array.astype(float) - AIR).sum() / (TISSUE - AIR) * np.prod(scan.spacing) / 1000


@law(25)
@given(spacings, mm, st.integers(28, 48), orders, signs, angles, st.integers(0, 2))
def test_l17_a_sphere_keeps_its_volume_through_the_pipeline(old, new, side, order, sign, degrees, axis):
    """Scanner grid -> LPS -> isotropic -> crop -> voxels -> back; L-17 is resampling without spacing."""
    radius = 6 * max(*old, new)
    direction = rotation(degrees, axis) @ turned(order, sign)
    mask, scan = ball(radius, old, direction), ball(radius, old, direction, unit="HU")
    size = 2 * radius + 6 * max(*old, new)
    cropped = mask.to_lps().resample(new).crop(CENTER, size)
    cube = cropped.resize(side)
    back = cube.like(mask)
    for step in (cropped, cube, back):
        assert step.volume_ml() == pytest.approx(sphere_ml(radius), rel=0.03)
    whole = scan.to_lps().resample(new).crop(CENTER, size, fill=AIR)
    for step in (whole, whole.resize(side), whole.resize(side).on_grid(scan.affine, scan.shape, fill=AIR)):
        assert mass_ml(step) == pytest.approx(sphere_ml(radius), rel=0.03)


@law(15)
@given(spacings, st.tuples(*[st.integers(20, 60)] * 3), angles)
def test_what_is_predicted_on_a_resized_grid_comes_back_where_it_was(old, shape, degrees):
    mask = ball(7 * max(old), old, rotation(degrees))
    there = mask.resize(shape)
    back = there.like(mask)
    inside = np.argwhere(mask.array)[:, ::-1].mean(0), np.argwhere(back.array)[:, ::-1].mean(0)
    far = np.linalg.norm(mask.voxel_to_mm(inside[0]) - back.voxel_to_mm(inside[1]))
    assert far < 0.5 * max(*old, *there.spacing)
    both = 2 * (mask.array & back.array).sum() / (mask.array.sum() + back.array.sum())
    assert both > 0.8


@law(40)
@given(spacings, st.tuples(*[st.integers(1, 40)] * 3), angles, orders, signs)
def test_resizing_keeps_extent_centre_and_axes(old, shape, degrees, order, sign):
    volume = Volume(
        np.zeros((5, 9, 7), np.int16), affine_of(old, (10, 20, 30), rotation(degrees) @ turned(order, sign))
    )
    new = volume.resize(shape)
    lps = volume.to_lps()
    assert new.shape == tuple(shape)
    np.testing.assert_allclose(np.array(new.shape) * new.spacing, np.array(lps.shape) * lps.spacing)
    np.testing.assert_allclose(new.center_mm, volume.center_mm, atol=1e-8)
    np.testing.assert_allclose(
        new.affine[:3, :3] / new.spacing[::-1], lps.affine[:3, :3] / lps.spacing[::-1], atol=1e-9
    )
    corners = [v.voxel_to_mm(np.full(3, -0.5)) for v in (new, lps)]
    np.testing.assert_allclose(*corners, atol=1e-8)


@law(60)
@given(spacings, angles, orders, signs, st.tuples(*[st.floats(-500, 500)] * 3))
def test_mm_to_voxel_and_back(spacing, degrees, order, sign, point):
    direction = rotation(degrees) @ turned(order, sign)
    volume = Volume(np.zeros((3, 4, 5), np.int16), affine_of(spacing, point, direction))
    np.testing.assert_allclose(volume.voxel_to_mm(volume.mm_to_voxel(point)), point, atol=1e-8)
    np.testing.assert_allclose(volume.to_lps().center_mm, volume.center_mm, atol=1e-8)
    assert volume.contains(volume.center_mm)
    low, high = volume.voxel_to_mm((-0.5, -0.5, -0.5)), volume.voxel_to_mm((4.5, 3.5, 2.5))
    nudge = (high - low) * 1e-6
    assert volume.contains(low + nudge)
    assert not volume.contains(low - nudge)
    assert volume.contains(high - nudge)
    assert not volume.contains(high + nudge)


@law(40)
@given(spacings, orders, signs, orders, signs)
def test_a_turned_grid_is_sampled_exactly(spacing, order, sign, order2, sign2):
    """Grids that are permutations and flips of each other hold the same values, and no arithmetic is seen."""
    array = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    volume = Volume(array, affine_of(spacing, (1, 2, 3), turned(order, sign)))
    lps = volume.to_lps()
    direction = turned(order2, sign2)
    size = np.array(lps.shape[::-1])[list(order2)]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(lps.spacing[::-1])[list(order2)]
    affine[:3, 3] = lps.center_mm - affine[:3, :3] @ ((size - 1) / 2)
    there = volume.on_grid(affine, tuple(size[::-1]))
    np.testing.assert_allclose(there.to_lps().array, lps.array, atol=0.02)
    mask = Volume((array > 0).astype(np.uint8), volume.affine, unit="mask")
    np.testing.assert_array_equal(mask.on_grid(affine, tuple(size[::-1])).like(mask).array, mask.array)


boxes = st.tuples(*[st.tuples(st.integers(-4, 12), st.integers(1, 9)) for _ in range(3)])


@law(60)
@given(boxes, spacings, orders, signs)
def test_boxes_are_half_open_and_move_nothing(box, spacing, order, sign):
    rng = np.random.default_rng(0)
    volume = Volume(
        rng.integers(-900, 900, (7, 8, 9)).astype(np.int16), affine_of(spacing, direction=turned(order, sign))
    )
    slices = tuple(slice(a, a + n) for a, n in box)
    crop = volume.crop_box(slices, fill=-5)
    assert crop.shape == tuple(n for _, n in box)
    np.testing.assert_allclose(
        crop.voxel_to_mm((0, 0, 0)), volume.voxel_to_mm([a for a, _ in box][::-1]), atol=1e-9
    )
    for k in np.ndindex(crop.shape):
        at = np.array(k) + [a for a, _ in box]
        inside = (at >= 0).all() and (at < volume.shape).all()
        assert crop.array[k] == (volume.array[tuple(at)] if inside else -5)


@law(30)
@given(spacings, st.floats(0, 30))
def test_padding_then_cropping_is_nothing(spacing, margin):
    volume = Volume(
        np.random.default_rng(0).integers(-900, 900, (4, 5, 6)).astype(np.int16), affine_of(spacing)
    )
    wide = volume.pad(margin)
    assert (np.array(wide.shape) - volume.shape >= 2 * margin / np.array(spacing) - 1e-6).all()
    assert wide.array.dtype == np.int16
    np.testing.assert_allclose(wide.center_mm, volume.center_mm, atol=1e-9)
    start = np.rint(wide.mm_to_voxel(volume.voxel_to_mm((0, 0, 0)))).astype(int)[::-1]
    again = wide.crop_box([slice(s, s + n) for s, n in zip(start, volume.shape)])
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, atol=1e-9)
    np.testing.assert_array_equal(volume.like(wide).array, wide.array)


@law(25)
@given(spacings, st.floats(0.7, 6.0), angles, st.sampled_from([np.int16, np.float32]))
def test_padding_below_air_does_not_change_its_neighbours(spacing, new, degrees, dtype):
    """A circle of -3024 around the patient adds no values that a clean scan does not have."""
    hu = np.full((16, 24, 24), TISSUE, dtype)
    y, x = np.mgrid[:24, :24] - 11.5
    hu[:, y**2 + x**2 > 100] = -3024
    direction = rotation(degrees) if abs(degrees) > 10 else None
    dirty = Volume(hu, affine_of(spacing, direction=direction))
    clean = Volume(np.maximum(hu, dtype(-1024)), dirty.affine)
    for step in (lambda v: v.resample(new), lambda v: v.crop(v.center_mm, 30, new), lambda v: v.resize(20),
                 lambda v: v.like(ball(10, (1, 1, 1)))):  # fmt: skip
        np.testing.assert_array_equal(step(dirty).array, step(clean).array)
        assert step(dirty).array.min() >= -1024.001


@law(30)
@given(st.integers(0, 2**30), st.floats(0.001, 0.3), spacings, spacings)
def test_a_sampled_mask_is_what_the_whole_sampled_mask_is(seed, share, old, new):
    """Only the box that holds the mask is sampled; the rest cannot differ."""
    rng = np.random.default_rng(seed)
    array = np.zeros((12, 12, 12), np.uint8)
    low = rng.integers(0, 9, 3)
    part = tuple(slice(a, a + 4) for a in low)
    array[part] = rng.random((4, 4, 4)) < share
    volume = Volume(array, affine_of(old), unit="mask")
    grid = Volume(np.zeros((14, 15, 16), np.int16), affine_of(new, (-3, -2, 1)))
    linear = Volume(array.astype(np.float32), affine_of(old), "PT", "SUVbw").like(grid)
    expected = linear.array.sum()
    assert volume.like(grid).array.sum() == pytest.approx(expected, abs=0.51)
    assert not volume.like(grid).array[linear.array == 0].any()


def test_invalid_arguments():
    volume = Volume(np.zeros((4, 5, 6), np.int16), np.eye(4))
    for shape in (0, (3, -1, 3), 2.5):
        with pytest.raises(ScanError, match="shape out of range"):
            volume.resize(shape)
    for box in ((slice(0, 2),) * 2, (slice(2, 2),) * 3, (slice(0, 4, 2),) * 3):
        with pytest.raises(ScanError, match="not a box"):
            volume.crop_box(box)
    for margin in (-1, np.nan):
        with pytest.raises(ScanError, match="margin_mm out of range"):
            volume.pad(margin)
    assert volume.crop_box((slice(None),) * 3).shape == volume.shape
    mask = Volume(np.ones((4, 5, 6), np.uint8), np.eye(4), unit="mask")
    assert mask.crop_box(mask.bounding_box(), 1.5).shape == (8, 9, 10)
    assert mask.pad((0, 1, 0)).volume_ml() == mask.volume_ml()
    assert volume.pad(1, fill=-1000.5).array.dtype == np.float32
    assert volume.pad(1).array[0, 0, 0] == -1000
