"""Simple models for vectors, which every report compares a model with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.cohort import presence
from mmfusion.errors import DataError
from mmfusion.preprocessing.flat import FlatTransformer

_ALPHAS = tuple(np.logspace(-1, 5, 13))
_ALL_GENES = 1000


class MeanOfTraining(RegressorMixin, BaseEstimator):
    """Predict the mean of the known training values for every patient.

    Examples
    --------
    >>> y = pd.DataFrame({"EGFR": [1.0, 3.0], "KRAS": [2.0, np.nan]})
    >>> MeanOfTraining().fit(y, y).predict(y.head(1)).tolist()
    [[2.0, 2.0]]
    """

    modalities: Sequence[str] = ()  # it reads no inputs

    def fit(self, X: pd.DataFrame, y: pd.DataFrame) -> MeanOfTraining:
        """Compute the mean of each column; raise a `DataError` if a column has no known value."""
        self.mean_ = _means(y)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the training means for every patient, shape (n, P)."""
        check_is_fitted(self, "mean_")
        return np.tile(self.mean_, (len(X), 1))


class RidgePerTarget(RegressorMixin, BaseEstimator):
    """Ridge regression of each column on the rows in which it is known; leave-one-out chooses the penalty.

    Parameters
    ----------
    alphas : sequence of float
        Penalties, above 0. The best is chosen for each column separately.

    Examples
    --------
    >>> x = np.arange(10.0)[:, None]
    >>> model = RidgePerTarget().fit(x, pd.DataFrame({"a": x[:, 0], "b": 2 * x[:, 0]}))
    >>> model.predict(np.array([[4.5]])).round(2).tolist()
    [[4.5, 9.0]]
    """

    def __init__(self, alphas: Sequence[float] = _ALPHAS) -> None:
        self.alphas = alphas

    def fit(self, X: np.ndarray, y: pd.DataFrame) -> RidgePerTarget:
        """Fit a model to the training rows; columns that are known in the same rows are fitted together."""
        values = _values(y)
        _means(y)
        known = np.isfinite(values)
        self.n_targets_, self.models_ = values.shape[1], []
        patterns, member = np.unique(known, axis=1, return_inverse=True)
        for k in range(patterns.shape[1]):
            rows, columns = patterns[:, k], np.flatnonzero(member.ravel() == k)
            model = RidgeCV(alphas=self.alphas, alpha_per_target=True)
            self.models_.append((columns, model.fit(np.asarray(X)[rows], values[np.ix_(rows, columns)])))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the predicted values, shape (n, P)."""
        check_is_fitted(self, "models_")
        out = np.empty((len(X), self.n_targets_))
        for columns, model in self.models_:
            out[:, columns] = model.predict(np.asarray(X)).reshape(len(X), len(columns))
        return out


class MeanWhereAbsent(RegressorMixin, BaseEstimator):
    """Regressor for patients with some of `modalities`; the others get the training mean.

    Parameters
    ----------
    estimator : regressor
        It is cloned and fitted on the rows of patients who have at least one of `modalities`.
    modalities : sequence of str
        Modalities that the estimator reads.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> X = pd.DataFrame({("rna", "EGFR"): [1.0, 2.0, None], ("ct", "volume"): ["a", "b", "c"]})
    >>> model = MeanWhereAbsent(DummyRegressor(), ["rna"])
    >>> model.fit(X, pd.DataFrame({"KRAS": [1.0, 3.0, 5.0]})).predict(X).tolist()
    [[2.0], [2.0], [3.0]]
    """

    def __init__(self, estimator: BaseEstimator, modalities: Sequence[str]) -> None:
        self.estimator = estimator
        self.modalities = modalities

    def fit(self, X: pd.DataFrame, y: pd.DataFrame) -> MeanWhereAbsent:
        """Fit on the rows of patients who have at least one of `modalities`."""
        has = self._has(X)
        self.mean_ = _means(y)
        self.estimator_ = clone(self.estimator).fit(X[has], y[has])
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the predicted values, shape (n, P)."""
        check_is_fitted(self, "estimator_")
        has = self._has(X)
        out = np.tile(self.mean_, (len(X), 1))
        if has.any():
            out[has] = np.asarray(self.estimator_.predict(X[has])).reshape(int(has.sum()), -1)
        return out

    def _has(self, X: pd.DataFrame) -> np.ndarray:
        return presence(X)[list(self.modalities)].any(axis=1).to_numpy()


def regression_baselines(modalities: Sequence[str]) -> dict[str, BaseEstimator]:
    """Return the baselines for vectors: training mean, ridge on all and on single modalities.

    Parameters
    ----------
    modalities : sequence of str
        Modalities of the cohort.

    Returns
    -------
    dict of str to estimator
        Name -> model. The ridge on the health records is called "clinical ridge".

    Examples
    --------
    >>> list(regression_baselines(["ct", "ehr"]))
    ['mean', 'ridge', 'ct ridge', 'clinical ridge']
    """
    models: dict[str, BaseEstimator] = {"mean": MeanOfTraining(), "ridge": _ridge(None)}
    for modality in modalities:
        name = "clinical ridge" if modality == "ehr" else f"{modality} ridge"
        models[name] = MeanWhereAbsent(_ridge([modality]), [modality])
    return models


def _ridge(modalities: Sequence[str] | None) -> BaseEstimator:
    return make_pipeline(FlatTransformer(modalities=modalities, n_genes=_ALL_GENES), RidgePerTarget())


def _values(y: pd.DataFrame) -> np.ndarray:
    return pd.DataFrame(y).to_numpy(dtype=float)


def _means(y: pd.DataFrame) -> np.ndarray:
    values = _values(y)
    known = np.isfinite(values)
    if (empty := ~known.any(axis=0)).any():
        names = ", ".join(map(str, pd.DataFrame(y).columns[empty][:5]))
        raise DataError("a target has no known value among the training rows", column=names)
    return np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
