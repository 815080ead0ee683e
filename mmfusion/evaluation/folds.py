"""Fit and judge one model on one outer fold; inner folds choose its parameters."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
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
from sklearn.utils.validation import has_fit_parameter

import mmfusion.nn.training  # noqa: F401 - if loaded after a worker's first task, loky sees a memory leak
from mmfusion.errors import DataError, Given, gathered
from mmfusion.evaluation.cost import measured
from mmfusion.evaluation.fold_result import FoldResult
from mmfusion.evaluation.leakage import probed
from mmfusion.evaluation.tasks.base import Labels, Task
from mmfusion.exclusive import own_filters, silenced


@dataclass(frozen=True)
class Candidate:
    """A named model that is to be judged.

    Parameters
    ----------
    name : str
        Name of the model in reports.
    estimator : estimator
        It is cloned for every fit.
    inputs : tuple of str
        Modalities that it reads.
    search : mapping, optional
        Parameter name -> Optuna distribution or list of choices, which are searched on inner folds.
    n_trials, inner : int
        Numbers of trials and of inner folds of the search.
    train_fraction : float
        Share of the training rows that are used, in (0, 1]; below 1 for learning curves.
    one_row_a_person : bool
        Fit on the first row of each person only. It is set for models that make inner folds themselves and do
        not keep the rows of a person together.

    Examples
    --------
    >>> Candidate("ridge", None, train_fraction=0.5).label
    'ridge @0.5'
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
        """Name, with the share of the training rows if it is below 1; distinct for each candidate."""
        return self.name if self.train_fraction == 1 else f"{self.name} @{self.train_fraction:g}"


@dataclass(frozen=True, eq=False)
class FoldPlace:
    """Outer fold on which a candidate is fitted and judged.

    Parameters
    ----------
    repeat, fold : int
        Numbers of the repeat and of the fold within it, from 0.
    train, test : ndarray of int
        Positions of the training rows and of the test rows.
    seed : int
        Seed of all random numbers in the fold.
    person_ids : ndarray, shape (n,)
        Id of the person of each row of the whole table.
    bundle : Path, optional
        Folder in which the model is saved. Default: the model is not saved.

    Examples
    --------
    >>> person_ids = np.array(["a", "b", "c"])
    >>> place = FoldPlace(0, 1, np.array([0, 1]), np.array([2]), fold_seed(7, 0, 1), person_ids)
    >>> place.person_ids[place.test].tolist(), place.seed
    (['c'], 8)
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
    """Fit `candidate` on the training rows of one outer fold, and predict the test rows.

    Parameters
    ----------
    task : Task
        Way to predict and to score.
    candidate : Candidate
        Model and its search.
    X : DataFrame, shape (n, n_columns)
        All labelled patients of a cohort.
    y : Series or DataFrame, first axis n
        Labels of all these patients.
    place : FoldPlace
        Rows and seed of the fold.

    Raises
    ------
    DataError
        If the search names a parameter that the model does not have.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from mmfusion.evaluation.tasks import ClassificationTask
    >>> X = pd.DataFrame({"age": [50.0, 60.0, 70.0, 80.0]}, index=["p1", "p2", "p3", "p4"])
    >>> y = pd.Series(["I", "II", "I", "II"], index=X.index)
    >>> place = FoldPlace(0, 0, np.array([0, 1]), np.array([2, 3]), 0, X.index.to_numpy())
    >>> task, majority = ClassificationTask(("I", "II")), Candidate("majority", DummyClassifier())
    >>> evaluate_fold(task, majority, X, y, place).patients
    ('p3', 'p4')
    """
    start = time.perf_counter()
    rows = place.train
    if candidate.one_row_a_person:
        rows = rows[~pd.Index(place.person_ids[rows]).duplicated()]
    rows = task.subsample(rows, y, candidate.train_fraction, place.seed)
    X_train, y_train = X.iloc[rows], y.iloc[rows]
    # the whole cohort has been probed for leaks, so the fits inside need not do it again
    with probed(), own_filters("default") as others, gathered() as own:
        person_ids, params, trials = place.person_ids[rows], {}, []
        if candidate.search:
            params, trials = _search(task, candidate, X_train, y_train, person_ids, place.seed)
        model = _seeded(candidate.estimator, place.seed).set_params(**params)
        with measured() as cost:
            model = fit_by_person(model, X_train, y_train, person_ids)
            predictions = task.predict(model, X.iloc[place.test], y.iloc[place.test])
    # some models are not kept: an SVC holds rows of patients, and an extractor may have no saved form
    savable = getattr(model, "is_savable", True)
    bundle = place.bundle if savable else None
    if bundle is not None:
        model.save(bundle)
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
        params={**params, **getattr(model, "chosen_", {})},
        trials=trials,
        history=_by_member(getattr(model, "history_", [])),
        bundle=str(bundle) if bundle else None,
        savable=savable,
        seconds=time.perf_counter() - start,
        cpu_seconds=cost.cpu_seconds,
        peak_mib=cost.peak_mib,
        warnings=_texts(own, others),
    )


def _by_member(history: Sequence[object]) -> Sequence[Sequence[Mapping[str, object]]]:
    """Return the losses by network and epoch; a model of one network has them by epoch only."""
    return [history] if history and isinstance(history[0], Mapping) else history


def _texts(own: Sequence[Given], others: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return each warning once, those of this library and those of other packages."""
    texts = {f"{given.category.__name__}: {given.text}" for given in own}
    return tuple(sorted(texts | {f"{w.category.__name__}: {w.message}" for w in others}))


