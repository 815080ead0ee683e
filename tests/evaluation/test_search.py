"""The search of settings in inner folds."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from mmfusion.evaluation import nested_cv
from tests.cohorts import tiny_cohort


class Scaled(ClassifierMixin, BaseEstimator):
    """Classifier whose parameter changes nothing."""

    def __init__(self, tilt: float = 0.0):
        self.tilt = tilt

    def fit(self, X: pd.DataFrame, y: pd.Series) -> "Scaled":
        self.classes_ = np.unique(np.asarray(y).astype(str))
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        age = pd.to_numeric(X["ehr", "age"]).to_numpy()
        weights = np.stack([100 - age, np.full(len(age), 40.0), age - 20], axis=1).clip(1)
        return weights / weights.sum(axis=1, keepdims=True)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def test_of_equal_settings_the_first_is_chosen(monkeypatch):
    from mmfusion.evaluation.tasks import ClassificationTask

    plain = ClassificationTask.score

    def score(self, estimator, X, y):
        return plain(self, estimator, X, y) + (1e-14 if estimator.tilt else 0.0)  # as on another processor

    monkeypatch.setattr(ClassificationTask, "score", score)
    options = {"outer": 2, "inner": 2, "baselines": False, "where": "serial", "progress": False}
    result = nested_cv(Scaled(), tiny_cohort(), search={"tilt": [0.0, 1.0]}, n_trials=6, **options)
    tried = {one["tilt"] for fold in result.folds for one in fold.trials}
    assert tried == {0.0, 1.0} and set(result.params()["tilt"]) == {0.0}
    assert not any(fold.warnings for fold in result.folds)  # of optuna
