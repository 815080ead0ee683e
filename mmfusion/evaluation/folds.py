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
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score

import mmfusion.nn.training  # noqa: F401 - loky takes a library loaded after a worker's first task for a memory leak
from mmfusion.errors import DataError
from mmfusion.evaluation.leakage import probed
from mmfusion.evaluation.scoring import macro_auc_scorer


@dataclass(frozen=True)
class Candidate:
    """A named model to be judged.

    Parameters
    ----------
    name : str
        As the report calls it.
    estimator : classifier
        Cloned for every fit.
    inputs : tuple of str
        Modalities that it reads.
    search : mapping, optional
        Parameter name to an Optuna distribution, or to a list of choices; searched on inner folds.
    n_trials, inner : int
        Trials and inner folds of the search.
    train_fraction : float
        Share of the training rows used (stratified), for learning curves.
    one_row_a_person : bool
        Learn from the first row of each person only: for a model whose own inner folds know nothing of people.
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


@dataclass
class FoldTask:
    """Where in the cross-validation a candidate is fitted and judged; `people` are those of all rows, shape (n,)."""

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    seed: int
    people: np.ndarray
    bundle: Path | None = None


def evaluate_fold(candidate: Candidate, X: pd.DataFrame, y: pd.Series, task: FoldTask) -> dict[str, object]:
    """Fit `candidate` on the training rows of one outer fold, and predict its test rows.

    Returns
    -------
    dict
        JSON values: model, label, inputs, train_fraction, repeat, fold, patients, people, y_true, classes, proba
        (n_test, K), params, trials, history, n_train, bundle, seconds, warnings.
    """
    start = time.perf_counter()
    rows = task.train
    if candidate.one_row_a_person:
        rows = rows[~pd.Index(task.people[rows]).duplicated()]
    rows = _subsample(rows, y, candidate.train_fraction, task.seed)
    X_train, y_train = X.iloc[rows], y.iloc[rows]
    with probed(), warnings.catch_warnings(record=True) as caught:  # the whole cohort was probed once
        warnings.simplefilter("default")
        if candidate.search:
            model, params, trials = _search(candidate, X_train, y_train, task.people[rows], task.seed)
        else:
            model, params, trials = _seeded(candidate.estimator, task.seed).fit(X_train, y_train), {}, []
        proba = model.predict_proba(X.iloc[task.test])
    if task.bundle is not None:
        model.save(task.bundle)
    return {
        "model": candidate.name,
        "label": candidate.label,
        "inputs": list(candidate.inputs),
        "train_fraction": candidate.train_fraction,
        "repeat": task.repeat,
        "fold": task.fold,
        "patients": [str(p) for p in X.index[task.test]],
        "people": [str(p) for p in task.people[task.test]],
        "y_true": [str(v) for v in y.iloc[task.test]],
        "classes": [str(c) for c in model.classes_],
        "proba": np.round(proba, 12).tolist(),
        "params": params,
        "trials": trials,
        "history": getattr(model, "history_", []),
        "n_train": len(rows),
        "bundle": str(task.bundle) if task.bundle else None,
        "seconds": time.perf_counter() - start,
        "warnings": sorted({f"{w.category.__name__}: {w.message}" for w in caught}),
    }


def _search(
    candidate: Candidate, X: pd.DataFrame, y: pd.Series, people: np.ndarray, seed: int
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
    start = {name: estimator.get_params()[name] for name in space}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=seed))
        if all(_holds(space[name], value) for name, value in start.items()):
            study.enqueue_trial(start)  # the default is one of the trials
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            grouped = pd.Index(people).has_duplicates
            kind = StratifiedGroupKFold if grouped else StratifiedKFold
            splitter = kind(candidate.inner, shuffle=True, random_state=seed)
            folds = list(splitter.split(X, y, people if grouped else None))
            search = OptunaSearchCV(
                estimator, space, cv=folds, n_trials=candidate.n_trials, scoring=macro_auc_scorer, study=study,
                error_score="raise",
            )  # fmt: skip
            try:
                search.fit(X, y)
            except (
                TypeError
            ):  # what is left of an error in an inner fold: the same trial again says what it was
                failed = clone(estimator).set_params(**study.trials[-1].params)
                cross_val_score(failed, X, y, cv=folds, scoring=macro_auc_scorer, error_score="raise")
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


def _subsample(rows: np.ndarray, y: pd.Series, fraction: float, seed: int) -> np.ndarray:
    if fraction >= 1.0:
        return rows
    rng = np.random.default_rng(seed)
    keep = []
    for _, members in y.iloc[rows].groupby(y.iloc[rows], observed=True).groups.items():
        of_class = rows[y.index[rows].isin(members)]
        n = max(2, round(fraction * len(of_class)))
        keep.append(rng.choice(of_class, size=min(n, len(of_class)), replace=False))
    return np.sort(np.concatenate(keep))
