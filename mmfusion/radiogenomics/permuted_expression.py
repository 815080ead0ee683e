"""Permutation null of an expression model: what it reaches if the patients are exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import clone

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, check_seed, check_whole
from mmfusion.evaluation.result import NestedResult
from mmfusion.metrics.regression import regression_metrics
from mmfusion.metrics.weighted import mean_available
from mmfusion.radiogenomics.expression import ExpressionRegressor, ridge_head
from mmfusion.radiogenomics.extraction import features_of

MEAN = "mean of the panel"


@dataclass(frozen=True, eq=False)
class ExpressionNull:
    """Correlations of an expression model, and those that it reaches on permuted expression.

    Attributes
    ----------
    observed : Series, index gene
        Pearson's correlation, mean over the test folds; the last entry is the mean over genes. NaN if it
        cannot be estimated, for example if a gene does not vary.
    null : DataFrame, shape (n_permutations, n_genes + 1)
        The same for each permutation of the patients.
    """

    observed: pd.Series
    null: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return a row per gene: pearson, null_mean, null_95 (95th percentile), p (one-sided).

        p is NaN if the correlation is NaN.

        Examples
        --------
        >>> null = pd.DataFrame({"EGFR": [0.0, 0.1, -0.1]})
        >>> float(ExpressionNull(pd.Series({"EGFR": 0.5}), null).table().loc["EGFR", "p"])
        0.25
        """
        beyond, drawn = (self.null >= self.observed).sum(), self.null.notna().sum()
        p = (1 + beyond) / (1 + drawn)
        return pd.DataFrame(
            {
                "pearson": self.observed,
                "null_mean": self.null.mean(),
                "null_95": self.null.quantile(0.95),
                "p": p.where(self.observed.notna() & (drawn > 0)),
            }
        )


def expression_null(
    model: ExpressionRegressor,
    cohort: Cohort,
    result: NestedResult,
    *,
    n_permutations: int = 200,
    random_state: int = 0,
) -> ExpressionNull:
    """Permute the expression between patients, and refit the last layer of a model on the same folds.

    The features of a fold do not depend on expression, so that the extractor is fitted only once per fold.

    Parameters
    ----------
    model : ExpressionRegressor
        It is cloned.
    cohort : Cohort
        Cohort with an expression target.
    result : NestedResult
        Cross-validation of the cohort, whose folds are used.
    n_permutations : int
        Number of permutations.
    random_state : int
        Seed of the permutations.

    Raises
    ------
    DataError
        If the result is of other patients.

    Examples
    --------
    >>> from mmfusion.evaluation import nested_cv
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> cohort = radiomics_phantom(60, target="expression")
    >>> options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    >>> result = nested_cv(ExpressionRegressor(), cohort, **options)
    >>> found = expression_null(ExpressionRegressor(), cohort, result, n_permutations=3)
    >>> found.null.shape, found.table().index[-1]
    ((3, 7), 'mean of the panel')
    """
    check_whole("n_permutations", n_permutations)
    check_seed(random_state)
    X, y = cohort.X, cohort.y
    persons = cohort.groups.loc[X.index, "patient"].astype(str)
    parts = []
    for train, test in _folds(result, X.index):
        fitted = clone(model).fit(X.iloc[train], y.iloc[train], list(persons.iloc[train]))
        features = [features_of(fitted.extractor_, X.iloc[rows]) for rows in (train, test)]
        parts.append((train, test, *features))
    rng = np.random.default_rng(random_state)
    orders = [np.arange(len(y)), *(rng.permutation(len(y)) for _ in range(n_permutations))]
    rows = [_correlations(parts, y.iloc[order].set_axis(y.index)) for order in orders]
    columns = [*map(str, y.columns), MEAN]
    return ExpressionNull(pd.Series(rows[0], columns), pd.DataFrame(rows[1:], columns=columns))


def _correlations(parts: Sequence[tuple], y: pd.DataFrame) -> np.ndarray:
    """Return the correlation of each gene, as a mean over folds, and the mean over genes."""
    return fold_correlations(
        (y.iloc[test], ridge_head().fit(seen, y.iloc[train]).predict(unseen))
        for train, test, seen, unseen in parts
    )


def fold_correlations(folds: Iterable[tuple[object, object]]) -> np.ndarray:
    """Return Pearson's correlation of each target, as a mean over folds, and the mean over targets.

    Parameters
    ----------
    folds : iterable of (true, predicted)
        Values of the test patients of each fold, shape (n, P).

    Examples
    --------
    >>> true = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
    >>> fold_correlations([(true, true), (true, -true)]).tolist()
    [0.0, 0.0, 0.0]
    """
    found = np.array([regression_metrics(true, pred)["pearson"].to_numpy() for true, pred in folds])
    return np.append(mean_available(found), mean_available(np.array([mean_available(r) for r in found])))


def _folds(result: NestedResult, patients: pd.Index) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the outer folds of a result, as positions of its patients."""
    rows = result.predictions[result.predictions["model"] == result.main]
    if set(rows["patient_id"]) != set(map(str, patients)):
        raise DataError("the result is of other patients", expected=f"those of the cohort, {len(patients)}",
                        got=rows["patient_id"].nunique())  # fmt: skip
    position = pd.Series(np.arange(len(patients)), patients.map(str))
    folds = []
    for _, fold in rows.groupby(["repeat", "fold"]):
        test = np.sort(position.loc[fold["patient_id"]].to_numpy())
        folds.append((np.setdiff1d(position.to_numpy(), test), test))
    return folds
