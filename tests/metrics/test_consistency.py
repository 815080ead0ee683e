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


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda: consistency.rounded_range(float("nan")), "published: not a number .*got nan"),
        (
            lambda: consistency.rounded_range(0.835),
            "more decimals than were published .*at most 2; got 0.835",
        ),
        (lambda: consistency.possible_counts(0.971, 117), "published: more decimals"),
        (lambda: consistency.rounded_range("0.97%"), "published: not a number .*got '0.97%'"),
        (lambda: consistency.rounded_range(0.97, -1), "decimals: out of range"),
        (lambda: consistency.possible_counts(97, 117), "share: not a share .*got 97.*divide percent by 100"),
        (lambda: consistency.possible_counts(-0.5, 117), "share: not a share"),
        (lambda: consistency.possible_counts(0.5, 0), "n: out of range"),
        (lambda: consistency.possible_tables(23, 94, {"accuracy": 97}), "accuracy: not a share"),
        (lambda: consistency.possible_tables(23, 94, {"f1": "high"}), "f1: not a number"),
        (lambda: consistency.possible_tables(23.5, 94, {"accuracy": 0.9}), "positives: out of range"),
        (lambda: consistency.patients_behind([]), "shares: no shares"),
        (lambda: consistency.patients_behind([-0.5, 1.5]), "shares: not a share"),
        (lambda: consistency.patients_behind([float("nan"), 0.5]), "shares: not a number"),
        (lambda: consistency.check_confusion([[1, 2], [3]], {}), "not a confusion matrix"),
        (lambda: consistency.check_confusion([["a", "b"], ["c", "d"]], {}), "not a confusion matrix"),
        (lambda: consistency.check_confusion([[1.5, 2], [3, 4]], {}), "not a confusion matrix"),
        (lambda: consistency.check_confusion([[float("nan"), 2], [3, 4]], {}), "not a confusion matrix"),
        (lambda: consistency.check_confusion([[0, 0], [0, 0]], {"accuracy": 0.5}), "without a patient"),
        (lambda: consistency.check_confusion([[4, 1], [0, 3]], {"class_counts": [5]}), "not one number"),
        (lambda: consistency.check_confusion([[4, 1], [0, 3]], {"n": "8"}), "n: out of range .*got '8'"),
        (lambda: consistency.check_confusion([[4, 1], [0, 3]], {"accuracy": 88}), "accuracy: not a share"),
        (lambda: implied.f1_range(95, 96), "precision: not a share"),
        (lambda: implied.dice_of_iou(-1), "iou: not a share"),
        (lambda: implied.mean_dice_range(82), "mean_iou: not a share"),
        (lambda: implied.prevalence_range(0.85, 0.87, 8), "false_positive_rate: not a share"),
        (lambda: implied.binormal_auc(2.3, (1.0,)), "variances: not two variances"),
        (lambda: implied.binormal_auc(2.3, 1.0), "variances: not two variances"),
        (lambda: implied.binormal_auc(2.0, (0.0, 0.0)), "variances: no variance"),
        (lambda: implied.binormal_auc(2.0, (float("nan"), 1.0)), "variances: not a number"),
        (lambda: implied.wilson_interval(0.5, 0), "n: out of range"),
        (lambda: implied.wilson_interval(2, 10), "share: not a share"),
        (lambda: implied.wilson_interval(0.5, 10, 95), "level: a level is a share"),
    ],
)
def test_a_number_that_cannot_be_published_is_a_clear_error(wrong, named):
    with pytest.raises(DataError, match=named):
        wrong()