def fit_by_person(
    model: BaseEstimator, X: pd.DataFrame, y: Labels, person_ids: Sequence[object]
) -> BaseEstimator:
    """Fit a model; if its `fit` takes `groups`, it learns which rows belong to the same person.

    Parameters
    ----------
    model : estimator
        It is fitted in place.
    X : DataFrame, shape (n, n_columns)
        Training rows.
    y : Series or DataFrame, first axis n
        Their labels.
    person_ids : sequence, shape (n,)
        Person of each row.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> X = pd.DataFrame({"age": [50.0, 60.0]})
    >>> fit_by_person(DummyClassifier(), X, pd.Series(["I", "II"]), ["p1", "p2"]).classes_.tolist()
    ['I', 'II']
    """
    persons = {"groups": np.asarray(person_ids)} if has_fit_parameter(model, "groups") else {}
    return model.fit(X, y, **persons)


def _search(
    task: Task, candidate: Candidate, X: pd.DataFrame, y: Labels, person_ids: np.ndarray, seed: int
) -> tuple[dict, list]:
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
        with (
            silenced("optuna", "mmfusion", category=optuna.exceptions.ExperimentalWarning),
            silenced("optuna", "optuna_integration", category=FutureWarning),  # of a part that it will lose
        ):
            folds = task.inner_folds(X, y, person_ids, candidate.inner, seed)
            search = OptunaSearchCV(
                estimator, space, cv=folds, n_trials=candidate.n_trials, scoring=task.score, study=study,
                error_score="raise", refit=False,
            )  # fmt: skip
            try:
                search.fit(X, y)
            except TypeError:  # optuna hides an error of an inner fold; the same trial again shows it
                failed = clone(estimator).set_params(**study.trials[-1].params)
                cross_val_score(failed, X, y, cv=folds, scoring=task.score, error_score="raise")
                raise
    finally:
        optuna.logging.set_verbosity(level)
    trials = [{"value": t.value, **t.params} for t in study.trials]
    # of equal trials the first, although the last digits of their values depend on the processor
    best = max(study.trials, key=lambda trial: round(trial.value, 10))
    return dict(best.params), trials


def _holds(distribution: BaseDistribution, value: object) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution._contains(distribution.to_internal_repr(value))


def _seeded(estimator: BaseEstimator, seed: int) -> BaseEstimator:
    """Return a clone in which every parameter `random_state` is the seed of the fold."""
    model = clone(estimator)
    names = [n for n in model.get_params() if n == "random_state" or n.endswith("__random_state")]
    return model.set_params(**dict.fromkeys(names, seed))
