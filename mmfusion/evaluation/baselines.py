"""The simple models that stand in every report beside a fusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.cohort import presence
from mmfusion.evaluation.scoring import macro_auc_scorer
from mmfusion.preprocessing.flat import FlatTransformer

_C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_ALL_GENES = 1000  # the ridge takes what the fusion would have to choose from


class Majority(DummyClassifier):
    """Answer with the shares of the classes among the training rows, whatever the inputs."""

    modalities: Sequence[str] = ()  # it reads none


class PriorWhereAbsent(ClassifierMixin, BaseEstimator):
    """Fit on the patients who have one of `modalities`; give the training prior to those who have none.

    So a single-modality model can be judged on the same patients as a fusion.

    Parameters
    ----------
    estimator : classifier
        Cloned and fitted on the rows that it can read.
    modalities : sequence of str
        What it reads.
    """

    def __init__(self, estimator: BaseEstimator, modalities: Sequence[str]) -> None:
        self.estimator = estimator
        self.modalities = modalities

    def fit(self, X: pd.DataFrame, y: pd.Series) -> PriorWhereAbsent:
        """Fit on the rows that have a block of `modalities`."""
        y = _as_categorical(y)
        has = self._has(X)
        self.classes_ = np.array(list(y.cat.categories))
        self.prior_ = y.value_counts(normalize=True, sort=False).to_numpy()
        self.estimator_ = clone(self.estimator).fit(X[has], y[has].cat.remove_unused_categories())
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Probability of each class, shape (n, K)."""
        check_is_fitted(self, "estimator_")
        has = self._has(X)
        out = np.tile(self.prior_, (len(X), 1))
        if has.any():
            columns = pd.Index(self.classes_).get_indexer(self.estimator_.classes_)
            proba = np.zeros((int(has.sum()), len(self.classes_)))
            proba[:, columns] = self.estimator_.predict_proba(X[has])
            out[has] = proba
        return out

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """The most probable class, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _has(self, X: pd.DataFrame) -> np.ndarray:
        return presence(X)[list(self.modalities)].any(axis=1).to_numpy()


def ridge(modalities: Sequence[str] | None = None, *, inner: int = 3, random_state: int = 0) -> BaseEstimator:
    """L2 logistic regression on all inputs, C by inner folds, no class weights: what a fusion has to beat."""
    folds = StratifiedKFold(inner, shuffle=True, random_state=random_state)
    model = LogisticRegressionCV(
        Cs=_C_GRID,
        cv=folds,
        scoring=macro_auc_scorer,
        max_iter=2000,
        use_legacy_attributes=False,
        l1_ratios=(0.0,),
    )
    return make_pipeline(FlatTransformer(modalities=modalities, n_genes=_ALL_GENES), model)


def forest(*, random_state: int = 0) -> BaseEstimator:
    """Random forest of 500 trees on all inputs."""
    trees = RandomForestClassifier(500, min_samples_leaf=2, max_features="sqrt", random_state=random_state)
    return make_pipeline(FlatTransformer(n_genes=_ALL_GENES), trees)


def standard_baselines(
    modalities: Sequence[str], *, inner: int = 3, random_state: int = 0
) -> dict[str, BaseEstimator]:
    """Majority class, ridge on everything, on the clinical block and on each other modality, random forest.

    Parameters
    ----------
    modalities : sequence of str
        The cohort's modalities.
    inner : int
        Inner folds that choose C.
    random_state : int
        Seed.
    """
    models: dict[str, BaseEstimator] = {
        "majority": Majority(strategy="prior"),
        "ridge": ridge(inner=inner, random_state=random_state),
        "forest": forest(random_state=random_state),
    }
    for modality in modalities:
        name = "clinical ridge" if modality == "ehr" else f"{modality} ridge"
        single = ridge([modality], inner=inner, random_state=random_state)
        models[name] = PriorWhereAbsent(single, [modality])
    return models


def _as_categorical(y: pd.Series) -> pd.Series:
    return (
        y.cat.remove_unused_categories() if isinstance(y.dtype, pd.CategoricalDtype) else y.astype("category")
    )
