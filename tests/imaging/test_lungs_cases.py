"""The classical lung mask against drawn lungs of real scans, and on chests that are not as usual."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, lung_field, lung_mask, read, read_mask
from tests.imaging.test_lungs import chest


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def found(volume):
    return lung_mask(volume).array > 0


def has_holes(mask):
    return any((ndimage.binary_fill_holes(plane) & ~plane).any() for plane in mask)


# --- real scans
# -----------------------------------------------------------------------------------------------------


# `without`: Dice where neither mask counts inside the drawn tumour; `inside`: share of the tumour that is in
# the drawn lungs and in ours: the tumour is nearly all outside of both
@pytest.mark.parametrize(
    ("patient", "names", "least", "without", "inside"),
    [
        pytest.param(
            "LUNG1-001",
            ("ct_native", "lungs_native", "gtv1_native"),
            0.965,
            0.965,
            (0.109, 0.093),
            marks=pytest.mark.slow,
        ),
        ("LUNG1-002", ("ct_2mm_thorax", "lungs_2mm", "gtv1_2mm"), 0.925, 0.925, (0.161, 0.127)),
    ],
)
def test_lungs_as_clinicians_drew_them(shared_data, patient, names, least, without, inside):
    scan, drawn, tumour = (shared_data / "lesions" / patient / f"{name}.nii.gz" for name in names)
    volume = read(scan)
    drawn, tumour = (read_mask(path, volume).array > 0 for path in (drawn, tumour))
    ours = found(volume)
    assert not has_holes(ours)  # the drawn lungs have some
    assert dice(ours, drawn) > least
    assert dice(ours & ~tumour, drawn & ~tumour) > without
    assert [m[tumour].mean() for m in (drawn, ours)] == pytest.approx(inside, abs=0.01)
    if patient == "LUNG1-002":  # the left lung is not drawn in these slices
        whole = np.setdiff1d(np.arange(len(ours)), [38, 39, 40, 50, 51, 59, 60, 61])
        assert dice(ours[whole], drawn[whole]) > 0.95


def test_no_mask_of_a_crop_without_a_whole_lung(shared_data):
    """A box 5 cm round a tumour: a mask with lung in it, or an error, but never an empty mask."""
    volume = read(shared_data / "lesions" / "LUNG1-002" / "ct_crop_native.nii.gz")
    try:
        mask = lung_mask(volume)
    except ScanError as error:
        assert "no lung found" in str(error)
    else:
        assert mask.array.any() and np.median(volume.array[mask.array > 0]) < -500


# --- synthetic scans
# ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def usual():
    volume, truth = chest((40, 96, 128), (4.0, 2.5, 2.5))
    return volume, truth, found(volume)


@pytest.mark.parametrize("cut", [30, 40])
def test_a_lung_that_the_side_of_the_scan_cuts(usual, cut):
    """The scan ends within the lung, or the chest wall beside the lung is missing."""
    volume, truth, whole = usual
    for columns in (slice(cut, None), slice(None, -cut)):
        part = Volume(np.ascontiguousarray(volume.array[:, :, columns]), volume.affine)
        assert dice(found(part), truth[:, :, columns]) > 0.94
        assert dice(found(part), whole[:, :, columns]) > 0.97


def test_lungs_that_the_ends_of_the_scan_cut(usual):
    volume, truth, _ = usual
    part = replace(volume, array=volume.array[12:-12])
    assert dice(found(part), truth[12:-12]) > 0.95


def test_one_lung_collapsed(usual):
    volume, truth, _ = usual
    x = np.arange(volume.shape[2])
    left = truth & (x > volume.shape[2] // 2)
    hu = np.where(left, np.int16(20), volume.array)
    assert dice(found(replace(volume, array=hu)), truth & ~left) > 0.94
    rest = left.copy()
    rest[:33] = False  # a small rest of air at the top: it lies too far from the other lung
    hu[rest] = -850
    assert dice(found(replace(volume, array=hu)), truth & ~left) > 0.93


def test_a_part_that_a_tumour_separates_from_its_lung(usual):
    volume, truth, _ = usual
    z, _, x = np.indices(volume.shape)
    band = truth & (x > volume.shape[2] // 2) & (z >= 26) & (z < 28)  # 8 mm of tumour across the lung
    mask = found(replace(volume, array=np.where(band, np.int16(30), volume.array)))
    above = truth & (x > volume.shape[2] // 2) & (z >= 29)
    assert mask[above].mean() > 0.9 and dice(mask, truth & ~band) > 0.92


def test_gas_in_the_bowel_near_the_lung_is_no_part_of_it(usual):
    volume, truth, whole = usual
    z, y, x = np.indices(volume.shape)
    gas = ((x - 64) ** 2 + (y - 68) ** 2 < 10**2) & (z < 5) & ~ndimage.binary_dilation(truth, iterations=2)
    assert gas.sum() * 0.025 > 5  # mL: large enough for a part
    mask = found(replace(volume, array=np.where(gas, np.int16(-700), volume.array)))
    assert not (mask & gas).any() and dice(mask, whole) > 0.98


def test_prone(usual):
    """The patient lies face down: the table is in front of the chest, and the axes of the file are turned."""
    volume, truth, _ = usual
    turned = np.ascontiguousarray(volume.array[:, ::-1, ::-1])
    assert dice(found(replace(volume, array=turned)), truth[:, ::-1, ::-1]) > 0.95
    affine = volume.affine.copy()
    affine[:3, 3] = volume.voxel_to_mm([volume.shape[2] - 1, volume.shape[1] - 1, 0])
    affine[:3, :2] *= -1  # rows and columns run to the right and to the front, as in a prone DICOM series
    np.testing.assert_array_equal(found(Volume(turned, affine))[:, ::-1, ::-1], found(volume))


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1)], ids=["axial", "coronal", "sagittal"])
def test_no_holes_in_axial_slices_however_they_are_stored(usual, axes):
    volume, truth, _ = usual
    order = [2 - a for a in axes[::-1]]  # of x, y, z
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, order]
    hu = volume.array.copy()
    hu[:, 42:48, 35:40] = 60  # a vessel through the whole lung
    stored = Volume(np.ascontiguousarray(hu.transpose(axes)), affine)
    mask = found(stored).transpose(np.argsort(axes))
    assert not has_holes(mask) and dice(mask, truth) > 0.94


@pytest.mark.parametrize("value", [-2000, -1000, -850, 0, 3000])
def test_a_constant_volume_has_no_lungs(value):
    volume = Volume(np.full((12, 40, 40), value, np.int16), np.diag([5.0, 5, 5, 1]))
    with pytest.raises(ScanError, match="no lung found"):
        lung_mask(volume)
    assert not lung_field(volume).found


def test_no_lungs_in_the_field_of_view(usual):
    """The abdomen below the lungs, with gas in the bowel."""
    volume, truth, _ = usual
    part = replace(volume, array=np.where(truth, np.int16(40), volume.array)[:14])
    with pytest.raises(ScanError, match=r"no lung found.*100 mL"):
        lung_mask(part)
    assert not lung_mask(part, required=False).array.any()
