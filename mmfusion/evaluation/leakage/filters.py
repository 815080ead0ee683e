"""Demonstrations of statistics that are computed on all patients before the folds.

A filter that looks at the labels chooses, from thousands of genes, those that differ between the classes by
chance. If the test patients were among those it looked at, the genes differ in them too. An imputer, a scaler
and a filter by variance do not look at the labels, and change almost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mmfusion.evaluation.leakage.demos import PROTOCOLS, demo_rows, repeats
from mmfusion.evaluation.leakage.registry import register_demo
from mmfusion.evaluation.leakage.tables import SIGNALS, cross_validated_auc, gaussian_table

FILTER, PREPARE = "genes", "preprocessing"
_AUC = 0.95  # best possible, in the planted cohorts
_MISSING = 0.1  # share of the cells


@register_demo(
    "D2",
    FILTER,
    title="genes chosen by the labels of all patients",
    leaky="An F test on all patients chooses the genes; then the folds are made.",
    honest="In each fold, the F test sees the training patients only.",
    rows=("L-7",),
    n_rep=8,
    best=_AUC,
)
def gene_filter_demo(
    seed: int = 0,
    n_rep: int = 8,
    *,
    n: int = 117,
    positives: int = 23,
    n_genes: int = 20_000,
    kept: int = 100,
    folds: int = 5,
) -> pd.DataFrame:
    """Choose genes by an F test and predict two classes, with the test before the folds and inside.

    Parameters
    ----------
    seed, n_rep : int
        Seed, and number of repeats, each with its own patients.
    n, positives : int
        Number of patients, and of those of the second class. The default is that of NSCLC-Radiogenomics.
    n_genes, kept : int
        Number of genes, and number of those that the test keeps.
    folds : int
        Number of folds.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metric `auc`, the mean over the folds, of a naive Bayes classifier. In the
        cohort "planted" ten genes have information, and the best possible AUC is 0.95.

    References
    ----------
    Ambroise and McLachlan 2002, PNAS 99(10):6562-6566.

    Examples
    --------
    >>> from mmfusion.evaluation.leakage import demo_gaps
    >>> gaps = demo_gaps(gene_filter_demo(n_rep=1, n_genes=2000))
    >>> bool(gaps.loc[("genes", "null", "auc"), "gap"] > 0.25)
    True
    """
    steps = SelectKBest(f_classif, k=kept), GaussianNB()
    cohorts = {"n": n, "p": n_genes, "positives": positives, "informative": 10}
    return pd.concat(list(_both(FILTER, *steps, seed=seed, n_rep=n_rep, folds=folds, missing=0.0, **cohorts)))


@register_demo(
    "D9",
    PREPARE,
    title="imputer, filter by variance and scaler fitted on all patients",
    leaky="Medians, variances, means and scales are computed on all patients; then the folds are made.",
    honest="They are computed on the training patients of each fold.",
    rows=("L-7",),
    n_rep=8,
    best=_AUC,
)
def preprocessing_demo(
    seed: int = 0,
    n_rep: int = 8,
    *,
    n: int = 117,
    positives: int = 40,
    n_genes: int = 1000,
    kept: int = 300,
    folds: int = 5,
) -> pd.DataFrame:
    """Impute, filter by variance and scale, before the folds (leaky) and inside (honest).

    None of these steps sees a label, so that the difference is expected to be near 0. They belong inside the
    folds nevertheless: this is as easy, and the next step that is added may see the labels.

    Parameters
    ----------
    seed, n_rep : int
        Seed, and number of repeats, each with its own patients.
    n, positives : int
        Number of patients, and of those of the second class.
    n_genes, kept : int
        Number of genes, and number of those with the highest variance that are kept.
    folds : int
        Number of folds.

    Returns
    -------
    DataFrame
        Columns `DEMO_COLUMNS`. Metric `auc`, the mean over the folds, of a logistic regression.

    Examples
    --------
    >>> sorted(preprocessing_demo(n_rep=1, n_genes=100, kept=50)["protocol"].unique())
    ['honest', 'leaky']
    """
    steps = SimpleImputer(strategy="median"), SelectKBest(_variance, k=kept), StandardScaler()
    before, model = make_pipeline(*steps), LogisticRegression(C=0.01)
    cohorts = {"n": n, "p": n_genes, "positives": positives, "informative": 10}
    runs = _both(PREPARE, before, model, seed=seed, n_rep=n_rep, folds=folds, missing=_MISSING, **cohorts)
    return pd.concat(list(runs), ignore_index=True)


def _variance(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return X.var(axis=0)


def _both(
    demo: str,
    before: BaseEstimator,
    model: BaseEstimator,
    *,
    seed: int,
    n_rep: int,
    folds: int,
    missing: float,
    **cohort: int,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of both cohorts and both protocols, with the step `before` the folds or inside."""
    for rep in repeats(n_rep):
        for number, signal in enumerate(SIGNALS):
            rng = np.random.default_rng([seed, rep, number])
            given = {**cohort, "informative": cohort["informative"] if signal == "planted" else 0}
            X, y = gaussian_table(rng=rng, auc=_AUC, **given)
            X *= rng.uniform(0.5, 2.0, X.shape[1])  # genes differ in their variance
            X[rng.random(X.shape) < missing] = np.nan
            for protocol in PROTOCOLS:
                inside = Pipeline([("before", before), ("model", model)])
                inputs, estimator = X, inside
                if protocol == "leaky":
                    inputs, estimator = before.fit_transform(X, y), model
                auc = cross_validated_auc(estimator, inputs, y, folds, seed + rep)
                yield demo_rows(demo, protocol, signal, rep, auc=auc)
