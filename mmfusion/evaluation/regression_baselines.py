"""The simple models that stand beside a predicted vector in every report."""

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
    """Predict the mean of the known training values, whatever the inputs."""

    modalities: Sequence[str] = ()  # it reads none

    def fit(self, X: pd.DataFrame, y: pd.DataFrame) -> MeanOfTraining:
        """Learn the mean of each column; refuses one of which nothing is known."""
        self.mean_ = _means(y)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the means, shape (n, P)."""
        check_is_fitted(self, "mean_")
        return np.tile(self.mean_, (len(X), 1))


class RidgePerTarget(RegressorMixin, BaseEstimator):
    """Ridge regression of each column on the rows where it is known, the penalty by leave-one-out.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to choose from, for each column its own.
    """

    def __init__(self, alphas: Sequence[float] = _ALPHAS) -> None:
        self.alphas = alphas

    def fit(self, X: np.ndarray, y: pd.DataFrame) -> RidgePerTarget:
        """Fit the columns that are known of the same rows together."""
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
    """Fit on the patients who have one of `modalities`; give the training mean to those who have none.

    Parameters
    ----------
    estimator : regressor
        Cloned and fitted on the rows that it can read.
    modalities : sequence of str
        What it reads.
    """

    def __init__(self, estimator: BaseEstimator, modalities: Sequence[str]) -> None:
        self.estimator = estimator
        self.modalities = modalities

    def fit(self, X: pd.DataFrame, y: pd.DataFrame) -> MeanWhereAbsent:
        """Fit on the rows that have a block of `modalities`."""
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
    """Return the mean of the training rows, ridge on everything, on the clinical block and on each other modality.

    Parameters
    ----------
    modalities : sequence of str
        The cohort's modalities.
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
        raise DataError("nothing is known of a target among the training rows", column=names)
    return np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
