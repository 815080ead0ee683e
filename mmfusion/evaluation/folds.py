"""One outer fold of one model: inner folds choose, the outer fold reports."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna_integration import OptunaSearchCV
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import cross_val_score

import mmfusion.nn.training  # noqa: F401 - loky takes a library loaded after a worker's first task for a memory leak
from mmfusion.errors import DataError
from mmfusion.evaluation.fold_result import FoldResult
from mmfusion.evaluation.leakage import probed
from mmfusion.evaluation.tasks.base import Labels, Task


@dataclass(frozen=True)
class Candidate:
    """A named model to be judged.

    Parameters
    ----------
    name : str
        As the report calls it.
    estimator : estimator
        Cloned for every fit.
    inputs : tuple of str
        Modalities that it reads.
    search : mapping, optional
        Parameter name to an Optuna distribution, or to a list of choices; searched on inner folds.
    n_trials, inner : int
        Trials and inner folds of the search.
    train_fraction : float
        Share of the training rows used, for learning curves.
    one_row_a_person : bool
        Learn from the first row of each person only: for a model whose own inner folds know nothing of persons.
    """

    name: str
    estimator: BaseEstimator
    inputs: tuple[str, ...] = ()
    search: Mapping[str, BaseDistribution | list] | None = None
    n_trials: int = 6
    inner: int = 3
    train_fraction: float = 1.0
    one_row_a_person: bool = False

    @property
    def label(self) -> str:
        """Its name, and the share of the training rows if not all are used: no two candidates have the same."""
        return self.name if self.train_fraction == 1 else f"{self.name} @{self.train_fraction:g}"


@dataclass(frozen=True, eq=False)
class FoldPlace:
    """Where in the cross-validation a candidate is fitted and judged.

    Parameters
    ----------
    repeat, fold : int
        Which fold.
    train, test : ndarray of int
        Positions of its rows.
    seed : int
        Of everything random in it.
    person_ids : ndarray, shape (n,)
        Person of each row of the whole table.
    bundle : Path, optional
        Where to save the model.
    """

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    seed: int
    person_ids: np.ndarray
    bundle: Path | None = None


def fold_seed(seed: int, repeat: int, fold: int) -> int:
    """Return the seed of one outer fold.

    Examples
    --------
    >>> fold_seed(7, 1, 3)
    110
    """
    return seed + 100 * repeat + fold


def evaluate_fold(
    task: Task, candidate: Candidate, X: pd.DataFrame, y: Labels, place: FoldPlace
) -> FoldResult:
    """Fit `candidate` on the training rows of one outer fold, and predict its test rows."""
    start = time.perf_counter()
    rows = place.train
    if candidate.one_row_a_person:
        rows = rows[~pd.Index(place.person_ids[rows]).duplicated()]
    rows = task.subsample(rows, y, candidate.train_fraction, place.seed)
    X_train, y_train = X.iloc[rows], y.iloc[rows]
    # inside, nothing is probed for leaks again: the whole cohort was
    with probed(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        if candidate.search:
            model, params, trials = _search(
                task, candidate, X_train, y_train, place.person_ids[rows], place.seed
            )
        else:
            model, params, trials = _seeded(candidate.estimator, place.seed).fit(X_train, y_train), {}, []
        predictions = task.predict(model, X.iloc[place.test], y.iloc[place.test])
    if place.bundle is not None:
        model.save(place.bundle)
    return FoldResult(
        model=candidate.name,
        label=candidate.label,
        repeat=place.repeat,
        fold=place.fold,
        patients=tuple(str(p) for p in X.index[place.test]),
        person_ids=tuple(str(p) for p in place.person_ids[place.test]),
        predictions=predictions,
        inputs=tuple(candidate.inputs),
        train_fraction=candidate.train_fraction,
        n_train=len(rows),
        params=params,
        trials=trials,
        history=getattr(model, "history_", []),
        bundle=str(place.bundle) if place.bundle else None,
        seconds=time.perf_counter() - start,
        warnings=tuple(sorted({f"{w.category.__name__}: {w.message}" for w in caught})),
    )


def _search(
    task: Task, candidate: Candidate, X: pd.DataFrame, y: Labels, person_ids: np.ndarray, seed: int
) -> tuple[BaseEstimator, dict, list]:
    space = {
        name: CategoricalDistribution(values) if isinstance(values, list | tuple) else values
        for name, values in candidate.search.items()
    }
    estimator = _seeded(candidate.estimator, seed)
    if unknown := sorted(set(space) - set(estimator.get_params())):
        known = ", ".join(sorted(estimator.get_params()))
        raise DataError(
            "the search names parameters that the model lacks", got=", ".join(unknown), expected=known
        )
    own = getattr(estimator, "resolved_params", estimator.get_params)()
    start = {name: own[name] for name in space}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=seed))
        if all(_holds(space[name], value) for name, value in start.items()):
            study.enqueue_trial(start)  # the default is one of the trials
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            folds = task.inner_folds(X, y, person_ids, candidate.inner, seed)
            search = OptunaSearchCV(
                estimator, space, cv=folds, n_trials=candidate.n_trials, scoring=task.score, study=study,
                error_score="raise",
            )  # fmt: skip
            try:
                search.fit(X, y)
            except (
                TypeError
            ):  # what is left of an error in an inner fold: the same trial again says what it was
                failed = clone(estimator).set_params(**study.trials[-1].params)
                cross_val_score(failed, X, y, cv=folds, scoring=task.score, error_score="raise")
                raise
    finally:
        optuna.logging.set_verbosity(level)
    trials = [{"value": t.value, **t.params} for t in study.trials]
    return search.best_estimator_, dict(study.best_params), trials


def _holds(distribution: BaseDistribution, value: object) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution._contains(distribution.to_internal_repr(value))


def _seeded(estimator: BaseEstimator, seed: int) -> BaseEstimator:
    """A clone whose every `random_state` is set from the fold's seed."""
    model = clone(estimator)
    names = [n for n in model.get_params() if n == "random_state" or n.endswith("__random_state")]
    return model.set_params(**dict.fromkeys(names, seed))
