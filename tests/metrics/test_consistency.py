"""Checks of published numbers: counts, F1, Dice and IoU, the share of positives, priors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score

from mmfusion.errors import DataError
from mmfusion.metrics import consistency, implied


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_the_true_table_is_always_among_the_possible_ones(positives, negatives, data):
    tp, tn = data.draw(st.integers(0, positives)), data.draw(st.integers(0, negatives))
    y = np.repeat([1, 0], [positives, negatives])
    predicted = np.r_[np.arange(positives) < tp, np.arange(negatives) >= tn].astype(int)
    published = {
        "accuracy": round(accuracy_score(y, predicted), 2),
        "f1": round(f1_score(y, predicted, zero_division=0), 2),
        "macro_f1": round(f1_score(y, predicted, average="macro", zero_division=0), 2),
        "sensitivity": round(tp / positives, 2),
    }
    found = consistency.possible_tables(positives, negatives, published)
    assert (tp, tn) in set(zip(found["tp"], found["tn"]))
    assert (found[["tp", "fn"]].sum(axis=1) == positives).all()


@given(st.integers(1, 300), st.data())
def test_a_share_of_patients_is_possible_and_a_changed_one_need_not_be(n, data):
    k = data.draw(st.integers(0, n))
    assert k in consistency.possible_counts(round(k / n, 3), n, 3)


def test_shares_that_are_impossible():
    assert consistency.possible_counts(0.97, 20) == [] and consistency.possible_counts(0.5, 3) == []
    assert consistency.possible_tables(10, 10, {"accuracy": 0.97}).empty


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_mean_dice_is_between_its_bounds(ious):
    dice = np.mean([implied.dice_of_iou(iou) for iou in ious])
    low, high = implied.mean_dice_range(round(float(np.mean(ious)), 2))
    assert low - 1e-9 <= dice <= high + 1e-9


@given(st.integers(1, 200), st.integers(0, 200), st.integers(1, 200), st.integers(0, 2000))
def test_the_share_of_positives_is_between_its_bounds(tp, fn, fp, tn):
    precision, recall, rate = tp / (tp + fp), tp / (tp + fn), fp / (fp + tn)
    low, high = implied.prevalence_range(round(precision, 3), round(recall, 3), round(rate, 3), 3)
    assert low - 1e-9 <= (tp + fn) / (tp + fn + fp + tn) <= high + 1e-9
    low, high = implied.f1_range(round(precision, 3), round(recall, 3), 3)
    assert low - 1e-9 <= 2 * tp / (2 * tp + fp + fn) <= high + 1e-9


def test_priors_tell_the_number_of_patients():
    assert consistency.patients_behind([88 / 109, 21 / 109]) == 109
    assert consistency.patients_behind([72 / 88, 16 / 88]) == 11  # 9 and 2: a divisor of 88
    assert consistency.patients_behind([1 / np.pi, 1 - 1 / np.pi], most=50) is None


def test_the_auc_of_a_normal_score():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 4000), rng.normal(1.2, 1.5, 4000)
    assert implied.binormal_auc(1.2, (1.0, 2.25)) == pytest.approx((b[:, None] > a).mean(), abs=0.015)


def test_intervals_of_wilson():
    for k, n in ((59, 89), (97, 211), (0, 5)):
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert implied.wilson_interval(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_confusion_matrix_and_the_text_beside_it():
    matrix = [[40, 10], [5, 34]]
    assert consistency.check_confusion(matrix, {"n": 89, "class_counts": [50, 39], "accuracy": 0.83}) == []
    found = consistency.check_confusion(matrix, {"n": 90, "accuracy": 0.9})
    assert found == [
        "89 patients in the matrix, 90 published",
        "the matrix gives an accuracy of 0.831, 0.9 published",
    ]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: consistency.possible_tables(5, 5, {"auc": 0.5}), "no such metric"),
        (lambda: consistency.possible_tables(0, 5, {"f1": 0.5}), "unusable numbers of patients"),
        (lambda: consistency.possible_tables(10**4, 10**4, {"f1": 0.5}), "unusable numbers of patients"),
        (lambda: consistency.check_confusion([[1, 2]], {}), "not a confusion matrix"),
        (lambda: consistency.check_confusion([[1]], {"f1": 1}), "nothing to compare"),
    ],
)
def test_what_cannot_be_checked(call, says):
    with pytest.raises(DataError, match=says):
        call()
