import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume
from mmfusion.imaging.affine import corners

mm = st.floats(1.0, 4.0)
spacings = st.tuples(mm, mm, mm)
turns = st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1, 1])] * 3)


def affine_of(spacing, origin=(0, 0, 0), direction=None):
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if direction is None else direction) * np.asarray(spacing)[::-1]
    affine[:3, 3] = origin
    return affine


def rotation(degrees, axis=2):
    a, (i, j) = np.deg2rad(degrees), [k for k in range(3) if k != axis]
    out = np.eye(3)
    out[i, i], out[j, j], out[i, j], out[j, i] = np.cos(a), np.cos(a), -np.sin(a), np.sin(a)
    return out


def turned(order, signs):
    return np.eye(3)[:, list(order)] * signs


def ball(radius, spacing, direction=None, *, unit="mask", off=(0.3, -0.7, 0.4)):
    """A ball round `off` (LPS mm) and the field of view around it."""
    shape = tuple(int(np.ceil((2 * radius + 16) / s)) for s in spacing)
    affine = affine_of(spacing, direction=direction)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)[..., ::-1]
    inside = np.linalg.norm(index @ affine[:3, :3].T + affine[:3, 3] - off, axis=-1) < radius
    array = inside.astype(np.uint8) if unit == "mask" else np.where(inside, 40, -860).astype(np.int16)
    return Volume(array, affine, unit=unit)


def sphere_ml(radius):
    return 4 / 3 * np.pi * radius**3 / 1000


@settings(max_examples=25, deadline=None)
@given(spacings, spacings, *turns)
def test_a_sphere_keeps_its_volume_at_any_anisotropy(old, new, order, signs):
    radius = 6 * max(*old, *new)
    mask = ball(radius, old, turned(order, signs)).resample(new)
    assert mask.volume_ml() == pytest.approx(sphere_ml(radius), rel=0.03)
    scan = ball(radius, old, turned(order, signs), unit="HU").resample(new)
    mass = (scan.array.astype(float) + 860).sum() / 900 * np.prod(scan.spacing) / 1000
    assert mass == pytest.approx(sphere_ml(radius), rel=0.03)


@settings(max_examples=20, deadline=None)
@given(spacings, mm, st.floats(-40, 40))
def test_so_does_a_mask_in_an_oblique_crop(spacing, new, degrees):
    radius = 6 * max(*spacing, new)
    crop = ball(radius, spacing, rotation(degrees)).crop((0.3, -0.7, 0.4), 2 * radius + 6 * new, new)
    assert crop.volume_ml() == pytest.approx(sphere_ml(radius), rel=0.03)


@settings(max_examples=20, deadline=None)
@given(spacings, mm, st.floats(-40, 40), st.integers(0, 2))
def test_mass_is_kept_by_a_crop_of_an_oblique_scan(spacing, new, degrees, axis):
    radius = 6 * max(*spacing, new)
    volume = ball(radius, spacing, rotation(degrees, axis), unit="HU")
    crop = volume.crop((0.3, -0.7, 0.4), 2 * radius + 6 * new, new, fill=-860)
    mass = (crop.array.astype(float) + 860).sum() / 900 * np.prod(crop.spacing) / 1000
    assert mass == pytest.approx(sphere_ml(radius), rel=0.03)


def test_the_voxels_around_a_point_are_unchanged():
    array = np.random.default_rng(0).integers(-1000, 900, (16, 40, 44)).astype(np.int16)
    affine = affine_of((2, 1, 1))
    affine[:3, 3] = (-21.5, -19.5, -15)
    scan = Volume(array, affine, series_uid="1.2")
    box = scan.around((5, 0, 0), (12, 10, 8))
    low = np.round(scan.mm_to_voxel(box.affine[:3, 3])).astype(int)
    inside = tuple(slice(a, a + n) for a, n in zip(low[::-1], box.shape))
    np.testing.assert_array_equal(box.array, scan.array[inside])
    assert (box.array.dtype, box.series_uid) == (np.int16, "1.2")
    np.testing.assert_allclose(box.center_mm, (5, 0, 0), atol=1.1)
    assert all(n * s >= mm for n, s, mm in zip(box.shape, box.spacing, (12, 10, 8)))
    whole = scan.around((0, 0, 0), 1000)
    np.testing.assert_array_equal(whole.array, array)
    np.testing.assert_array_equal(whole.affine, affine)


