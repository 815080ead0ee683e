"""Nested cross-validation: the one way in which the library reports how well a model does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from sklearn.base import BaseEstimator

from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.folds import Candidate
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.runner import Runner, Variant
from mmfusion.evaluation.store import FoldStore, setting_hash
from mmfusion.evaluation.tasks import Task, task_for
from mmfusion.modalities import META


def nested_cv(
    model: BaseEstimator,
    cohort: Cohort,
    *,
    search: Mapping[str, object] | None = None,
    n_trials: int = 6,
    outer: int | Splits = 5,
    inner: int = 3,
    repeats: int = 1,
    baselines: bool | Mapping[str, BaseEstimator] = True,
    learning_curve: Sequence[float] = (),
    random_state: int = 0,
    where: str = "auto",
    n_jobs: int | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    progress: bool = True,
    **beside: object,
) -> NestedResult:
    """Judge `model`, and what stands beside it, on outer folds that nothing was chosen on.

    Per outer fold: Optuna searches `search` on inner folds of the training rows, the best setting is refitted on
    all training rows, and the test rows are predicted once. Variants of the model and the learning curve use that
    fold's setting. Baselines have their own inner folds.

    What a fold is judged by depends on the kind of the cohort's target (`mmfusion.evaluation.tasks`): classes by
    macro-AUC, vectors by correlation, masks by overlap.

    Parameters
    ----------
    model : estimator
        A `StageClassifier`, or any estimator that reads `cohort.X` and follows scikit-learn's protocol. It
        may have more: `short_name`, what reports call it; `modalities`, what it reads; `resolved_params()`,
        its parameters with defaults filled in; `save(folder)`; `history_`, losses by member and epoch;
        `allow_leaky`, true to accept inputs that give the label away; and `variants`, see `beside`.
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
    baselines : bool or mapping
        The standard baselines of the task (`standard_baselines` of classes), others by name, or none.
    learning_curve : sequence of float
        Shares of the training rows on which the model and the baseline that it is compared with are fitted again.
    random_state : int
        Seed of splits and fits.
    where, n_jobs
        Where folds run (`mmfusion.compute.backend`); the numbers do not depend on it.
    out : path, optional
        Folder that keeps finished folds: the same call resumes from them, unless the data, the setting, a library or
        code that can change them has changed (`mmfusion.evaluation.store`). Each fold's model is saved there.
    name : str, optional
        What to call `model`; default its `short_name`, or its class.
    progress : bool
        Show a bar.
    **beside
        What to judge beside the model at each fold's setting: options of its method
        `variants(modalities, **options) -> {name: (changed parameters, modalities read)}`. Of a `StageClassifier`:
        `fusions=["concat"]`, other fusions, and `singles=True`, the model on each modality alone.

    Returns
    -------
    NestedResult
        Predictions of every model on the same patients, with their metrics, intervals and paired differences.

    Raises
    ------
    DataError
        If a class has fewer patients than folds, a patient has no modality at all, or the model has no such variants.
    LeakageError
        If an input determines the label or is forbidden by the target, or `outer` parts the rows of one person.
    """
    start = time.perf_counter()
    X, y = cohort.X, cohort.y
    _check(X, cohort)
    task = task_for(cohort)
    person_ids = cohort.groups.loc[X.index, "patient"].astype(str)
    if not getattr(model, "allow_leaky", False):
        one_each = ~person_ids.duplicated()  # two scans of one person tell each other's label
        check_forbidden(_read_columns(X), cohort.target_spec)
        assert_no_leak(X[one_each], y[one_each], cohort.target_spec)
    if isinstance(outer, Splits):
        splits = outer
        _check_apart(splits, person_ids)
    else:
        splits = task.splits(y, person_ids, n_splits=outer, n_repeats=repeats, random_state=random_state)
    own = name or getattr(model, "short_name", None) or type(model).__name__
    main = Candidate(own, model, _inputs(model, cohort), search, n_trials, inner)
    variants = [v for v in _variants(model, cohort, beside) if v.name != own]
    simple = _baselines(task, cohort, wanted=baselines, inner=inner, random_state=random_state)
    _check_names([own, *(c.name for c in simple), *(v.name for v in variants)])
    folder = Path(out) / "folds" if out else None
    store = FoldStore(folder, task, lambda: setting_hash(cohort, splits, random_state))
    where = {"where": where, "n_jobs": n_jobs, "progress": progress}
    runner = Runner(task, X, y, person_ids, splits, store, seed=random_state, where=where)

    results = runner.run([main, *simple], "outer folds", keep=own)
    params = {(r.repeat, r.fold): r.params for r in results if r.model == own}
    results += runner.run_at(main, params, variants, "variants")
    shares = [share for share in learning_curve if share != 1]
    results += runner.run_at(
        main, params, [Variant(own, {}, main.inputs, f) for f in shares], "learning curve"
    )
    reference = [replace(c, train_fraction=f) for c in simple if c.name == task.reference for f in shares]
    results += runner.run(reference, "learning curve of the baseline")
    settings = {
        "outer": splits.n_splits,
        "repeats": splits.n_repeats,
        "inner": inner,
        "n_trials": n_trials if search else 0,
        "search": {k: str(v) for k, v in (search or {}).items()},
        "random_state": random_state,
        "model": {k: repr(v) for k, v in model.get_params(deep=False).items()},
    }
    seconds = time.perf_counter() - start
    return NestedResult.from_folds(results, cohort, task, main=own, settings=settings, seconds=seconds)


def _variants(model: BaseEstimator, cohort: Cohort, options: Mapping[str, object]) -> list[Variant]:
    """Return what the model offers to judge beside it."""
    if not hasattr(model, "variants"):
        if any(options.values()):
            name = type(model).__name__
            raise DataError(
                f"{name} offers no variants",
                got=", ".join(options),
                hint="judge them as baselines={name: model}",
            )
        return []
    try:
        found = model.variants(list(cohort.modalities), **options)
    except TypeError as error:
        raise DataError(f"the model's variants do not take this: {error}", got=", ".join(options)) from error
    return [Variant(name, changes, tuple(inputs)) for name, (changes, inputs) in found.items()]


def _baselines(
    task: Task,
    cohort: Cohort,
    *,
    wanted: bool | Mapping[str, BaseEstimator],
    inner: int,
    random_state: int,
) -> list[Candidate]:
    """Return the baselines asked for; their own inner folds know nothing of persons."""
    models = wanted if isinstance(wanted, Mapping) else {}
    if wanted is True:
        models = task.baselines(cohort.modalities, inner=inner, random_state=random_state)
    return [Candidate(name, e, _inputs(e, cohort), one_row_a_person=True) for name, e in models.items()]


def _inputs(estimator: BaseEstimator, cohort: Cohort) -> tuple[str, ...]:
    """Return the modalities that an estimator reads: those it names, else all."""
    named = getattr(estimator, "modalities", None)
    return tuple(cohort.modalities if named is None else named)


def _check(X: pd.DataFrame, cohort: Cohort) -> None:
    if X.empty:
        raise DataError("no patient has a label", file=cohort.name, hint="choose another target")
    nothing = X.index[~presence(X).any(axis=1)]
    if len(nothing):
        raise DataError(
            "a patient has no modality at all", patient=", ".join(map(str, nothing[:5])), file=cohort.name
        )


def _read_columns(X: pd.DataFrame) -> list[tuple[str, object]]:
    """Return the columns that a model may read: not `meta`, nor the reserved columns of scans."""
    return [(m, f) for m in X.columns.unique(0) if m != META for f in feature_names(X[m], m)]


def _check_apart(splits: Splits, person_ids: pd.Series) -> None:
    """Refuse splits in which a person is learned from and judged on in one fold, by another row."""
    for train, test in splits.split(person_ids.index):
        both = set(person_ids.iloc[train]) & set(person_ids.iloc[test])
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
