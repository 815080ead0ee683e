"""Dice of slices: the mean, and by position in the lesion."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics.segmentation import mask_scores
from mmfusion.metrics.slices import (
    POSITIONS,
    dice_by_position,
    positions_of_scores,
    slice_mean_dice,
    slice_scores,
    slice_table,
)
from tests.metrics.test_segmentation import ball


def test_positions_are_the_same_from_both_ends():
    true = np.zeros((12, 3, 3))
    true[2:10] = 1
    table = slice_table(true, true)
    half = ["end", "1 from the end", "2 from the end", "central"]
    assert table["position"].tolist() == half + half[::-1] and table.index.tolist() == list(range(2, 10))
    assert list(table["position"].cat.categories) == list(POSITIONS)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_thin_lesions_have_no_central_slice(n):
    true = np.zeros((6, 3, 3))
    true[1 : 1 + n] = 1
    expected = {1: ["end"], 2: ["end"] * 2, 3: ["end", "1 from the end", "end"]}
    found = slice_table(true, true)["position"].tolist()
    assert found == expected.get(n, ["end", "1 from the end", "1 from the end", "end"])


def test_the_slices_of_a_volume_add_up_to_its_dice():
    true, predicted = ball((24, 24, 20), 10.0), ball((26, 24, 23), 9.0)
    table = slice_table(true, predicted)
    weight = table["true_voxels"] + table["predicted_voxels"]
    whole = mask_scores(true, predicted, (1, 1, 1), distances=False)
    assert np.average(table["dice"], weights=weight) == pytest.approx(whole["dice"])
    assert table["dice"].mean() == pytest.approx(slice_mean_dice(true, predicted)) == whole["dice_slices"]
    assert table["dice"].mean() != pytest.approx(whole["dice"], abs=0.01)


def test_a_shift_along_the_axis_hurts_the_ends():
    """A cylinder of 20 slices, predicted 2 slices too high: the lowest two are missed, two are outside."""
    true = np.zeros((30, 4, 4))
    true[5:25] = 1
    predicted = np.roll(true, 2, axis=0)
    table = dice_by_position(slice_table(true, predicted).assign(patient_id="a")).set_index("position")
    assert table["dice"].to_dict() == {
        "end": 0.5,
        "1 from the end": 0.5,
        "2 from the end": 1.0,
        "central": 1.0,
        "outside": 0.0,
    }
    assert table["slices"].to_dict()["outside"] == 2
    assert slice_mean_dice(true, predicted) == pytest.approx(18 / 22)


def test_patients_count_equally_and_models_are_apart():
    long, short = np.ones((20, 2, 2)), np.ones((8, 2, 2))
    none = np.zeros_like(short)
    rows = [
        slice_table(long, long).assign(patient_id="a", model="x"),
        slice_table(short, none).assign(patient_id="b", model="x"),
        slice_table(short, short).assign(patient_id="b", model="y"),
    ]
    table = dice_by_position(pd.concat(rows), by=["model"]).set_index(["model", "position"])
    assert table.loc[("x", "central"), ["dice", "slices", "patients"]].tolist() == [0.5, 16, 2]
    assert table.loc[("y", "end"), "dice"] == 1 and ("y", "outside") not in table.index


def test_empty_masks():
    empty, full = np.zeros((3, 2, 2)), np.ones((3, 2, 2))
    assert slice_mean_dice(empty, empty) == 1 and slice_table(empty, empty).empty
    assert slice_mean_dice(full, empty) == slice_mean_dice(empty, full) == 0
    assert set(slice_table(empty, full)["position"]) == {"outside"}
    assert dice_by_position(slice_table(empty, empty).assign(patient_id="a")).empty


def test_one_slice_is_its_own_mean():
    a, b = np.eye(6), np.tri(6)
    assert slice_mean_dice(a, b) == mask_scores(a, b, (1, 1), distances=False)["dice"]
    with pytest.raises(DataError, match="differ in shape"):
        slice_mean_dice(a, b[:4])


def test_scores_of_patients_agree_with_those_of_slices():
    """From the scores of patients, the same table by position follows as from all slices."""
    rng = np.random.default_rng(0)
    slices, scores = [], []
    for patient, n in (("a", 12), ("b", 5), ("c", 2)):
        true, predicted = np.zeros((20, 6, 6)), np.zeros((20, 6, 6))
        true[3 : 3 + n, 1:5, 1:5] = 1
        predicted[4 : 4 + n] = true[3 : 3 + n] * (rng.random((n, 6, 6)) < 0.8)
        keys = {"patient_id": patient, "model": "x"}
        slices.append(slice_table(true, predicted).assign(**keys))
        scores.append(keys | slice_scores(true, predicted))
    known = dice_by_position(pd.concat(slices), by=["model"])
    found = positions_of_scores(pd.DataFrame(scores))
    pd.testing.assert_frame_equal(found, known, check_dtype=False, check_categorical=False)


def test_a_position_that_a_lesion_lacks_is_not_known():
    one = np.zeros((4, 3, 3))
    one[1:3] = 1
    found = slice_scores(one, one)
    assert found["dice_end"] == 1 and np.isnan(found["dice_central"]) and found["lesion_slices"] == 2
    none = slice_scores(np.zeros((4, 3, 3)), one)
    assert none["lesion_slices"] == 0 and none["slices_outside"] == 2 and none["dice_slices"] == 0
    assert slice_scores(one[1], one[1])["dice_end"] == 1  # a slice alone is an end
