import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.imaging.boxes import box_map, jitter_box, lesion_boxes, training_cue
from mmfusion.imaging.sampling import filled_box

SHAPE = (20, 60, 60)


def two_lesions() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:8, 10:30, 20:40] = 1
    mask[12:13, 50:60, 0:5] = 1
    return mask


def test_a_box_holds_its_lesion_and_nothing_beside_it():
    mask = two_lesions()
    boxes = lesion_boxes(mask)
    assert boxes == [
        (slice(4, 8), slice(10, 30), slice(20, 40)),
        (slice(12, 13), slice(50, 60), slice(0, 5)),
    ]
    np.testing.assert_array_equal(box_map(boxes, SHAPE), mask)  # these lesions are boxes
    assert box_map([filled_box(mask)], SHAPE).sum() == 9 * 50 * 40


def test_voxels_that_touch_by_a_corner_are_one_lesion():
    mask = np.zeros((3, 3, 3))
    mask[0, 0, 0] = mask[1, 1, 1] = 2
    assert lesion_boxes(mask) == [(slice(0, 2),) * 3]


def test_no_lesion():
    assert lesion_boxes(np.zeros(SHAPE)) == [] and not box_map([], SHAPE).any()
    with pytest.raises(DataError, match=r"expected axes \(z, y, x\)"):
        lesion_boxes(np.zeros((4, 4)))


def test_sizes_and_shifts_stay_in_their_range():
    rng, box = np.random.default_rng(0), (slice(60, 160),) * 3
    found = [jitter_box(box, (300, 300, 300), rng) for _ in range(300)]
    sides = np.array([[one.stop - one.start for one in each] for each in found])
    middles = np.array([[(one.start + one.stop) / 2 for one in each] for each in found])
    assert 89 <= sides.min() <= 93 and 107 <= sides.max() <= 111
    assert 104 <= middles.min() <= 106.5 and 113.5 <= middles.max() <= 116
    assert abs(sides.mean() - 100) < 1 and abs(middles.mean() - 110) < 0.5  # no bias
    assert np.abs(np.corrcoef(sides.T) - np.eye(3)).max() < 0.2  # each axis by itself


def test_moved_boxes_stay_inside_the_scan():
    rng = np.random.default_rng(1)
    edges = [(slice(0, 1),) * 3, (slice(19, 20), slice(0, 60), slice(58, 60))]
    for box in edges * 100:
        moved = jitter_box(box, SHAPE, rng, size=0.9, shift=3.0)
        assert all(0 <= one.start < one.stop <= n for one, n in zip(moved, SHAPE))


def test_the_same_seed_gives_the_same_box():
    one, two = (training_cue(two_lesions(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_cues_for_training():
    mask, rng = two_lesions(), np.random.default_rng(0)
    cues = [training_cue(mask, rng) for _ in range(400)]
    everywhere = [cue.all() for cue in cues]
    assert 0.14 < np.mean(everywhere) < 0.26
    box = box_map([filled_box(mask)], SHAPE).astype(bool)
    for cue in cues:
        assert cue.dtype == np.float32 and set(np.unique(cue)) <= {0, 1}
        if not cue.all():
            overlap = (box & (cue > 0)).sum() / (box | (cue > 0)).sum()
            assert overlap > 0.55
    np.testing.assert_array_equal(mask, two_lesions())
    assert not training_cue(np.zeros(SHAPE), rng, drop=0.0).any()
