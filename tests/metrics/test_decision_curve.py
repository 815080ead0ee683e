"""Net benefit, by hand and by its definition."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics import decision_curve, ordinal_cuts
from tests.metrics.predictions import CLASSES, predictions


def test_by_its_definition():
    """Vickers and Elkin 2006: TP / n - FP / n * t / (1 - t)."""
    table = predictions("m", n=150, seed=3)
    curve = decision_curve(table, CLASSES, "m", ["II", "III"], thresholds=[0.1, 0.35, 0.6], n_boot=20)
    late, p = table["y_true"].isin(["II", "III"]).to_numpy(), (table["p_II"] + table["p_III"]).to_numpy()
    for row in curve.itertuples():
        odds, treated = row.threshold / (1 - row.threshold), p >= row.threshold
        expected = (treated & late).mean() - (treated & ~late).mean() * odds
        assert row.net_benefit == pytest.approx(expected)
        assert row.treat_all == pytest.approx(late.mean() - (1 - late.mean()) * odds)
        assert row.treated == treated.mean() and row.lo <= row.net_benefit <= row.hi


def test_a_certain_model_has_the_prevalence_and_the_majority_treats_all_or_none():
    y = ["I"] * 6 + ["II"] * 4
    table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": range(10), "y_true": y})
    sure = table.assign(model="sure", p_I=[1.0] * 6 + [0.0] * 4, p_II=[0.0] * 6 + [1.0] * 4)
    same = table.assign(model="same", p_I=0.6, p_II=0.4)
    both = pd.concat([sure, same])
    perfect = decision_curve(both, ["I", "II"], "sure", ["II"], n_boot=5)
    np.testing.assert_allclose(perfect["net_benefit"], 0.4)
    constant = decision_curve(both, ["I", "II"], "same", ["II"], thresholds=[0.39, 0.4, 0.41], n_boot=5)
    np.testing.assert_allclose(constant["net_benefit"][:2], constant["treat_all"][:2])  # 0.4 is reached
    assert constant["net_benefit"][2] == 0


def test_cuts_of_ordered_classes():
    assert ordinal_cuts(["I-II", "III-IV"]) == {"III-IV": ("III-IV",)}
    assert list(ordinal_cuts(CLASSES)) == ["II or later", "III"]


@pytest.mark.parametrize("positive", [[], ["I", "II", "III"], ["IV"]])
def test_unusable_positive_classes(positive):
    with pytest.raises(DataError, match="some of I, II, III, not all"):
        decision_curve(predictions("m"), CLASSES, "m", positive)


@pytest.mark.parametrize("thresholds", [[], [0.0], [0.5, 1.0], [np.nan]])
def test_unusable_thresholds(thresholds):
    with pytest.raises(DataError, match="unusable thresholds"):
        decision_curve(predictions("m"), CLASSES, "m", ["III"], thresholds=thresholds)


def test_one_sided_patients_are_refused():
    table = predictions("m")
    early = table[table["y_true"] == "I"]
    with pytest.raises(DataError, match=r"net benefit cannot be estimated .*got 0 of \d+ patients are III"):
        decision_curve(early, CLASSES, "m", ["III"])


@pytest.mark.parametrize("thresholds", [0.5, "0.5", ["a"]])
def test_thresholds_that_are_no_list_of_numbers(thresholds):
    with pytest.raises(DataError, match=r"parameter thresholds: not (several )?numbers"):
        decision_curve(predictions("m"), CLASSES, "m", ["III"], thresholds=thresholds)


def test_a_number_of_resamples_below_zero():
    with pytest.raises(DataError, match="parameter n_boot: out of range"):
        decision_curve(predictions("m"), CLASSES, "m", ["III"], n_boot=-1)


def test_a_class_that_is_no_list_is_refused():
    with pytest.raises(DataError, match=r"parameter positive: not a list of classes \(expected \['III'\]"):
        decision_curve(predictions("m"), CLASSES, "m", "III")
