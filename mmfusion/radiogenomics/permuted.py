"""Runs on permuted labels: what a model reaches where there is nothing to find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from mmfusion.data.cohort import Cohort
from mmfusion.errors import check_seed, check_whole
from mmfusion.evaluation import nested_cv
from mmfusion.evaluation.leakage import probed


def permute_labels(cohort: Cohort, random_state: int = 0) -> Cohort:
    """Return the same cohort with the outcomes exchanged at random between the patients with a label.

    All outcomes of a patient go to one other patient. The inputs do not change.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    random_state : int
        Seed of the permutation.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> cohort = radiomics_phantom(20)
    >>> permuted = permute_labels(cohort)
    >>> permuted.y.value_counts().equals(cohort.y.value_counts()), permuted.y.equals(cohort.y)
    (True, False)
    """
    check_seed(random_state)
    labelled = cohort.X.index
    order = np.random.default_rng(random_state).permutation(len(labelled))
    outcomes = cohort.outcomes.copy()
    outcomes.loc[labelled] = cohort.outcomes.loc[labelled[order]].to_numpy()
    return replace(cohort, name=f"{cohort.name}, labels permuted", outcomes=outcomes)


def permuted_runs(
    model: BaseEstimator, cohort: Cohort, n: int = 5, *, random_state: int = 0, **options: object
) -> pd.DataFrame:
    """Judge a model on several permutations of the labels, as it was judged on the true labels.

    Parameters
    ----------
    model : estimator
        As for `mmfusion.nested_cv`.
    cohort : Cohort
        The cohort with its true labels.
    n : int
        Number of permutations.
    random_state : int
        Seed of the folds and of the first permutation; the seeds of the others follow.
    **options
        Further options of `mmfusion.nested_cv`, such as `outer`.

    Returns
    -------
    DataFrame, n rows
        Columns seed, mean, lo, hi: the primary metric with its 95 % interval over patients.

    Examples
    --------
    >>> from mmfusion.radiogenomics import ClinicalClassifier
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> options = {"outer": 2, "where": "serial"}
    >>> permuted_runs(ClinicalClassifier("sex_smoking"), radiomics_phantom(60), 2, **options).columns.tolist()
    ['seed', 'mean', 'lo', 'hi']
    """
    check_whole("n", n)
    check_seed(random_state)
    rows = []
    quick = {"baselines": False, "progress": False, "random_state": random_state} | options
    with probed():  # the inputs are those of the true labels, which were probed
        for seed in range(random_state, random_state + n):
            result = nested_cv(model, permute_labels(cohort, seed), name="permuted", **quick)
            row = result.scores[result.task.primary].loc["permuted"]
            rows.append({"seed": seed, **{key: float(row[key]) for key in ("mean", "lo", "hi")}})
    return pd.DataFrame(rows)
