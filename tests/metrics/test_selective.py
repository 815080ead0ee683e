"""Selective prediction: its definition, random and oracle rejection, ties, and bad input."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics import selective_prediction
from tests.metrics.predictions import CLASSES, predictions


def by_definition(table, share):
    """Return error rate and number of the most certain patients."""
    p = table[[f"p_{c}" for c in CLASSES]].to_numpy()
    order = np.argsort(-p.max(axis=1), kind="stable")[: round(share * len(p))]
    decided = np.array(CLASSES)[p.argmax(axis=1)]
    return (decided != table["y_true"].to_numpy())[order].mean()


def test_by_its_definition():
    table = predictions("m", n=200, signal=1.5, seed=4)
    found = selective_prediction(table, CLASSES, "m", coverages=[0.25, 0.5, 1.0], n_boot=50)
    risk = found.table[found.table["metric"] == "risk"].set_index("coverage")
    for share, row in risk.iterrows():
        assert row["value"] == pytest.approx(by_definition(table, share))
        assert row["oracle"] <= row["value"] and row["lo"] <= row["value"] <= row["hi"]
    assert risk["random"].nunique() == 1 and risk.loc[1.0, "value"] == risk.loc[1.0, "random"]
    # Geifman and El-Yaniv: the mean of the risks at all coverages k / n
    expected = np.mean([by_definition(table, k / 200) for k in range(1, 201)])
    assert found.aurc == pytest.approx(expected)
    assert found.aurc_oracle < found.aurc < found.aurc_random and found.by_certainty
    f1 = found.table[found.table["metric"] == "macro_f1"].set_index("coverage")
    assert f1.loc[0.25, "value"] > f1.loc[1.0, "value"]


def test_the_oracle_of_a_known_error_rate():
    """Without errors up to the accuracy a, then risk (c - a) / c (Geifman et al. 2019)."""
    table = predictions("m", n=100, seed=1)
    found = selective_prediction(table, CLASSES, "m", metrics=["risk"], n_boot=5)
    accuracy = 1 - found.aurc_random
    c = found.table["coverage"].to_numpy()
    np.testing.assert_allclose(found.table["oracle"], np.clip(c - accuracy, 0, None) / c, atol=1e-12)


def test_a_constant_model_is_no_better_than_chance_and_the_order_of_rows_is_without_effect():
    table = predictions("m", n=60).assign(p_I=0.5, p_II=0.3, p_III=0.2)
    found = selective_prediction(table, CLASSES, "m", n_boot=20)
    assert found.aurc == pytest.approx(found.aurc_random) and not found.by_certainty
    rows = found.table[found.table["metric"] == "risk"]
    np.testing.assert_allclose(rows["value"], rows["random"])
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(selective_prediction(shuffled, CLASSES, "m", n_boot=20).table, found.table)


def test_the_decided_class_counts():
    table = predictions("m", n=40)
    right = table.assign(y_pred=table["y_true"])
    assert selective_prediction(right, CLASSES, "m", n_boot=5).aurc == 0


def test_coverages_with_too_few_patients_are_left_out():
    found = selective_prediction(predictions("m", n=40), CLASSES, "m", n_boot=5)
    assert found.least == 0.25 and found.n == 40
    with pytest.raises(DataError, match=r"too few patients .*got 9"):
        selective_prediction(predictions("m", n=9), CLASSES, "m")


def test_predictions_of_several_repeats_are_of_the_same_patients():
    table = predictions("m", n=40, signal=1.5)
    once = selective_prediction(table, CLASSES, "m", n_boot=50)
    four = pd.concat([table.assign(repeat=k) for k in range(4)], ignore_index=True)
    found = selective_prediction(four, CLASSES, "m", n_boot=50)
    assert (found.n, found.least) == (once.n, once.least) == (40, 0.25)
    pd.testing.assert_frame_equal(found.table, once.table)
    # the area has four steps in the place of one
    assert (found.aurc, found.lo, found.hi) == pytest.approx((once.aurc, once.lo, once.hi), abs=0.02)
    few = four[four["patient_id"].isin(table["patient_id"].unique()[:9])]
    with pytest.raises(DataError, match=r"too few patients .*got 9"):
        selective_prediction(few, CLASSES, "m")


def test_ten_persons_are_left_though_one_of_them_has_many_rows():
    table = predictions("m", n=40)
    person = np.where(np.arange(40) < 16, "one", table["patient_id"])
    found = selective_prediction(table.assign(person=person), CLASSES, "m", n_boot=5)
    assert found.n == 25 and found.least == 0.65  # 16 rows of one person and 9 of others are 25 of 40


def test_bad_options():
    for coverages in ([], [0.0], [1.2]):
        with pytest.raises(DataError, match="unusable coverages"):
            selective_prediction(predictions("m"), CLASSES, "m", coverages=coverages)
    with pytest.raises(DataError, match="no metric called 'riks'"):
        selective_prediction(predictions("m"), CLASSES, "m", metrics=["riks"], n_boot=5)


def test_values_for_a_report():
    found = selective_prediction(predictions("m"), CLASSES, "m", n_boot=5).to_metrics()
    assert set(found) == {"aurc", "aurc_random", "aurc_oracle", "n", "least", "curve"}
    assert found["curve"][0]["metric"] == "risk" and len(found["aurc"]["ci"]) == 2


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"coverages": ["a"]}, "coverages: not a number"),
        ({"random_state": "a"}, "random_state: out of range"),
    ],
)
def test_arguments_that_are_no_numbers(wrong, named):
    with pytest.raises(DataError, match=named):
        selective_prediction(predictions("m"), CLASSES, "m", n_boot=5, **wrong)
