"""Choice of the threshold."""

import numpy as np

from mmfusion.lesions.thresholds import THRESHOLDS, best_threshold, dice_by_threshold


def test_dice_at_every_threshold():
    rng = np.random.default_rng(0)
    probability, true = rng.uniform(0, 1, 1000), rng.uniform(0, 1, 1000) < 0.3
    for threshold, value in zip(THRESHOLDS, dice_by_threshold(probability, true), strict=True):
        mask = probability > threshold
        np.testing.assert_allclose(value, 2 * (mask & true).sum() / (mask.sum() + true.sum()))


def test_a_value_at_the_threshold_is_outside():
    found = dice_by_threshold(np.array([0.5, 0.9]), np.array([0, 1]))
    assert found[THRESHOLDS.index(0.5)] == 1 and found[THRESHOLDS.index(0.45)] < 1


def test_patients_count_alike_and_empty_masks_count():
    large = (np.repeat([0.3, 0.1], [500, 500]), np.repeat([1, 0], [500, 500]))
    small = (np.array([0.4, 0.2, 0.2, 0.2]), np.array([1, 0, 0, 0]))
    assert best_threshold([large, small]) == 0.25
    nothing = (np.full(50, 0.6), np.zeros(50))
    assert best_threshold([nothing]) == 0.6 or best_threshold([nothing]) == 0.65
    assert best_threshold([]) == 0.5
