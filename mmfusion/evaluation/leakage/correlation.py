"""A probe for inputs that determine a value of a vector, such as the expression of a gene."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.probe import features_read
from mmfusion.evaluation.leakage.rules import register_rule

THRESHOLD = 0.9  # share of the variance of ranks
_ALPHA = 1e-3  # chance of one false alarm in a table without any signal


@register_rule(
    "correlation",
    score="explained",
    limit=f"at most {THRESHOLD:.2f} of the variance of any value explained by one column",
)
def probe_correlation(X: pd.DataFrame, y: pd.DataFrame, random_state: int = 0) -> pd.DataFrame:
    """Find columns that equal a value of the label, or determine it.

    A column of numbers is suspect if the square of its Spearman correlation with a value is over 0.9, so that a copy,
    a logarithm or any other monotone function of it is found. A column of categories is suspect if the mean rank of
    the *other* patients of the same category explains as much. In either case the correlation must be beyond chance
    in a table of this size (normal approximation, corrected for the number of tries).

    Parameters
    ----------
    X : DataFrame, shape (n, p)
        As given to `fit`. One column level, or two: `meta` and the reserved columns of scans are left out.
    y : DataFrame of float, shape (n, q)
        Values of the label; single ones may be missing.
    random_state : int
        Not used: the rule draws nothing.

    Returns
    -------
    DataFrame
        A row per suspect: `columns` (name of the input), `kind` (the value it tells), `explained`, 0 to 1; the most
        telling first.

    Raises
    ------
    DataError
        If `X` and `y` differ in length.
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
    """Share of the variance of ranks of `y` that a column explains, and among how many patients."""
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
    shared = others > 0  # an identifier, whose categories hold one patient each, tells nothing
    if 2 * shared.sum() < n:
        return 0.0, n
    # below 0 without any signal: the higher a patient's own rank, the lower the mean of the others
    return max(0.0, _correlation(mean[shared], ranks[shared])) ** 2, int(shared.sum())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    constant = len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0
    return 0.0 if constant else float(np.corrcoef(a, b)[0, 1])
