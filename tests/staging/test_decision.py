"""The decision: what it names, how it is learned, and which costs it refuses."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from mmfusion.errors import DataError
from mmfusion.staging.decision import Decision, check_decision, cost_matrix, make_decision

CLASSES = ["I", "II", "III"]


def rows(n, seed=0, shares=(0.6, 0.1, 0.3), width=1.0):
    """Calibrated probabilities and labels that follow them; class II is seldom the most probable one."""
    rng = np.random.default_rng(seed)
    logits = np.log(shares) + width * rng.normal(size=(n, 3))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return proba, (rng.random((n, 1)) > proba.cumsum(axis=1)[:, :2]).sum(axis=1)


def macro_f1(codes, named):
    return f1_score(codes, named, average="macro", labels=range(3), zero_division=0)


@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize(("shares", "width"), [((0.6, 0.1, 0.3), 1.0), ((0.62, 0.22, 0.16), 0.5)])
def test_weights_of_few_rows_are_nearly_as_good_as_those_of_many(n, shares, width):
    proba, codes = rows(10_000, 100, shares, width)
    plain = macro_f1(codes, proba.argmax(axis=1))
    many = make_decision("macro_f1", *rows(10_000, 99, shares, width), CLASSES)
    possible = macro_f1(codes, many.codes(proba)) - plain
    gains = []
    for seed in range(8):
        rule = make_decision("macro_f1", *rows(n, seed, shares, width), CLASSES)
        gains.append(macro_f1(codes, rule.codes(proba)) - plain)
    assert possible > 0.02 and np.mean(gains) > 0.75 * possible and min(gains) > 0


def test_rows_without_held_out_probabilities_are_left_out():
    proba, codes = rows(200)
    gap = np.vstack([proba, np.full((50, 3), np.nan)])
    more = np.r_[codes, np.random.default_rng(1).choice(codes, 50)]
    rule = make_decision("macro_f1", gap, more, CLASSES)
    assert np.isfinite(rule.gains).all() and set(rule.codes(proba)) == {0, 1, 2}


def test_without_held_out_rows_rare_classes_count_more():
    codes = np.repeat([0, 1, 2], [64, 16, 4])
    rule = make_decision("macro_f1", np.full((84, 3), np.nan), codes, CLASSES)
    weights = np.diag(rule.gains)
    np.testing.assert_allclose(weights / weights[0], [1, 2, 4])  # inverse roots of the shares


def test_a_perfect_model_is_not_spoilt():
    codes = np.repeat([0, 1, 2], [50, 10, 20])
    proba = 0.02 + 0.94 * np.eye(3)[codes]
    assert (make_decision("macro_f1", proba, codes, CLASSES).codes(proba) == codes).all()


def test_argmax_and_cost():
    proba = np.array([[0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])
    assert make_decision("argmax", proba, np.array([0, 2]), CLASSES).codes(proba).tolist() == [0, 2]
    costs = np.array([[0, 1, 1], [9, 0, 1], [9, 1, 0]])  # it is bad to miss II and III
    rule = make_decision("cost", proba, np.array([0, 2]), CLASSES, costs)
    expected = (proba @ costs).argmin(axis=1)
    assert rule.codes(proba).tolist() == expected.tolist() == [1, 2]
    equal = make_decision("cost", proba, np.array([0, 2]), CLASSES, 1 - np.eye(3))
    assert equal.codes(proba).tolist() == proba.argmax(axis=1).tolist()


def test_a_table_of_costs_may_have_any_order():
    table = pd.DataFrame([[0, 2, 1], [5, 0, 4], [3, 6, 0]], index=CLASSES, columns=CLASSES)
    shuffled = table.loc[["III", "I", "II"], ["II", "III", "I"]]
    for given in (table, shuffled, shuffled.to_dict(orient="index"), table.to_numpy().tolist()):
        np.testing.assert_array_equal(cost_matrix(given, CLASSES), table)
    whole = pd.DataFrame([[0, 1], [1, 0]], index=[0, 1], columns=[0, 1])
    np.testing.assert_array_equal(cost_matrix(whole, ["0", "1"]), 1 - np.eye(2))


@pytest.mark.parametrize(
    ("costs", "says"),
    [
        (np.zeros((2, 2)), "wrong shape.*3 x 3"),
        ([[0, 1], [1]], "not a number"),
        ([[0, 1, "x"], [1, 0, 1], [1, 1, 0]], "not a number"),
        ([[0, 1, np.nan], [1, 0, 1], [1, 1, 0]], "out of range"),
        ([[0, 1, -1], [1, 0, 1], [1, 1, 0]], "out of range"),
        ([[0, 1, np.inf], [1, 0, 1], [1, 1, 0]], "out of range"),
        ([[2, 1, 2], [1, 0, 1], [1, 1, 0]], "true class costs more.*got I"),
        (pd.DataFrame(1 - np.eye(3), CLASSES, ["I", "II", "IV"]), "columns of the costs"),
        (pd.DataFrame(1 - np.eye(3), ["I", "I", "II"], CLASSES), "rows of the costs"),
        ({"I": {"I": 0, "II": 1}}, "rows of the costs"),
        ("high", "not a number"),
    ],
)
def test_costs_that_do_not_fit(costs, says):
    with pytest.raises(DataError, match=says):
        cost_matrix(costs, CLASSES)


@pytest.mark.parametrize(
    ("rule", "costs", "says"),
    [
        ("f1", None, "argmax, macro_f1, cost"),
        (None, None, "argmax, macro_f1, cost"),
        (["argmax"], None, "argmax, macro_f1, cost"),
        ("cost", None, "no costs"),
        ("argmax", np.eye(3), "costs are not used"),
    ],
)
def test_unknown_rules(rule, costs, says):
    with pytest.raises(DataError, match=says):
        check_decision(rule, costs)


def test_it_says_what_it_does():
    said = Decision("macro_f1", np.diag([0.5, 2.0])).describe(["I", "II"])
    assert "I 0.50, II 2.00" in said and "macro-F1" in said
