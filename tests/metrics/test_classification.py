import json

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.errors import DataError
from mmfusion.metrics import classification_metrics, macro_auc
from tests.metrics.predictions import CLASSES, predictions


def sample(n=80, seed=0, *, ties=False, classes=CLASSES):
    table = predictions(n=n, seed=seed, patients=seed, classes=classes)
    proba = table[[f"p_{c}" for c in classes]].to_numpy()
    if ties:
        proba = np.floor(proba * 5) + 1
        proba /= proba.sum(axis=1, keepdims=True)
    return table["y_true"].to_numpy(), proba


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_scikit_learn(seed, ties):
    y, proba = sample(seed=seed, ties=ties)
    ours = classification_metrics(y, proba, CLASSES)
    predicted = np.array(CLASSES)[proba.argmax(axis=1)]
    theirs = {
        "macro_auc": sk.roc_auc_score(y, proba, multi_class="ovr", labels=list(CLASSES)),
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "macro_f1": sk.f1_score(y, predicted, average="macro"),
        "quadratic_kappa": sk.cohen_kappa_score(y, predicted, weights="quadratic", labels=list(CLASSES)),
        "brier": sk.brier_score_loss(y, proba, labels=list(CLASSES)),
        "log_loss": sk.log_loss(y, proba, labels=list(CLASSES)),
    }
    assert {k: ours[k] for k in theirs} == pytest.approx(theirs)
    np.testing.assert_array_equal(ours["confusion"], sk.confusion_matrix(y, predicted, labels=list(CLASSES)))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        y, predicted, labels=list(CLASSES), zero_division=0
    )
    for i, c in enumerate(CLASSES):
        row = ours["per_class"][c]
        assert [row["precision"], row["recall"], row["f1"], row["n"]] == pytest.approx(
            [precision[i], recall[i], f1[i], support[i]]
        )


def test_by_hand():
    # stage II is confused once; AUCs by counting pairs: I 4/4, II (2 + 1)/4, III 4/4
    proba = [[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.1, 0.2, 0.7], [0.2, 0.3, 0.5]]
    y = ["I", "I", "II", "II", "III"]
    out = classification_metrics(y, proba, CLASSES)
    assert out["accuracy"] == 4 / 5
    assert out["confusion"] == [[2, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert out["per_class"]["I"]["auc"] == 1.0
    assert out["per_class"]["II"]["auc"] == pytest.approx((3 + 1) / 6)  # .6 beats three; .2 beats .1 only
    assert out["per_class"]["III"]["auc"] == pytest.approx(3 / 4)
    assert out["quadratic_kappa"] == pytest.approx(1 - 1 / (35 / 5))  # rows 2 2 1, columns 2 1 2


def test_ece_by_hand():
    # ten patients, ten bins, one each: the mean of |correct - confidence|
    confidence = np.linspace(0.55, 0.95, 10)
    y = np.array(["I", "II"])[[0, 0, 1, 0, 0, 0, 1, 0, 0, 0]]
    out = classification_metrics(y, np.c_[confidence, 1 - confidence], ["I", "II"])
    assert out["ece"] == pytest.approx(np.mean(np.abs((y == "I") - confidence)))
    # everybody equally sure: one bin, however many patients
    assert classification_metrics(y, np.tile([0.7, 0.3], (10, 1)), ["I", "II"])["ece"] == pytest.approx(0.1)


def test_majority_model_is_at_chance():
    y, _ = sample()
    out = classification_metrics(y, np.tile([0.5, 0.3, 0.2], (len(y), 1)), CLASSES)
    assert out["macro_auc"] == 0.5
    assert out["quadratic_kappa"] == 0.0


def test_absent_class_is_left_out_and_listed():
    y, proba = sample()
    keep = y != "II"
    out = classification_metrics(y[keep], proba[keep], CLASSES)
    assert out["absent"] == ["II"]
    by_class = [sk.roc_auc_score(y[keep] == c, proba[keep, i]) for i, c in enumerate(CLASSES) if c != "II"]
    assert out["macro_auc"] == pytest.approx(np.mean(by_class))
    assert out["balanced_accuracy"] == pytest.approx(
        np.mean([out["per_class"][c]["recall"] for c in ("I", "III")])
    )
    assert np.isnan(macro_auc(["I", "I"], [[1, 0, 0], [0.5, 0.5, 0]], CLASSES))


def test_result_can_be_written():
    assert json.loads(json.dumps(classification_metrics(*sample(), CLASSES)))["n"] == 80


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 60))
def test_order_of_patients_and_monotone_scores_do_not_matter(seed, n):
    y, proba = sample(n, seed)
    order = np.random.default_rng(seed).permutation(n)
    out = classification_metrics(y, proba, CLASSES)
    again = classification_metrics(y[order], proba[order], CLASSES)
    for name in ("macro_auc", "macro_f1", "brier", "ece", "log_loss"):
        np.testing.assert_allclose(out[name], again[name], rtol=1e-9)
    assert 0 <= out["macro_auc"] <= 1 or np.isnan(out["macro_auc"])
    assert 0 <= out["brier"] <= 2 and 0 <= out["ece"] <= 1 and out["log_loss"] >= 0
    two = np.c_[proba[:, 0] ** 3, 1 - proba[:, 0] ** 3]
    flat = np.where(y == "I", "I", "II")
    before = macro_auc(flat, np.c_[proba[:, 0], 1 - proba[:, 0]], ["I", "II"])
    np.testing.assert_allclose(macro_auc(flat, two, ["I", "II"]), before)


def test_inputs_are_not_changed():
    y, proba = sample()
    before = proba.copy()
    classification_metrics(y, proba, CLASSES)
    np.testing.assert_array_equal(proba, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, p: (np.where(y == "I", "IV", y), p), "not among the classes.*'IV'"),
        (lambda y, p: (y, p[:, :2]), "wrong shape"),
        (lambda y, p: (y[:-1], p), "wrong shape"),
        (lambda y, p: (y, p * 2), "^row 0 is not a distribution"),
        (lambda y, p: (y, np.where(p == p.max(), np.nan, p)), "not a distribution"),
        (lambda y, p: (y[:0], p[:0]), "no predictions"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(DataError, match=message):
        classification_metrics(*change(*sample()), CLASSES)
