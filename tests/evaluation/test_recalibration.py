"""Recalibration by the training patients only."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mmfusion.errors import DataError
from mmfusion.evaluation import fit_recalibration
from mmfusion.metrics import classification_metrics
from tests.metrics.predictions import CLASSES, predictions

COLUMNS = [f"p_{c}" for c in CLASSES]


def too_sure(n, seed):
    """Predictions whose log-probabilities are three times too large."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet([1, 1, 1], n)
    y = np.array(CLASSES)[[rng.choice(3, p=p) for p in true]]
    table = pd.DataFrame(true**3 / (true**3).sum(axis=1, keepdims=True), columns=COLUMNS)
    ids = [f"P{seed}-{i}" for i in range(n)]
    return table.assign(model="m", repeat=0, fold=np.arange(n) % 3, patient_id=ids, y_true=y)


def test_it_repairs_patients_that_it_never_saw():
    train, other = too_sure(800, 0), too_sure(800, 1)
    found = fit_recalibration(train, CLASSES, "m")
    assert found.slope == pytest.approx(1 / 3, abs=0.05) and found.n == 800
    after = found.apply(other)
    before, fixed = (classification_metrics(t["y_true"], t[COLUMNS], CLASSES) for t in (other, after))
    assert fixed["ece"] < before["ece"] / 2 and fixed["brier"] < before["brier"]
    np.testing.assert_allclose(after[COLUMNS].sum(axis=1), 1)
    assert after["y_true"].equals(other["y_true"]) and not after[COLUMNS].equals(other[COLUMNS])


def test_with_many_patients_it_is_logistic_regression_on_the_logit():
    """For two classes, slope and intercept of the logistic recalibration (Cox 1958)."""
    rng = np.random.default_rng(2)
    logit = rng.normal(0, 2, 20_000)
    y = rng.random(20_000) < 1 / (1 + np.exp(-(0.6 * logit - 0.4)))
    p = 1 / (1 + np.exp(-logit))
    table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": range(20_000)})
    table = table.assign(y_true=np.where(y, "II", "I"), p_I=1 - p, p_II=p)
    found = fit_recalibration(table, ["I", "II"], "m")
    reference = LogisticRegression(C=np.inf).fit(logit[:, None], y)
    assert found.slope == pytest.approx(reference.coef_[0, 0], rel=0.01)
    assert found.bias[1] - found.bias[0] == pytest.approx(reference.intercept_[0], abs=0.01)


def test_the_majority_cannot_be_recalibrated():
    table = predictions("majority")
    for fold in range(5):  # the shares of the classes differ between folds
        table.loc[table["fold"] == fold, COLUMNS] = [0.5 + 0.01 * fold, 0.3 - 0.01 * fold, 0.2]
    with pytest.raises(DataError, match="the recalibration of majority cannot be estimated"):
        fit_recalibration(table, CLASSES, "majority")


def test_predictions_of_several_repeats_are_of_the_same_patients():
    """Four copies of 40 patients would make the prior weaker, and n 160."""
    table = too_sure(40, 3)
    again = too_sure(40, 4)[COLUMNS].to_numpy()  # the first repeat counts, in any order of the rows
    four = pd.concat([table.assign(repeat=k, **dict(zip(COLUMNS, again.T, strict=True))) for k in (3, 2, 1)])
    once = fit_recalibration(table, CLASSES, "m")
    assert fit_recalibration(pd.concat([four, table]), CLASSES, "m") == once and once.n == 40
    copies = pd.concat([table.assign(repeat=k) for k in range(4)])
    assert fit_recalibration(copies, CLASSES, "m") == once


def test_a_probability_of_zero_stays_finite():
    table = predictions("m")
    table.loc[:3, COLUMNS] = [1.0, 0.0, 0.0]
    after = fit_recalibration(table, CLASSES, "m").apply(table)
    assert np.isfinite(after[COLUMNS].to_numpy()).all()


def test_predictions_without_a_class_are_refused():
    table = predictions("m")
    with pytest.raises(DataError, match=f"column {COLUMNS[0]}: the predictions lack a class"):
        fit_recalibration(table, CLASSES, "m").apply(table.drop(columns=COLUMNS[0]))


def test_patients_of_one_class_have_no_recalibration():
    table = too_sure(60, 0)
    with pytest.raises(
        DataError, match=r"cannot be estimated \(expected patients of two classes; got .*class I\)"
    ):
        fit_recalibration(table[table["y_true"] == "I"], CLASSES, "m")
