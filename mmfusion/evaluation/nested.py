"""Nested cross-validation: the one way in which the library reports how well a model does."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from sklearn.base import BaseEstimator, clone

from mmfusion import compute
from mmfusion.data.cohort import Cohort, presence
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.baselines import PriorWhereAbsent, standard_baselines
from mmfusion.evaluation.folds import Candidate, FoldTask, evaluate_fold
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.store import FoldStore, setting_hash

log = logging.getLogger(__name__)


def nested_cv(
    model: BaseEstimator,
    cohort: Cohort,
    *,
    search: Mapping[str, object] | None = None,
    n_trials: int = 6,
    outer: int | Splits = 5,
    inner: int = 3,
    repeats: int = 1,
    fusions: Sequence[str] = (),
    singles: bool = False,
    baselines: bool | Mapping[str, BaseEstimator] = True,
    learning_curve: Sequence[float] = (),
    random_state: int = 0,
    where: str = "auto",
    n_jobs: int | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    progress: bool = True,
) -> NestedResult:
    """Judge `model`, and what stands beside it, on outer folds that nothing was chosen on.

    Per outer fold: Optuna searches `search` on inner folds of the training rows, the best setting is refitted on
    all training rows, and the test rows are predicted once. The other fusions, the single modalities and the
    learning curve use that fold's setting. Baselines have their own inner folds.

    Parameters
    ----------
    model : classifier
        A `StageClassifier`, or any classifier that reads `cohort.X`.
    cohort : Cohort
        Its labelled patients are split by patient.
    search : mapping, optional
        Parameter to an Optuna distribution or a list of choices; None fits `model` as it is.
    n_trials, inner : int
        Optuna trials, the model's own setting first, and inner folds.
    outer : int or Splits
        Outer folds, or splits made or loaded before.
    repeats : int
        Repeats of the outer folds, each with another shuffle.
    fusions : sequence of str
        Other fusions to judge at the fold's setting.
    singles : bool
        Judge the model on each modality alone too.
    baselines : bool or mapping
        The standard baselines (`standard_baselines`), others by name, or none.
    learning_curve : sequence of float
        Shares of the training rows on which the model and the ridge are fitted again.
    random_state : int
        Seed of splits and fits.
    where, n_jobs
        Where folds run (`mmfusion.compute.backend`); the numbers do not depend on it.
    out : path, optional
        Folder that keeps finished folds: the same call resumes from them. The model of each outer fold is saved there.
    name : str, optional
        What to call `model`; default its fusion, or its class.
    progress : bool
        Show a bar.

    Returns
    -------
    NestedResult
        Predictions of every model on the same patients, with their metrics, intervals and paired differences.

    Raises
    ------
    DataError
        If a class has fewer patients than folds, or a patient has no modality at all.
    LeakageError
        If an input determines the label, or `outer` parts the rows of one person.
    """
    start = time.perf_counter()
    X, y = cohort.X, cohort.y
    _check(X, cohort)
    people = cohort.groups.loc[X.index, "patient"].astype(str)
    if not getattr(model, "allow_leaky", False):
        one_each = ~people.duplicated()  # two scans of one person tell each other's label
        assert_no_leak(X[one_each], y[one_each])
    if isinstance(outer, Splits):
        splits = outer
        _check_apart(splits, people)
    else:
        splits = Splits.make(y, groups=people, n_splits=outer, n_repeats=repeats, random_state=random_state)
    main = Candidate(
        name or getattr(model, "fusion", type(model).__name__),
        model,
        tuple(cohort.modalities),
        search,
        n_trials,
        inner,
    )
    simple = baselines if isinstance(baselines, Mapping) else {}
    if baselines is True:
        simple = standard_baselines(cohort.modalities, inner=inner, random_state=random_state)
    variants = _variants(main, cohort, fusions, singles)
    first = [
        main,
        *(Candidate(k, e, _inputs(e, cohort), one_row_a_person=True) for k, e in simple.items()),
    ]
    _check_names([c.name for c in first] + [name for name, *_ in variants])
    setting = setting_hash(cohort, first, splits, random_state) if out else ""
    store = FoldStore(Path(out) / "folds" if out else None, setting)
    runner = _Runner(
        X, y, people, splits, store, random_state, {"where": where, "n_jobs": n_jobs, "progress": progress}
    )

    results = runner.run(first, "outer folds", keep=main.name)
    params = {(r["repeat"], r["fold"]): r["params"] for r in results if r["model"] == main.name}
    results += runner.run_at(main, params, variants, "fusions and modalities")
    curve = [(main.name, {}, f) for f in learning_curve if f != 1]
    results += runner.run_at(main, params, curve, "learning curve")
    if "ridge" in simple:
        whole = next(c for c in first if c.name == "ridge")
        ridge = [replace(whole, train_fraction=f) for f in learning_curve if f != 1]
        results += runner.run(ridge, "learning curve of the ridge")
    settings = {
        "outer": splits.n_splits,
        "repeats": splits.n_repeats,
        "inner": inner,
        "n_trials": n_trials if search else 0,
        "search": {k: str(v) for k, v in (search or {}).items()},
        "random_state": random_state,
        "model": {k: repr(v) for k, v in model.get_params(deep=False).items()},
    }
    return NestedResult.from_folds(
        results, cohort, main=main.name, settings=settings, seconds=time.perf_counter() - start
    )


class _Runner:
    """Runs candidates over all outer folds, taking finished folds from the store."""

    def __init__(
        self,
        X: pd.DataFrame,
        y: pd.Series,
        people: pd.Series,
        splits: Splits,
        store: FoldStore,
        seed: int,
        where: dict,
    ) -> None:
        self.X, self.y, self.people, self.store, self.where = X, y, people.to_numpy(), store, where
        self.folds = [
            (i // splits.n_splits, i % splits.n_splits, train, test)
            for i, (train, test) in enumerate(splits.split(X.index))
        ]
        self.seed = seed

    def run(self, candidates: Sequence[Candidate], description: str, keep: str | None = None) -> list[dict]:
        """Every candidate on every fold; the models of candidate `keep` are saved beside its results."""
        return self._run([(c, *fold) for fold in self.folds for c in candidates], description, keep)

    def run_at(
        self, main: Candidate, params: Mapping[tuple, dict], variants: Sequence[tuple], description: str
    ) -> list[dict]:
        """Variants of the main candidate at the setting that each fold chose."""
        jobs = []
        for repeat, fold, train, test in self.folds:
            for name, changes, fraction in variants:
                estimator = clone(main.estimator).set_params(**{**params[repeat, fold], **changes})
                inputs = tuple(changes.get("modalities") or main.inputs)
                if "modalities" in changes:
                    estimator = PriorWhereAbsent(estimator, changes["modalities"])
                candidate = Candidate(name, estimator, inputs, train_fraction=fraction)
                jobs.append((candidate, repeat, fold, train, test))
        return self._run(jobs, description, None)

    def _run(self, jobs: list[tuple], description: str, keep: str | None) -> list[dict]:
        done, tasks = {}, []
        for candidate, repeat, fold, train, test in jobs:
            stored = self.store.get(candidate.label, repeat, fold)
            if stored is not None:
                done[candidate.label, repeat, fold] = stored
                continue
            bundle = self.store.path(candidate.label, repeat, fold) if candidate.name == keep else None
            bundle = bundle if bundle is not None and hasattr(candidate.estimator, "save") else None
            task = FoldTask(repeat, fold, train, test, self.seed + 100 * repeat + fold, self.people, bundle)
            tasks.append((candidate, self.X, self.y, task))
        if done:
            log.info("%d of %d folds were done before", len(done), len(jobs))
        for result in compute.run(evaluate_fold, tasks, description=description, **self.where):
            self.store.put(result)
            done[result["label"], result["repeat"], result["fold"]] = result
        return [done[candidate.label, repeat, fold] for candidate, repeat, fold, *_ in jobs]


def _check(X: pd.DataFrame, cohort: Cohort) -> None:
    if X.empty:
        raise DataError("no patient has a label", file=cohort.name, hint="choose another target")
    nothing = X.index[~presence(X).any(axis=1)]
    if len(nothing):
        raise DataError(
            "a patient has no modality at all", patient=", ".join(map(str, nothing[:5])), file=cohort.name
        )


def _check_apart(splits: Splits, people: pd.Series) -> None:
    """Nobody is learned from and judged on in one fold, by another row of the same person."""
    for train, test in splits.split(people.index):
        both = set(people.iloc[train]) & set(people.iloc[test])
        if both:
            raise LeakageError(
                "the splits part the rows of one person",
                patient=", ".join(sorted(both)[:5]),
                hint="make them with Splits.make(y, groups=cohort.groups['patient'])",
            )


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError("two models have one name", got=", ".join(twice), hint="nested_cv(..., name=...)")


def _variants(main: Candidate, cohort: Cohort, fusions: Sequence[str], singles: bool) -> list[tuple]:  # noqa: FBT001
    """(name, changed parameters, share of the training rows); a fusion's options mean nothing to another one."""
    changed = {name: {"fusion": name} for name in fusions if name != main.name}
    if singles:
        changed |= {f"{m} only": {"fusion": "concat", "modalities": [m]} for m in cohort.modalities}
    return [(name, {**changes, "fusion_options": None}, 1.0) for name, changes in changed.items()]


def _inputs(estimator: BaseEstimator, cohort: Cohort) -> tuple[str, ...]:
    if type(estimator).__name__ == "DummyClassifier":
        return ()
    return tuple(getattr(estimator, "modalities", None) or cohort.modalities)
