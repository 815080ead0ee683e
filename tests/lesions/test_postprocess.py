"""Cleaning of masks."""

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.imaging.boxes import lesion_boxes
from mmfusion.lesions import clean_mask
from mmfusion.lesions.postprocess import nearest_region


def test_every_region_above_14_mm3_is_kept():
    mask = np.zeros((12, 12, 12), np.uint8)
    mask[0:2, 0:2, 0:2] = 1  # 8 voxels of 2 mm3: 16 mm3
    mask[6, 6, 3:9] = 1  # 6 voxels: 12 mm3
    mask[9, 1:9, 10] = 1  # 8 voxels
    out = clean_mask(mask, (2.0, 1.0, 1.0))
    assert len(lesion_boxes(out)) == 2 and out[6].sum() == 0 and out.sum() == 16
    assert len(lesion_boxes(clean_mask(mask, (2.0, 1.0, 1.0), min_mm3=0))) == 3
    assert mask.sum() == 22  # the input is as it was


def test_voxels_that_share_a_corner_are_one_region():
    mask = np.zeros((4, 4, 4), np.uint8)
    for k in range(4):
        mask[k, k, k] = 1
    assert clean_mask(mask, (2.0, 2.0, 2.0)).sum() == 4 and not clean_mask(mask, (1.0, 1.0, 1.0)).any()


def test_holes_are_filled_and_bays_are_not():
    shell = np.zeros((9, 9, 9), np.uint8)
    shell[1:8, 1:8, 1:8] = 1
    shell[3:6, 3:6, 3:6] = 0
    assert clean_mask(shell, (1, 1, 1)).sum() == 7**3
    assert clean_mask(shell, (1, 1, 1), fill_holes=False).sum() == shell.sum()
    bay = shell.copy()
    bay[4, 4, 0:4] = 0  # a tunnel to the outside
    np.testing.assert_array_equal(clean_mask(bay, (1, 1, 1)), bay)


def test_a_lesion_within_the_hole_of_another_and_at_the_edge():
    mask = np.ones((7, 7, 7), np.uint8)
    mask[1:6, 1:6, 1:6] = 0
    mask[3, 3, 3] = 1
    assert clean_mask(mask, (3, 3, 3)).all()


@pytest.mark.parametrize("mask", [np.zeros((3, 3, 3), np.uint8), np.ones((1, 5, 5), bool)])
def test_empty_and_one_slice(mask):
    np.testing.assert_array_equal(clean_mask(mask, (1, 1, 1)), mask)


def test_two_dimensions_are_refused():
    with pytest.raises(DataError, match="three dimensions"):
        clean_mask(np.zeros((3, 3)), (1, 1))


def test_the_region_at_a_point():
    mask = np.zeros((5, 5, 20), np.uint8)
    mask[2, 2, 2:4], mask[2, 2, 10:14] = 1, 1
    assert nearest_region(mask, (2, 2, 12), (1, 1, 1), 1).sum() == 4
    assert nearest_region(mask, (2, 2, 5), (1, 1, 1), 3).sum() == 2
    assert not nearest_region(mask, (2, 2, 5), (1, 1, 3), 3).any()  # 6 mm away
