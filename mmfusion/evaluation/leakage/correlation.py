"""Probe for inputs that determine a value of a vector, such as the expression of a gene."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.probe import features_read
from mmfusion.evaluation.leakage.rules import register_rule

THRESHOLD = 0.9  # share of the variance of the ranks, 0 to 1
_ALPHA = 1e-3  # probability of a false alarm in a table without signal


@register_rule(
    "correlation",
    score="explained",
    limit=f"at most {THRESHOLD:.2f} of the variance of any value explained by one column",
)
def probe_correlation(X: pd.DataFrame, y: pd.DataFrame, random_state: int = 0) -> pd.DataFrame:
    """Find columns that equal or determine a value of the label.

    A column of numbers is suspect if the square of its Spearman correlation with a value is above 0.9. This
    finds a copy, a logarithm or any other monotone function of the value. A column of categories is suspect
    if the mean rank of the *other* patients of the same category explains as much. In both cases the
    correlation must be significant in a table of this size (normal approximation, corrected for the number of
    tests).

    Parameters
    ----------
    X : DataFrame, shape (n, p)
        Inputs, as given to `fit`, with one or two column levels. With two, `meta` and the reserved columns of
        scans are left out.
    y : DataFrame of float, shape (n, q)
        Values of the label, NaN where missing.
    random_state : int
        Not used, because the rule is not random.

    Returns
    -------
    DataFrame
        One row per suspect, sorted by `explained`: `columns` (name of the input), `kind` (name of the value
        that it determines), `explained` (share of the variance of the ranks, 0 to 1).

    Raises
    ------
    DataError
        If `X` and `y` differ in length.

    Examples
    --------
    >>> y = pd.DataFrame({"EGFR": np.arange(60.0)})
    >>> X = pd.DataFrame({"age": np.tile([50.0, 60.0], 30), "log_egfr": np.log1p(y["EGFR"])})
    >>> probe_correlation(X, y)["columns"].tolist()
    ['log_egfr']
    """
    if len(X) != len(y):
        raise DataError("X and y differ in length", expected=f"{len(X)} labels", got=len(y))
    columns = features_read(X)
    found = []
    n_tests = max(1, len(columns) * y.shape[1])
    for name, column in columns.items():
        for value in y:
            explained, n = _explained(column, y[value].to_numpy(dtype=np.float64))
            if explained > THRESHOLD and 2 * norm.sf(np.sqrt(explained * max(n - 1, 0))) < _ALPHA / n_tests:
                found.append((name, str(value), explained))
    table = pd.DataFrame(found, columns=["columns", "kind", "explained"])
    return table.sort_values("explained", ascending=False, kind="stable", ignore_index=True)


def _explained(column: pd.Series, y: np.ndarray) -> tuple[float, int]:
    """Return the share of the variance of the ranks of `y` that a column explains, and n of patients."""
    known = column.notna().to_numpy() & ~np.isnan(y)
    n = int(known.sum())
    if n < 3 or np.ptp(y[known]) == 0:
        return 0.0, n
    ranks, cells = rankdata(y[known]), column[known]
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return _correlation(rankdata(cells.to_numpy(dtype=np.float64)), ranks) ** 2, n
    codes, _ = pd.factorize(cells.astype(object))
    size, total = np.bincount(codes), np.bincount(codes, weights=ranks)
    others = size[codes] - 1
    mean = (total[codes] - ranks) / np.maximum(others, 1)
    shared = others > 0  # an identifier has one patient per category and cannot predict anything
    if 2 * shared.sum() < n:
        return 0.0, n
    # negative without signal, because a high rank of a patient lowers the mean rank of the others
    return max(0.0, _correlation(mean[shared], ranks[shared])) ** 2, int(shared.sum())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    constant = len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0
    return 0.0 if constant else float(np.corrcoef(a, b)[0, 1])
