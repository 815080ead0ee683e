import numpy as np
import pytest

from mmfusion.imaging import Volume, lung_field, lung_mask, read


def chest(shape=(40, 60, 80), spacing=(4.0, 4.0, 4.0), lung_hu=-850):
    """An elliptic trunk with two lungs, a nodule in one, bowel gas, and a hollow table below."""
    z, y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing)], indexing="ij")
    hu = np.full(shape, -1000, np.int16)
    hu[(x / 140) ** 2 + ((y + 10) / 85) ** 2 < 1] = 40
    lungs = np.zeros(shape, dtype=bool)
    for side in (-60, 60):
        lungs |= ((x - side) / 42) ** 2 + ((y + 10) / 60) ** 2 + (z / 90) ** 2 < 1
    hu[lungs] = lung_hu
    hu[(x - 60) ** 2 + (y + 10) ** 2 + z**2 < 15**2] = 30  # inside the lung
    hu[x**2 + (y + 40) ** 2 + (z + 60) ** 2 < 15**2] = -1000
    table = (np.abs(x) < 150) & (y > 92) & (y < 114)
    hu[table] = -600
    hu[table & ((y < 97) | (y > 109) | (np.abs(x) > 143))] = 100
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = np.array([100, 50, -300]) - np.diag(affine)[:3] * (np.array(shape[::-1]) - 1) / 2
    return Volume(hu, affine), lungs


def test_lungs_with_their_nodule_and_nothing_else():
    volume, truth = chest()
    mask = lung_mask(volume)
    assert (mask.unit, mask.shape) == ("mask", volume.shape)
    np.testing.assert_array_equal(mask.affine, volume.affine)
    overlap = 2 * (mask.array.astype(bool) & truth).sum() / (mask.array.sum() + truth.sum())
    assert overlap > 0.95
    field = lung_field(volume)
    assert field.found
    np.testing.assert_allclose(field.center_mm, [100, 40, -300], atol=4)
    np.testing.assert_allclose(field.size_mm, [160, 120, 204], atol=13)  # cut by the scan's ends in z
    np.testing.assert_allclose(lung_field(volume, 10).size_mm, field.size_mm + 20)


def test_orientation_does_not_matter():
    volume, _ = chest()
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (volume.shape[2] - 1)
    affine[:3, 0] *= -1
    flipped = Volume(np.ascontiguousarray(volume.array[:, :, ::-1]), affine)
    np.testing.assert_array_equal(lung_mask(flipped).array[:, :, ::-1], lung_mask(volume).array)


@pytest.mark.parametrize("hu", [-1000, 40, -985], ids=["air", "tissue", "gas"])
def test_no_lung_gives_the_scan_centre(hu):
    volume, _ = chest(lung_hu=hu)
    if hu != -985:
        volume = Volume(np.full(volume.shape, hu, np.int16), volume.affine)
    field = lung_field(volume, 10)
    assert not field.found
    np.testing.assert_allclose(field.center_mm, [100, 50, -300])
    np.testing.assert_allclose(field.size_mm, np.array(volume.shape) * volume.spacing)
    assert not lung_mask(volume).array.any()


def test_real_lungs(shared_data):
    volume = read(shared_data / "volumes" / "lung1_image.nrrd")
    mask = lung_mask(volume)
    assert 2500 < mask.volume_ml() < 3300
    inside = volume.array[mask.array > 0]
    assert -880 < np.median(inside) < -780
    columns = np.flatnonzero(mask.array.any(axis=(0, 1)))
    assert columns[0] < 200 < 312 < columns[-1]  # both sides


def test_a_table_is_no_lung(shared_data):
    volume = read(shared_data / "pet_ct" / "AMC-001_ct.zip")
    field = lung_field(volume)
    assert field.found
    assert field.size_mm[2] < 300  # mm across: the table is 396
