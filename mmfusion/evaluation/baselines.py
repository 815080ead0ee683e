"""Simple models for classes, which every report compares a fusion with."""

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
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from mmfusion.data.cohort import presence
from mmfusion.evaluation.scoring import macro_auc_scorer
from mmfusion.preprocessing.flat import FlatTransformer

_C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_ALL_GENES = 1000  # more genes than a fusion reads, because ridge needs no selection


class Majority(DummyClassifier):
    """Predict the class frequencies of the training rows for every patient.

    Examples
    --------
    >>> y = pd.Series(["I", "I", "I", "II"])
    >>> Majority(strategy="prior").fit(np.zeros((4, 1)), y).predict_proba(np.zeros((1, 1))).tolist()
    [[0.75, 0.25]]
    """

    modalities: Sequence[str] = ()  # it reads no inputs


class PriorWhereAbsent(ClassifierMixin, BaseEstimator):
    """Classifier for patients with some of `modalities`; the others get the class frequencies of training.

    It makes it possible to judge a single-modality model on the same patients as a fusion.

    Parameters
    ----------
    estimator : classifier
        It is cloned and fitted on the rows of patients who have at least one of `modalities`.
    modalities : sequence of str
        Modalities that the estimator reads.

    Attributes
    ----------
    classes_ : ndarray, shape (K,)
        All classes of the training rows.
    prior_ : ndarray, shape (K,)
        Frequencies of the classes among all training rows; they sum to 1.
    estimator_ : classifier
        Fitted clone.

    Examples
    --------
    >>> X = pd.DataFrame({("ehr", "age"): [50.0, 60.0, None], ("ct", "volume"): ["a", "b", "c"]})
    >>> model = PriorWhereAbsent(DummyClassifier(strategy="most_frequent"), ["ehr"])
    >>> model.fit(X, pd.Series(["I", "I", "II"])).predict_proba(X).round(2).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.67, 0.33]]
    """

    def __init__(self, estimator: BaseEstimator, modalities: Sequence[str]) -> None:
        self.estimator = estimator
        self.modalities = modalities

    def fit(self, X: pd.DataFrame, y: pd.Series, groups: Sequence[object] | None = None) -> PriorWhereAbsent:
        """Fit on the rows of patients who have at least one of `modalities`."""
        y = _as_categorical(y)
        has = self._has(X)
        self.classes_ = np.array(list(y.cat.categories))
        self.prior_ = y.value_counts(normalize=True, sort=False).to_numpy()
        known = {}
        if groups is not None and has_fit_parameter(self.estimator, "groups"):
            known = {"groups": np.asarray(groups)[has]}
        self.estimator_ = clone(self.estimator).fit(X[has], y[has].cat.remove_unused_categories(), **known)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, shape (n, K)."""
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
        """Return the estimator's class of each patient; the most common class without `modalities`; (n,)."""
        check_is_fitted(self, "estimator_")
        has = self._has(X)
        # indexed, so that every class fits: np.full with "I" would cut "III" to "I"
        out = self.classes_[np.full(len(X), self.prior_.argmax())]
        if has.any():
            out[has] = self.estimator_.predict(X[has])
        return out

    def _has(self, X: pd.DataFrame) -> np.ndarray:
        return presence(X)[list(self.modalities)].any(axis=1).to_numpy()


def ridge(modalities: Sequence[str] | None = None, *, inner: int = 3, random_state: int = 0) -> BaseEstimator:
    """Return an L2 logistic regression on all inputs, without class weights; a fusion is compared with it.

    Parameters
    ----------
    modalities : sequence of str, optional
        Modalities to read. Default: all.
    inner : int
        Number of inner folds that choose C from 1e-4 to 1.
    random_state : int
        Seed of the inner folds.

    Examples
    --------
    >>> [name for name, step in ridge(["ehr"]).steps]
    ['flattransformer', 'logisticregressioncv']
    """
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
    """Return a random forest of 500 trees on all inputs; `random_state` is its seed.

    Examples
    --------
    >>> [name for name, step in forest().steps]
    ['flattransformer', 'randomforestclassifier']
    """
    trees = RandomForestClassifier(500, min_samples_leaf=2, max_features="sqrt", random_state=random_state)
    return make_pipeline(FlatTransformer(n_genes=_ALL_GENES), trees)


def standard_baselines(
    modalities: Sequence[str], *, inner: int = 3, random_state: int = 0
) -> dict[str, BaseEstimator]:
    """Return the baselines for classes: majority class, random forest, ridge on all and on single modalities.

    Parameters
    ----------
    modalities : sequence of str
        Modalities of the cohort.
    inner : int
        Number of inner folds that choose C.
    random_state : int
        Seed of the inner folds and the forest.

    Returns
    -------
    dict of str to estimator
        Name -> model. The ridge on the health records is called "clinical ridge".

    Examples
    --------
    >>> list(standard_baselines(["ct", "ehr"]))
    ['majority', 'ridge', 'forest', 'ct ridge', 'clinical ridge']
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