@settings(max_examples=30, deadline=None)
@given(spacings, st.floats(-40, 40), st.integers(0, 2), *turns)
def test_a_box_along_lps_is_within_the_voxels_around_its_center(spacing, degrees, axis, order, signs):
    scan = ball(20, spacing, rotation(degrees, axis) @ turned(order, signs), unit="HU")
    box = scan.around((1, 2, 3), (6, 8, 10))
    assert all(box.contains(corner) for corner in corners((-4, -2, 0), (6, 6, 6)).T)
    np.testing.assert_array_equal(box.array, scan.on_grid(box.affine, box.shape).array)
    assert all(a <= b for a, b in zip(box.shape, scan.shape))


@settings(max_examples=50, deadline=None)
@given(spacings, st.floats(-90, 90), st.tuples(*[st.floats(-500, 500)] * 3))
def test_voxel_to_mm_and_back(spacing, degrees, point):
    volume = Volume(np.zeros((3, 4, 5), np.int16), affine_of(spacing, point, rotation(degrees)))
    np.testing.assert_allclose(volume.mm_to_voxel(volume.voxel_to_mm(point)), point, atol=1e-8)
    np.testing.assert_allclose(volume.spacing, spacing, rtol=1e-12)
    np.testing.assert_allclose(volume.voxel_to_mm((0, 0, 0)), point)


@settings(max_examples=48, deadline=None)
@given(spacings, *turns)
def test_turning_to_lps_moves_no_voxel(spacing, order, signs):
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    before = Volume(array, affine_of(spacing, (10, -20, 30), turned(order, signs)))
    after = before.to_lps()
    assert (np.diag(after.affine)[:3] > 0).all()
    assert np.count_nonzero(np.abs(after.affine[:3, :3]) > 1e-9) == 3
    for z, y, x in np.ndindex(3, 4, 5):
        there = np.rint(after.mm_to_voxel(before.voxel_to_mm((x, y, z)))).astype(int)
        assert after.array[tuple(there[::-1])] == array[z, y, x]
    assert after.to_lps() is after


def test_agrees_with_simpleitk_where_nothing_is_averaged():
    rng = np.random.default_rng(0)
    volume = Volume(
        rng.normal(size=(12, 14, 16)).astype(np.float32), affine_of((3, 2, 2.5), (5, 6, 7), rotation(12))
    )
    crop = volume.crop(volume.center_mm + 1.3, 20, 1.7, fill=-5)
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.affine[:3, 3])
    image.SetDirection(rotation(12).ravel())
    grid = sitk.Image(*crop.shape[::-1], sitk.sitkFloat32)
    grid.SetSpacing(crop.spacing[::-1])
    grid.SetOrigin(crop.affine[:3, 3])
    expected = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, -5.0))
    np.testing.assert_allclose(crop.array, expected, atol=1e-4)


def test_coarser_voxels_are_means_not_samples():
    rng = np.random.default_rng(0)
    noise = Volume(rng.normal(0, 100, (60, 60, 60)).astype(np.float32), np.eye(4))
    assert noise.resample(4).array.std() < 15  # a mean over a triangle 8 wide; 100 if merely sampled
    assert noise.resample(4).array.mean() == pytest.approx(noise.array.mean(), abs=1)


def test_a_crop_reads_what_is_there_and_fills_the_rest():
    array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    volume = Volume(array, affine_of((2, 1, 1), (100, 200, 300)))
    np.testing.assert_array_equal(volume.crop(volume.center_mm, (8, 5, 6)).array, array)
    corner = volume.crop((100, 200, 300), (4, 2, 2))  # half a voxel over each lower edge: half-open boxes
    assert corner.shape == (2, 2, 2)
    at = volume.crop((100, 200, 300), (6, 3, 3)).array
    assert at[1, 1, 1] == array[0, 0, 0]
    np.testing.assert_array_equal(at[0], -1000)
    np.testing.assert_array_equal(at[1:, 1:, 1:], array[:2, :2, :2])
    assert volume.crop((100, 200, 300), (6, 3, 3), fill=7).array[0, 0, 0] == 7
    constant = Volume(np.full((4, 5, 6), 50, np.int16), volume.affine)
    np.testing.assert_array_equal(
        constant.resample(0.7).array, 50
    )  # edges are continued, not blended with air
    np.testing.assert_allclose(constant.resample(3).array, 50, rtol=1e-6)


