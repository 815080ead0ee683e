"""The benchmark of the stage model: all fusions and simple models on the same folds of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from sklearn.base import BaseEstimator
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from mmfusion.data.cohort import Cohort, presence
from mmfusion.data.load import load_cohort
from mmfusion.errors import DataError, check_list, check_whole, did_you_mean
from mmfusion.evaluation import NestedResult, nested_cv, tabular
from mmfusion.evaluation.baselines import forest, ridge, standard_baselines
from mmfusion.modalities import IMAGING, RESERVED
from mmfusion.registry import list_fusions
from mmfusion.staging.classifier import StageClassifier
from mmfusion.staging.report.study import SEARCH

# name of the cohort -> the target that has enough patients in each class
TARGETS = {"radiogenomics": "stage3_ajcc7"}
# optional models -> the packages that they need
OPTIONAL = {"catboost": "catboost", "tabm": "tabm"}


def load(name: str, root: str | Path | None = None) -> Cohort:
    """Return a cohort of the benchmark without its scans, or the demo cohort as it is.

    The public tables come without most of their scans. Of TCGA-LUAD, the patients with RNA and health records
    are kept, as in published comparisons.

    Parameters
    ----------
    name : str
        "demo", "lung1", "radiogenomics", "tcga_luad", or a manifest.
    root : path, optional
        Folder with the files of the cohort.
    """
    cohort = load_cohort(name, root=root, target=TARGETS.get(name))
    if name not in ("lung1", "radiogenomics", "tcga_luad"):
        return cohort
    scans = [c for c in cohort.table.columns if c[0] in IMAGING and c[1] in RESERVED]
    cohort = replace(cohort, table=cohort.table.drop(columns=scans))
    if name == "tcga_luad":
        complete = presence(cohort.X).all(axis=1)
        cohort = cohort.select(patients=complete.index[complete])
    return cohort


def simple_models(cohort: Cohort, seed: int) -> dict[str, BaseEstimator]:
    """Return the models without a fusion network: name -> estimator; optional ones only if installed."""
    models = standard_baselines(cohort.modalities, random_state=seed)
    models["elastic net"] = tabular.elastic_net(random_state=seed)
    models["boosting"] = tabular.boosting(random_state=seed)
    for name, package in OPTIONAL.items():
        if find_spec(package):
            models[name] = getattr(tabular, name)(random_state=seed)
    return models


def combinations(model: StageClassifier, seed: int) -> dict[str, BaseEstimator]:
    """Return combinations of the fusion network with simple models: name -> estimator.

    "mean of three" is the mean probability of the network, ridge and the forest. "stack" learns their weights
    by a logistic regression on their predictions for left-out rows (Wolpert 1992, Neural Networks 5:241).
    """
    parts = [
        (model.fusion, model),
        ("ridge", ridge(random_state=seed)),
        ("forest", forest(random_state=seed)),
    ]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    stack = StackingClassifier(parts, LogisticRegression(C=0.1), cv=folds, stack_method="predict_proba")
    return {"mean of three": VotingClassifier(parts, voting="soft"), "stack": stack}


def run(
    cohort: Cohort,
    *,
    model: StageClassifier | None = None,
    only: Sequence[str] = (),
    outer: int = 5,
    repeats: int = 4,
    trials: int = 3,
    inner: int = 2,
    out: str | Path | None = None,
    seed: int = 0,
    where: str = "auto",
    n_jobs: int | None = None,
    progress: bool = False,
) -> NestedResult:
    """Judge all models of the benchmark on the same folds; finished folds in `out` are not repeated.

    Inner folds choose the parameters of the default fusion. The other fusions and the single modalities use
    the same parameters. Combinations have the default parameters.

    Parameters
    ----------
    cohort : Cohort
        Patients of the benchmark.
    model : StageClassifier, optional
        The model that is searched; default `StageClassifier()`.
    only : sequence of str
        Names of simple models, combinations and fusions to judge; default all. `model` and ridge are always
        judged.
    outer, repeats, trials, inner
        Outer folds, their repeats, trials of the search, and its inner folds. With `trials=0` there is no
        search.
    out, seed, where, n_jobs, progress
        As for `nested_cv`.

    Raises
    ------
    DataError
        If the model is no `StageClassifier`, `only` has an unknown name, or `trials` is no whole number of 0
        or more.
    """
    check_whole("trials", trials, 0)
    check_list(only=only)
    model = StageClassifier() if model is None else model
    if not isinstance(model, StageClassifier):
        raise DataError("not a stage model", parameter="model", expected="a StageClassifier", got=model)
    beside = simple_models(cohort, seed) | combinations(model, seed)
    fusions = [name for name in list_fusions().index if name != model.fusion]
    known = [*beside, model.fusion, *fusions, "single modalities"]
    if unknown := [name for name in only if name not in known]:
        expected, hint = ", ".join(known), did_you_mean(unknown[0], known)
        raise DataError("no such model", parameter="only", expected=expected, got=unknown[0], hint=hint)
    wanted = set(only or known) | {"ridge"}
    return nested_cv(
        model,
        cohort,
        search=SEARCH if trials else None,
        n_trials=max(1, trials),
        outer=outer,
        repeats=repeats,
        inner=inner,
        baselines={name: one for name, one in beside.items() if name in wanted},
        fusions=[name for name in fusions if name in wanted],
        singles="single modalities" in wanted,
        random_state=seed,
        where=where,
        n_jobs=n_jobs,
        out=out,
        progress=progress,
    )
