"""Demonstration of a leak through a supervised reducer: LDA fitted on all patients before cross-validation.

With more features than patients, LDA finds a direction that separates any two groups of the patients that it
was fitted on, even random ones. If it was fitted on the test patients too, they are separated as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmfusion.data.cohort import Cohort
from mmfusion.data.load import load_cohort
from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.demos import PROTOCOLS, demo_rows, repeats
from mmfusion.evaluation.leakage.real import folder_of
from mmfusion.evaluation.leakage.registry import register_demo
from mmfusion.exclusive import silenced
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.synthetic.radiomics import radiomics_phantom

DEMO = "LDA"
_MUTANTS = 0.2  # share in NSCLC-Radiogenomics, where 23 of 117 patients with radiomics are mutants


def _on_r01_egfr(root: str | Path, seed: int, n_rep: int) -> pd.DataFrame:
    cohort = load_cohort("r01_egfr", folder_of("r01_egfr", root)).complete(["ct"])
    return lda_demo(seed, n_rep, cohort=cohort)


@register_demo(
    "D1",
    DEMO,
    title="LDA fitted on all patients before the cross-validation",
    leaky="LDA reduces the features of all patients to one number; then the folds are made.",
    honest="In each fold, LDA is fitted on the training patients.",
    rows=("L-1",),
    n_rep=5,
    best=0.85,
    real={"r01_egfr": _on_r01_egfr},
)
def lda_demo(
    seed: int = 0,
    n_rep: int = 5,
    *,
    cohort: Cohort | None = None,
    modalities: Sequence[str] = ("ct",),
    n: int = 117,
    folds: int = 5,
) -> pd.DataFrame:
    """Predict two classes by LDA and QDA, with LDA before the folds (leaky) and inside (honest).

    Parameters
    ----------
    seed : int
        Seed of the patients and of all random choices.
    n_rep : int
        Number of repeats. Each has its own folds, and its own phantom or its own permutation.
    cohort : Cohort, optional
        Cohort whose target has two classes. It is used twice: with its labels, and with permuted labels. By
        default, phantoms of radiomics are used: "null", where nothing can be found, and "planted".
    modalities : sequence of str
        Modalities of the cohort that are read.
    n : int
        Number of patients of a phantom.
    folds : int
        Number of folds.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metrics `auc` and `macro_f1`, each as the mean over the folds.

    Raises
    ------
    DataError
        If there are not two classes, a class has fewer patients than folds, or there is no repeat.

    References
    ----------
    arXiv 2211.06620 reports an AUC of .93 for EGFR. The LDA among its published files has the class shares of
    all 109 patients, and the QDA that follows it those of a training fold.

    Examples
    --------
    >>> from mmfusion.evaluation.leakage import demo_gaps
    >>> gaps = demo_gaps(lda_demo(n_rep=1, n=60, folds=3))
    >>> bool(gaps.loc["LDA", "null", "auc"]["leaky"] > 0.8)
    True
    """
    runs: list[pd.DataFrame] = []
    for rep in repeats(n_rep):
        for name, X, y in _tables(cohort, n, seed, rep, modalities):
            _check_classes(y, folds)
            for protocol in PROTOCOLS:
                found = _scores(X, y == y.cat.categories[-1], protocol, folds, seed + rep)
                runs.append(demo_rows(DEMO, protocol, name, rep, **found))
    return pd.concat(runs, ignore_index=True)


def _tables(
    cohort: Cohort | None, n: int, seed: int, rep: int, modalities: Sequence[str]
) -> Iterator[tuple[str, pd.DataFrame, pd.Series]]:
    """Yield name, inputs and labels of each cohort of a repeat."""
    if cohort is None:
        for signal in ("null", "planted"):
            one = radiomics_phantom(n, 1000 * seed + rep, signal, mutants=_MUTANTS)
            yield signal, one.X[list(modalities)], one.y
        return
    X = cohort.select(modalities=list(modalities)).X
    order = np.random.default_rng([seed, rep]).permutation(len(X))
    yield cohort.name, X, cohort.y
    yield f"{cohort.name}, labels permuted", X, cohort.y.iloc[order].set_axis(X.index)


def _check_classes(y: pd.Series, folds: int) -> None:
    counts = y.value_counts()
    if len(counts) != 2 or counts.min() < folds:
        got = ", ".join(f"{k} {v}" for k, v in counts.items())
        raise DataError("unusable classes", expected=f"two, each with {folds} patients or more", got=got)


def _scores(X: pd.DataFrame, y: pd.Series, protocol: str, folds: int, seed: int) -> dict[str, float]:
    """Return AUC and macro-F1 as means over the folds."""
    before = make_pipeline(FlatTransformer(), StandardScaler(), LinearDiscriminantAnalysis())
    inputs, model = X, make_pipeline(before, QuadraticDiscriminantAnalysis())
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with silenced("sklearn", category=UserWarning):  # of LDA, about more features than patients
        if protocol == "leaky":
            inputs, model = before.fit_transform(X, y), model[-1]
        found = cross_validate(
            model, inputs, y.to_numpy(), cv=splitter, scoring=["roc_auc", "f1_macro"], error_score="raise"
        )
    return {"auc": found["test_roc_auc"].mean(), "macro_f1": found["test_f1_macro"].mean()}
