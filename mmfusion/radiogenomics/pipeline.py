"""Pipelines of a genotype classifier: scaling, a reducer and a classifier with their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mmfusion.errors import DataError
from mmfusion.exclusive import silenced
from mmfusion.radiogenomics.steps import CLASSIFIERS, REDUCERS, Grid, settings_of


@dataclass(frozen=True)
class Setting:
    """A reducer and a classifier with their parameters.

    Examples
    --------
    >>> Setting("pca", {"n_components": 5}, "qda", {}).label
    'pca + qda'
    """

    reducer: str
    reducer_params: Mapping[str, object]
    classifier: str
    classifier_params: Mapping[str, object]

    @property
    def label(self) -> str:
        """Names of the reducer and the classifier."""
        return f"{self.reducer} + {self.classifier}"

    def grid(self) -> dict[str, dict[str, list[object]]]:
        """Return the grid of this setting alone, as the parameter `grid` of a `GenotypeClassifier`."""
        both = ((self.reducer, self.reducer_params), (self.classifier, self.classifier_params))
        return {name: {key: [value] for key, value in params.items()} for name, params in both}


def all_settings(
    reducers: Sequence[str], classifiers: Sequence[str], preset: str, grid: Mapping[str, Grid] | None
) -> list[Setting]:
    """Return every combination of the settings of some reducers and classifiers.

    The settings of one reducer with the same parameters follow each other.

    Examples
    --------
    >>> len(all_settings(["none", "pca"], ["qda", "dt"], "full", None))
    39
    """
    return [
        Setting(reducer, reducer_params, classifier, classifier_params)
        for reducer in reducers
        for reducer_params in settings_of(reducer, preset, grid)
        for classifier in classifiers
        for classifier_params in settings_of(classifier, preset, grid)
    ]


def head(setting: Setting, seed: int) -> Pipeline:
    """Return the steps before the classifier: constant features are left out, then scaling, then the reducer.

    Examples
    --------
    >>> list(head(Setting("pca", {"n_components": 5}, "qda", {}), 0).named_steps)
    ['vary', 'scale', 'reduce']
    """
    steps = [("vary", VarianceThreshold()), ("scale", StandardScaler())]
    reducer = REDUCERS[setting.reducer].make()
    if reducer is not None:
        steps.append(("reduce", _seeded(reducer.set_params(**setting.reducer_params), seed)))
    return Pipeline(steps)


def classifier(setting: Setting, seed: int) -> BaseEstimator:
    """Return the classifier of a setting.

    Examples
    --------
    >>> classifier(Setting("none", {}, "dt", {"max_depth": 1}), 0)
    DecisionTreeClassifier(max_depth=1, random_state=0)
    """
    return _seeded(CLASSIFIERS[setting.classifier].make().set_params(**setting.classifier_params), seed)


def fit_pipeline(setting: Setting, features: np.ndarray, codes: np.ndarray, seed: int) -> Pipeline:
    """Return the fitted pipeline of a setting.

    Examples
    --------
    >>> x = np.arange(12.0)[:, None]
    >>> setting = Setting("none", {}, "dt", {"max_depth": 1})
    >>> fit_pipeline(setting, x, np.repeat([0, 1], 6), 0).predict(x[[0, 11]]).tolist()
    [0, 1]
    """
    steps = [*head(setting, seed).steps, ("classify", classifier(setting, seed))]
    try:
        with quiet():
            return Pipeline(steps).fit(features, codes)
    except np.linalg.LinAlgError as error:
        raise DataError(f"{setting.label} is not estimable", got=error, hint="use shrinkage") from error


def quiet() -> AbstractContextManager[None]:
    """Hide two expected warnings: LDA of more features than rows, and fewer features than asked for.

    Examples
    --------
    >>> with quiet():
    ...     pass
    """
    return silenced("sklearn", category=UserWarning)


def _seeded(estimator: BaseEstimator, seed: int) -> BaseEstimator:
    names = [n for n in estimator.get_params() if n == "random_state" or n.endswith("__random_state")]
    return estimator.set_params(**dict.fromkeys(names, seed))
