"""Detection of lesions, with balls and boxes whose volumes are known."""

import numpy as np
import pytest
from scipy import ndimage

from mmfusion.errors import DataError
from mmfusion.imaging import Volume
from mmfusion.metrics.detection import box_of, detection_scores, lesion_table
from mmfusion.metrics.segmentation import mask_scores
from mmfusion.metrics.slices import slice_scores, slice_table
from tests.metrics.test_segmentation import ball

BALL_ML = 4 / 3 * np.pi / 1000  # times the cube of the radius in mm


def balls(*parts, spacing=(1.0, 1.0, 1.0)):
    return sum(ball(center, radius, spacing) for center, radius in parts) > 0


A, B, C = ((12, 12, 12), 6.0), ((34, 34, 34), 8.0), ((12, 36, 12), 5.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 0.75, 0.75)])
def test_one_found_one_missed_one_false(spacing):
    true, predicted = (
        balls(A, B, spacing=spacing),
        balls(((12, 12, 16), 6.0), C, spacing=spacing),
    )
    found = detection_scores(true, predicted, spacing)
    assert [found[name] for name in ("lesions", "lesions_found", "false_lesions")] == [2, 1, 1]
    assert found["fn_ml"] == pytest.approx(BALL_ML * 8**3, rel=0.03)  # B, whole
    assert found["fp_ml"] == pytest.approx(BALL_ML * 5**3, rel=0.03)  # C, whole; the rest of A' is not false


def test_one_common_voxel_is_enough():
    true, predicted = np.zeros((9, 9, 9)), np.zeros((9, 9, 9))
    true[:3, :3, :3], predicted[2:6, 2:6, 2:6] = 1, 1
    found = detection_scores(true, predicted, (1, 1, 1))
    assert (found["lesions_found"], found["false_lesions"], found["fn_ml"], found["fp_ml"]) == (1, 0, 0, 0)
    predicted[2, 2, 2] = 0  # now they touch only
    found = detection_scores(true, predicted, (1, 1, 1))
    assert (found["lesions_found"], found["fn_ml"], found["fp_ml"]) == (0, 0.027, 0.063)


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    true = np.zeros((4, 4, 4))
    true[1, 1, 1] = true[2, 2, 2] = 1
    assert detection_scores(true, np.zeros_like(true), (1, 1, 1))["lesions"] == 1
    true[2, 2, 2], true[3, 3, 3] = 0, 1
    assert detection_scores(true, np.zeros_like(true), (1, 1, 1))["lesions"] == 2


def test_one_prediction_may_find_two_lesions():
    true, predicted = np.zeros((1, 5, 9)), np.ones((1, 5, 9))
    true[0, 2, 1] = true[0, 2, 7] = 1
    found = detection_scores(true, predicted, (1, 1, 1))
    assert (found["lesions"], found["lesions_found"], found["false_lesions"]) == (2, 2, 0)


def test_true_and_predicted_change_places():
    """Missed lesions of one direction are the false components of the other."""
    rng = np.random.default_rng(0)
    a, b = (ndimage.gaussian_filter(rng.normal(size=(20, 20, 20)), 1.5) > 0.12 for _ in range(2))
    one, other = detection_scores(a, b, (2, 1, 1)), detection_scores(b, a, (2, 1, 1))
    assert one["fn_ml"] == other["fp_ml"] > 0 and one["fp_ml"] == other["fn_ml"] > 0
    assert one["false_lesions"] == other["lesions"] - other["lesions_found"]
    shifted = detection_scores(np.roll(np.pad(a, 3), 2, 1), np.roll(np.pad(b, 3), 2, 1), (2, 1, 1))
    assert shifted == pytest.approx(one)  # where the lesions lie in the scan does not matter


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [(0, 0, (0, 0, 0, 0, 0)), (1, 0, (1, 0, 0, 0.064, 0)), (0, 1, (0, 0, 1, 0, 0.064))],
)
def test_empty_masks(true, predicted, expected):
    shape = (4, 4, 4)
    found = detection_scores(np.full(shape, true), np.full(shape, predicted), (1, 1, 1))
    assert tuple(found.values()) == pytest.approx(expected)


def test_lesions_of_a_scan():
    true = balls(A, B, spacing=(0.5, 0.5, 0.5))
    predicted = balls((B[0], 4.0), spacing=(0.5, 0.5, 0.5))  # a small ball within B
    table = lesion_table(true, predicted, (0.5, 0.5, 0.5))
    np.testing.assert_allclose(table["diameter_mm"], [16, 12], rtol=0.01)
    np.testing.assert_allclose(table["overlap"], [1 / 8, 0], atol=0.005)
    assert table["found"].tolist() == [True, False]
    empty = lesion_table(np.zeros((2, 2, 2)), np.ones((2, 2, 2)), (1, 1, 1))
    assert empty.empty and list(empty) == ["volume_ml", "diameter_mm", "overlap", "found"]


def test_boxes():
    mask = np.zeros((5, 6, 7), dtype=bool)
    assert mask[box_of(mask)].size == 0
    mask[1, 2, 3] = mask[4, 2, 5] = True
    assert box_of(mask) == (slice(1, 5), slice(2, 3), slice(3, 6))


def test_masks_on_other_grids():
    with pytest.raises(DataError, match="differ in shape"):
        detection_scores(np.zeros((2, 2)), np.zeros((3, 2)), (1, 1))
    with pytest.raises(DataError, match="spacing per axis"):
        lesion_table(np.zeros((2, 2)), np.zeros((2, 2)), (1, 1, 1))


@pytest.mark.parametrize("spacing", [1.0, None, "ab", (1, 0), (1, -1), (1, np.nan), ("a", 1), [[1, 1]]])
@pytest.mark.parametrize("score", [mask_scores, detection_scores, lesion_table])
def test_spacings_that_are_no_lengths(score, spacing):
    """Volumes and distances would be negative, 0 or NaN."""
    with pytest.raises(DataError, match="a spacing per axis is needed"):
        score(np.ones((3, 3)), np.ones((3, 3)), spacing)


@pytest.mark.parametrize("mask", [np.full((3, 3), np.nan), None, "mask", [[1], [1, 2]], np.full((3, 3), "a")])
@pytest.mark.parametrize("score", [mask_scores, detection_scores, lesion_table])
def test_what_is_no_mask(score, mask):
    """NaN would count as lesion."""
    with pytest.raises(DataError, match=r"not a mask|not numbers"):
        score(mask, np.ones((3, 3)), (1, 1))


def test_a_volume_is_no_array():
    volume = Volume(np.ones((2, 2, 2), np.uint8), np.eye(4), unit="mask")
    for score in (lambda a, b: mask_scores(a, b, (1, 1, 1)), slice_scores, slice_table):
        with pytest.raises(DataError, match="of a Volume: its array"):
            score(volume, volume)