def test_input_is_left_alone():
    array, affine = (
        np.ones((4, 5, 6), np.int16),
        affine_of((2, 1, 1), direction=turned([2, 0, 1], [1, -1, 1])),
    )
    before = array.copy(), affine.copy()
    volume = Volume(array, affine)
    volume.crop(volume.center_mm, 3, 1).array[:] = 9
    volume.resample(1).array[:] = 9
    np.testing.assert_array_equal(array, before[0])
    np.testing.assert_array_equal(affine, before[1])


def test_boxes_are_half_open():
    array = np.zeros((5, 6, 7), np.uint8)
    array[1:3, 2:6, 4:5] = 1
    mask = Volume(array, np.eye(4), unit="mask")
    assert mask.bounding_box() == (slice(1, 3), slice(2, 6), slice(4, 5))
    assert mask.array[mask.bounding_box()].all()
    assert mask.volume_ml() == pytest.approx(0.008)


def test_a_mask_stays_a_mask():
    mask = ball(10, (2, 1, 1))
    assert set(np.unique(mask.resample((1, 2, 3)).array)) == {0, 1}
    assert mask.crop((0, 0, 0), 60, 1).array[0, 0, 0] == 0
    assert Volume(np.ones((2, 2, 2), dtype=bool), np.eye(4), unit="mask").array.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"array": np.zeros((4, 4), np.int16)}, "not a volume"),
        ({"array": np.zeros((2, 2, 2))}, "unknown dtype.*float64"),
        ({"unit": "hu"}, "unknown unit.*HU"),
        ({"affine": np.zeros((4, 4))}, "not an affine"),
        ({"affine": np.diag([1.0, 0, 1, 1])}, "voxel of size 0"),
        ({"affine": np.array([[1, 0, 0, 0], [0, 1, 0.3, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])}, "right angles"),
    ],
)
def test_what_is_no_volume(change, message):
    with pytest.raises(ScanError, match=message):
        Volume(**{"array": np.zeros((2, 2, 2), np.int16), "affine": np.eye(4), **change})


def test_invalid_arguments():
    volume = Volume(np.zeros((4, 5, 6), np.int16), affine_of((2, 1, 1), (100, 200, 300)))
    with pytest.raises(
        ScanError, match=r"outside the scan .*x 100 to 106, y 200 to 204, z 299 to 307 mm.*LPS"
    ):
        volume.crop((-100, -200, 300), 5)
    with pytest.raises(ScanError, match="outside the scan"):
        volume.crop((np.nan, 200, 300), 5)
    with pytest.raises(ScanError, match=r"outside the scan .*x 100 to 106.*LPS"):
        volume.around((-100, -200, 300), 5)
    for point in (100, 200), 7.0, [[100, 200, 300]]:
        with pytest.raises(ScanError, match=r"not a point .expected three numbers"):
            volume.expect_inside(point)
    inside = volume.expect_inside((100, 200, 300))
    assert inside.dtype == np.float64 and inside.tolist() == [100, 200, 300]
    for size in (-1, np.inf, (1, np.nan, 1)):
        with pytest.raises(ScanError, match="size_mm out of range"):
            volume.around((100, 200, 300), size)
    with pytest.raises(ScanError, match="spacing out of range"):
        volume.resample((1, 0, 1))
    volume.expect("HU")
    with pytest.raises(
        ScanError, match=r"column lesion: not a mask .*expected a Volume of unit mask; got HU"
    ):
        volume.expect("mask", "lesion")
    with pytest.raises(ScanError, match=r"^patient P1, parameter mask: not a mask"):
        volume.expect("mask", patient="P1", parameter="mask")
    with pytest.raises(ScanError, match="not a PET"):
        volume.expect("SUVbw")
    with pytest.raises(ScanError, match="not a mask"):
        volume.volume_ml()
    with pytest.raises(ScanError, match="empty mask"):
        Volume(np.zeros((2, 2, 2), np.uint8), np.eye(4), unit="mask").bounding_box()


@pytest.mark.parametrize("unit", ["HU", "mask"])
def test_a_grid_that_needs_too_much_memory_is_refused(unit):
    array = np.zeros((4, 5, 6), np.int16 if unit == "HU" else np.uint8)
    volume = Volume(array, np.eye(4), unit=unit)
    with pytest.raises(ScanError, match=r"the sampled box is too large.*MMFUSION_MAX_GIB"):
        volume.crop(volume.center_mm, 1e5, 0.5)
    with pytest.raises(ScanError, match="too large"):
        volume.on_grid(np.eye(4), (10**6, 10**6, 10**6))
