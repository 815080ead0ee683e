"""Nested cross-validation, from which the library computes every reported performance."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from sklearn.base import BaseEstimator

from mmfusion.compute import check_jobs
from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.data.duplicates import check_no_copied_profiles, check_no_duplicates
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError, LeakageError, check_seed
from mmfusion.evaluation.folds import Candidate
from mmfusion.evaluation.leakage.fitted import assert_unfitted
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.evaluation.options import check_options, check_plans
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.runner import Runner, Variant
from mmfusion.evaluation.store import FoldStore, setting_hash
from mmfusion.evaluation.tasks import Task, check_cohort, task_for
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
    keep: Sequence[str] = (),
    name: str | None = None,
    progress: bool = True,
    check_scans: bool = False,
    **beside: object,
) -> NestedResult:
    """Judge `model`, its variants and baselines on outer folds that were not used to choose parameters.

    In every outer fold, Optuna searches `search` on inner folds of the training rows, the best setting is
    refitted on all training rows, and the test rows are predicted once. Variants of the model and the
    learning curve use the setting of the fold. Baselines have inner folds of their own.

    The metric depends on the kind of the cohort's target (`mmfusion.evaluation.tasks`): macro-AUC for
    classes, correlation for vectors, overlap for masks.

    Parameters
    ----------
    model : estimator
        `StageClassifier`, or any estimator that reads `cohort.X` and follows scikit-learn's protocol. It may
        also have `short_name`, its name in reports; `inputs` or `modalities`, what it reads;
        `resolved_params()`, its parameters with defaults filled in; `save(folder)`; `history_`, losses by
        epoch, or by member and epoch; `chosen_`, parameters that its own inner folds chose; `allow_leaky`,
        True to accept inputs that determine the label; `check_rows(X)`, which raises an error for rows that
        cannot be predicted; and `variants`, see `beside`.
    cohort : Cohort
        Cohort with the patients. Those with a label are split such that the rows of a person stay together.
    search : mapping, optional
        Parameter name -> Optuna distribution or list of choices. Default: `model` is fitted as it is.
    n_trials, inner : int
        Number of Optuna trials, of which the first is the setting of `model` itself, and number of inner
        folds.
    outer : int or Splits
        Number of outer folds, or existing splits.
    repeats : int
        Number of repeats of the outer folds, each with another shuffle.
    baselines : bool or mapping
        True: the standard baselines of the task (`standard_baselines` for classes). False: none. Mapping:
        name -> estimator.
    learning_curve : sequence of float
        Shares of the training rows, in (0, 1). The model, and the baseline that it is compared with, are
        fitted again on each share.
    random_state : int
        Seed of the splits and fits.
    where, n_jobs
        Backend on which the folds run and number of jobs (`mmfusion.compute.backend`). The results do not
        depend on them.
    out : path, optional
        Folder for the results and the models of finished folds. The same call resumes from them, unless the
        data, the setting, a library or code that can change them has changed (`mmfusion.evaluation.store`).
    keep : sequence of str
        Names of variants and baselines whose models are saved too, beside those of `model`.
    name : str, optional
        Name of `model` in the result. Default: its `short_name`, or the name of its class.
    progress : bool
        Show a progress bar.
    check_scans : bool
        Compare all scans and expression profiles, and refuse two persons with the same scan or profile
        (`mmfusion.data.check_no_duplicates`). False compares the values of the genes only, and refuses
        copies.
    **beside
        Options of the model's method `variants(modalities, **options) -> {name: (changed parameters,
        modalities read)}`. These variants are judged too, at the setting of each fold. For a
        `StageClassifier`: `fusions=["concat"]` for other fusions, `singles=True` for the model on each
        modality alone. For a `LesionSegmenter`: `networks=["unet"]`, `singles=True`, `box_modes=["oracle"]`,
        and `settings={"name": {"augment": False}}` for any changed parameters.

    Returns
    -------
    NestedResult
        Predictions of all models on the same patients, with metrics, intervals and paired differences.

    Raises
    ------
    DataError
        If a class has fewer patients than folds, if a patient has no modality at all, if an option is out of
        range, or if the model does not have such variants.
    LeakageError
        If an input determines the label or is forbidden by the target, if a part of the model was fitted on
        these patients before, if `outer` has a person in both the training rows and the test rows of a fold,
        or if two persons have one scan or one expression profile.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> ids = pd.Index([f"p{i}" for i in range(8)], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [50.0 + i for i in range(8)]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB"] * 4}, index=ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    >>> result = nested_cv(DummyClassifier(), cohort, **options)
    >>> result.scores.loc["DummyClassifier", ("macro_auc", "mean")].item()
    0.5
    """
    start = time.perf_counter()
    check_cohort(cohort)
    folds = {} if isinstance(outer, Splits) else {"outer": outer, "repeats": repeats}
    check_options(**folds, inner=inner, n_trials=n_trials)
    check_seed(random_state)
    check_jobs(n_jobs)
    check_plans(search, baselines, learning_curve, n_trials)
    X, y = cohort.X, cohort.y
    _check(X, cohort)
    (check_no_duplicates if check_scans else check_no_copied_profiles)(cohort)
    task = task_for(cohort)
    person_ids = cohort.groups.loc[X.index, "patient"].astype(str)
    if not getattr(model, "allow_leaky", False):
        one_each = (
            ~person_ids.duplicated()
        )  # two rows of one person have the same label and nearly the same inputs
        check_forbidden(_read_columns(X), cohort.target_spec)
        assert_no_leak(X[one_each], y[one_each], cohort.target_spec)
        assert_unfitted(model, cohort)
    if isinstance(outer, Splits):
        splits = outer
        _check_apart(splits, person_ids)
    else:
        splits = task.splits(y, person_ids, n_splits=outer, n_repeats=repeats, random_state=random_state)
    own = name or getattr(model, "short_name", None) or type(model).__name__
    main = Candidate(own, model, _inputs(model, cohort), search, n_trials, inner)
    # the model itself is among its variants, under its default name
    variants = [v for v in _variants(model, cohort, beside) if name is not None or v.name != own]
    simple = _baselines(task, cohort, wanted=baselines, inner=inner, random_state=random_state)
    for candidate in (main, *simple):
        if hasattr(candidate.estimator, "check_rows"):
            candidate.estimator.check_rows(X)
    every = [own, *(c.name for c in simple), *(v.name for v in variants)]
    _check_names(every)
    if unknown := [one for one in keep if one not in every]:
        raise DataError("no such model to keep", parameter="keep", expected=", ".join(every), got=unknown[0])
    folder = Path(out) / "folds" if out else None
    store = FoldStore(folder, task, lambda: setting_hash(cohort, splits, random_state))
    where = {"where": where, "n_jobs": n_jobs, "progress": progress}
    runner = Runner(task, X, y, person_ids, splits, store, seed=random_state, where=where)

    results = runner.run([main, *simple], "outer folds", keep=(own, *keep))
    params = {(r.repeat, r.fold): r.params for r in results if r.model == own}
    results += runner.run_at(main, params, variants, "variants", keep=keep)
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
    """Return the variants of the model that are judged too."""
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
    """Return the baselines; their inner folds do not keep the rows of a person together."""
    models = wanted if isinstance(wanted, Mapping) else {}
    if wanted is True:
        models = task.baselines(cohort.modalities, inner=inner, random_state=random_state)
    return [Candidate(name, e, _inputs(e, cohort), one_row_a_person=True) for name, e in models.items()]


def _inputs(estimator: BaseEstimator, cohort: Cohort) -> tuple[str, ...]:
    """Return the modalities that an estimator reads: its `inputs` or `modalities`, or all if it has none."""
    named = getattr(estimator, "inputs", getattr(estimator, "modalities", None))
    return tuple(cohort.modalities if named is None else named)


def _check(X: pd.DataFrame, cohort: Cohort) -> None:
    if X.empty:
        hint = "choose another target: cohort.with_target(name); masks are those of the target lesion"
        raise DataError(f"no patient has a label of {cohort.target}", file=cohort.name, hint=hint)
    nothing = X.index[~presence(X).any(axis=1)]
    if len(nothing):
        raise DataError(
            f"a patient has no modality at all that {cohort.target} may have as an input",
            patient=", ".join(map(str, nothing[:5])),
            file=cohort.name,
            expected=f"at least one of {', '.join(cohort.modalities)}",
            hint="leave these patients out: cohort.select(patients=...)",
        )


def _read_columns(X: pd.DataFrame) -> list[tuple[str, object]]:
    """Return the columns that a model may read: all but `meta` and the reserved columns of scans."""
    return [(m, f) for m in X.columns.unique(0) if m != META for f in feature_names(X[m], m)]


def _check_apart(splits: Splits, person_ids: pd.Series) -> None:
    """Raise a `LeakageError` if a person has training rows and test rows in the same fold."""
    for train, test in splits.split(person_ids.index):
        both = set(person_ids.iloc[train]) & set(person_ids.iloc[test])
        if both:
            raise LeakageError(
                "the splits separate the rows of one person",
                patient=", ".join(sorted(both)[:5]),
                hint="make them with Splits.make(y, groups=cohort.groups['patient'])",
            )


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            "two models have the same name", got=", ".join(twice), hint="nested_cv(..., name=...)"
        )
