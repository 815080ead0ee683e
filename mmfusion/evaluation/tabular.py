"""Models of tables that a fusion is compared with in the benchmark, each on the flat table of all inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import MMFusionError
from mmfusion.evaluation.scoring import macro_auc_scorer
from mmfusion.evaluation.tabm import TabMClassifier
from mmfusion.preprocessing.flat import FlatTransformer

_GENES = 1000


def elastic_net(*, inner: int = 3, random_state: int = 0) -> BaseEstimator:
    """Return a logistic regression with half L1 and half L2 penalty (Zou and Hastie 2005, JRSS B 67:301).

    Parameters
    ----------
    inner : int
        Number of inner folds that choose C from 0.01, 0.1 and 1.
    random_state : int
        Seed of the inner folds and of the solver.

    Examples
    --------
    >>> [name for name, step in elastic_net().steps]
    ['flattransformer', 'logisticregressioncv']
    """
    model = LogisticRegressionCV(
        Cs=[0.01, 0.1, 1.0],
        cv=StratifiedKFold(inner, shuffle=True, random_state=random_state),
        scoring=macro_auc_scorer,
        solver="saga",
        tol=1e-2,  # the inner folds choose the same C with 1e-3, in three times the time
        max_iter=500,
        use_legacy_attributes=False,
        l1_ratios=(0.5,),
        random_state=random_state,
    )
    return make_pipeline(FlatTransformer(n_genes=_GENES), model)


def boosting(*, random_state: int = 0) -> BaseEstimator:
    """Return the gradient boosting of scikit-learn with 100 small trees; `random_state` is its seed.

    Examples
    --------
    >>> [name for name, step in boosting().steps]
    ['flattransformer', 'histgradientboostingclassifier']
    """
    trees = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=8, random_state=random_state
    )
    return make_pipeline(FlatTransformer(n_genes=_GENES), trees)


class CatBoost(ClassifierMixin, BaseEstimator):
    """CatBoost with 300 trees of depth 4, as a scikit-learn classifier (Prokhorenkova et al. 2018, NeurIPS).

    Parameters
    ----------
    random_state : int
        Seed.

    Raises
    ------
    MMFusionError
        In `fit`, if CatBoost is not installed.
    """

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Sequence[object]) -> CatBoost:
        """Fit the trees to a table (n, p) of numbers."""
        try:
            from catboost import CatBoostClassifier
        except ImportError as error:
            problem, hint = "CatBoost is not installed", "pip install 'mmfusion[benchmark]'"
            raise MMFusionError(problem, hint=hint) from error
        self.trees_ = CatBoostClassifier(
            iterations=300,
            learning_rate=0.05,
            depth=4,
            random_seed=self.random_state,
            verbose=False,
            thread_count=1,
            allow_writing_files=False,
        ).fit(X, np.asarray(y).astype(str))
        self.classes_ = self.trees_.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, shape (n, K)."""
        check_is_fitted(self, "trees_")
        return self.trees_.predict_proba(X)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def catboost(*, random_state: int = 0) -> BaseEstimator:
    """Return CatBoost on the flat table of all inputs; `random_state` is its seed.

    Examples
    --------
    >>> [name for name, step in catboost().steps]
    ['flattransformer', 'catboost']
    """
    return make_pipeline(FlatTransformer(n_genes=_GENES), CatBoost(random_state=random_state))


def tabm(*, random_state: int = 0) -> BaseEstimator:
    """Return TabM on the flat table of all inputs; `random_state` is its seed.

    Examples
    --------
    >>> [name for name, step in tabm().steps]
    ['flattransformer', 'tabmclassifier']
    """
    return make_pipeline(FlatTransformer(n_genes=_GENES), TabMClassifier(random_state=random_state))
