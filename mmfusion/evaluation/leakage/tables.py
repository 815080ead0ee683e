"""Random tables of the demonstrations, with a known best AUC, and the AUC by cross-validation."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from mmfusion.errors import DataError

SIGNALS = ("null", "planted")


def distance_of(auc: float) -> float:
    """Return the distance of two normal classes with this best AUC, in standard deviations.

    The best score of two normal classes with means 0 and d and a standard deviation of 1 has the AUC
    Phi(d / sqrt(2)).

    Examples
    --------
    >>> round(distance_of(0.76), 2)
    1.0
    """
    return float(np.sqrt(2) * norm.ppf(auc))


def gaussian_table(
    n: int, p: int, rng: np.random.Generator, *, positives: int, informative: int = 0, auc: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Return independent normal features and labels of two classes, in random order.

    Parameters
    ----------
    n, p : int
        Number of patients and of features.
    rng : Generator
        Source of the random numbers.
    positives : int
        Number of patients of the second class.
    informative : int
        Number of features, the first ones, whose mean is higher in the second class.
    auc : float
        Best possible AUC of all informative features together, 0.5 to 1.

    Returns
    -------
    X : array of float, shape (n, p)
    y : array of int, shape (n,)

    Raises
    ------
    DataError
        If a class is empty, or there are more informative features than features.

    Examples
    --------
    >>> X, y = gaussian_table(20, 5, np.random.default_rng(0), positives=8)
    >>> X.shape, int(y.sum())
    ((20, 5), 8)
    """
    if not 0 < positives < n or not 0 <= informative <= p:
        expected = f"1 to {n - 1} positives, 0 to {p} informative features"
        raise DataError("unusable numbers", expected=expected, got=f"{positives}, {informative}")
    y = rng.permutation(np.arange(n) < positives).astype(int)
    X = rng.standard_normal((n, p))
    if informative:
        X[:, :informative] += np.outer(y, np.full(informative, distance_of(auc) / np.sqrt(informative)))
    return X, y


def cross_validated_auc(model: BaseEstimator, X: np.ndarray, y: np.ndarray, folds: int, seed: int) -> float:
    """Return the mean AUC over stratified folds; the model is fitted anew in each fold.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = gaussian_table(60, 2, np.random.default_rng(0), positives=30, informative=1, auc=0.99)
    >>> cross_validated_auc(GaussianNB(), X, y, 3, 0) > 0.9
    True
    """
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    found = [
        roc_auc_score(y[test], scores_of(clone(model).fit(X[train], y[train]), X[test]))
        for train, test in splitter.split(X, y)
    ]
    return float(np.mean(found))


def scores_of(model: BaseEstimator, X: np.ndarray) -> np.ndarray:
    """Return the decision values of a fitted model of two classes, or the probability of the second.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> scores_of(DummyClassifier().fit([[0], [1]], [0, 1]), [[2]]).tolist()
    [0.5]
    """
    if hasattr(model, "decision_function"):
        return model.decision_function(X)
    return model.predict_proba(X)[:, 1]
