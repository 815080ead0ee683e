"""Association of numbers with ordered classes, such as signature scores with the stage: tests and trend."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from mmfusion.errors import DataError
from mmfusion.metrics.intervals import bootstrap_weights, interval
from mmfusion.metrics.moments import Pairs, spearman
from mmfusion.metrics.significance import holm

LEAST_TREND, LEAST_CLASS = 10, 5  # patients for a trend, and in each class for the test of Kruskal and Wallis
LEAST_CORRELATION = 4  # patients for the error of a correlation


def ordered_table(
    values: pd.DataFrame,
    classes: pd.Series,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Test how each column of numbers is associated with the ordered class of the patients.

    Two questions are asked of each column. Is there a trend over the classes? Spearman's correlation with the
    order of the classes is its size, and its test. Do the classes differ in any way? This is the test of
    Kruskal and Wallis, which also finds a class in the middle that is higher than both neighbours.

    Parameters
    ----------
    values : DataFrame, shape (n, P)
        One row per person, one column per number; NaN if unknown. Unknown values are left out of the column.
    classes : Series, shape (n,)
        Ordered categorical of the same patients, without missing values.
    n_boot, level, random_state
        Number of resamples of patients within their class, level of the interval (0 to 1), seed.

    Returns
    -------
    DataFrame, index column
        n (patients), rho (Spearman's correlation, -1 to 1), lo, hi (its interval), p_trend, p_trend_holm,
        p_any (Kruskal and Wallis), p_any_holm. The Holm p-values are adjusted over the columns that have a
        p-value. A trend is NaN, not estimable, with fewer than 10 patients, one class, or a constant column;
        p_any is NaN if a class has fewer than 5 patients.

    Raises
    ------
    DataError
        If the classes have no order, one is missing, the patients differ, or a column occurs twice, is not
        numeric, or has an infinite value.

    References
    ----------
    Kruskal and Wallis 1952, Journal of the American Statistical Association 47:583. Holm 1979.

    Examples
    --------
    >>> stage = pd.Series(pd.Categorical(["I"] * 6 + ["II"] * 6, ordered=True))
    >>> scores = pd.DataFrame({"hypoxia": [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9.0]})
    >>> found = ordered_table(scores, stage, n_boot=200).loc["hypoxia"]
    >>> int(found["n"]), round(float(found["rho"]), 2), round(float(found["p_any"]), 3)
    (12, 0.66, 0.03)
    """
    _check(values, classes)
    by_name = np.argsort(values.index.astype(str), kind="stable")  # the order of the rows does not matter
    values, classes = values.iloc[by_name], classes.iloc[by_name]
    codes = classes.cat.codes.to_numpy()
    weights = bootstrap_weights(codes, n_boot, random_state)
    rows = {}
    for name in values.columns:
        known = values[name].notna().to_numpy()
        rows[name] = _one(values[name].to_numpy(float)[known], codes[known], weights[known], level)
    columns = ["n", "rho", "lo", "hi", "p_trend", "p_any"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    for kind in ("p_trend", "p_any"):
        tested = table[kind].notna()
        table.loc[tested, f"{kind}_holm"] = holm(table.loc[tested, kind])
    order = ["n", "rho", "lo", "hi", "p_trend", "p_trend_holm", "p_any", "p_any_holm"]
    return table.reindex(columns=order).rename_axis(values.columns.name)


def class_table(values: pd.DataFrame, classes: pd.Series) -> pd.DataFrame:
    """Return n, median and quartiles of each column of numbers, for each class.

    Parameters
    ----------
    values, classes
        As for `ordered_table`.

    Returns
    -------
    DataFrame
        Index (column, class); columns n, q1, median, q3.

    Examples
    --------
    >>> stage = pd.Series(pd.Categorical(["I", "I", "II"], ordered=True))
    >>> class_table(pd.DataFrame({"hypoxia": [1.0, 3.0, 5.0]}), stage).loc[("hypoxia", "I")].tolist()
    [2.0, 1.5, 2.0, 2.5]
    """
    _check(values, classes)
    groups = values.groupby(classes, observed=False)
    parts = {"n": groups.count()} | {
        name: groups.quantile(q) for name, q in (("q1", 0.25), ("median", 0.5), ("q3", 0.75))
    }
    table = pd.concat(parts, axis=1).stack(future_stack=True).swaplevel().loc[list(values.columns)]
    return table.rename_axis([values.columns.name, "class"])


def _check(values: pd.DataFrame, classes: pd.Series) -> None:
    for name, given, kind in (("values", values, pd.DataFrame), ("classes", classes, pd.Series)):
        if not isinstance(given, kind):
            got = type(given).__name__
            raise DataError("not a table of pandas", parameter=name, expected=kind.__name__, got=got)
    if not isinstance(classes.dtype, pd.CategoricalDtype) or not classes.cat.ordered:
        raise DataError("the classes have no order", parameter="classes", expected="an ordered categorical",
                        got=classes.dtype)  # fmt: skip
    if not values.index.equals(classes.index):
        raise DataError("not the classes of these patients", parameter="classes",
                        expected="the index of the values", got=f"{len(classes)} rows")  # fmt: skip
    if classes.isna().any():
        raise DataError("a class is missing", patient=classes.index[classes.isna()][0])
    if values.columns.has_duplicates:
        raise DataError("a column occurs twice", column=values.columns[values.columns.duplicated()][0])
    for name, column in values.items():
        if not pd.api.types.is_numeric_dtype(column):
            raise DataError("not a column of numbers", column=name, got=column.dtype)
        if np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
            raise DataError(
                "a value is infinite", column=name, hint="leave the cell empty if it is not known"
            )


def _one(values: np.ndarray, codes: np.ndarray, weights: np.ndarray, level: float) -> tuple[float, ...]:
    """Return the row of one column."""
    n, sizes = len(values), np.unique(codes, return_counts=True)[1]
    if n < LEAST_TREND or len(sizes) < 2 or np.ptp(values) == 0:
        return (n, *[np.nan] * 5)
    pairs = Pairs(codes.astype(float)[:, None], values[:, None], weights)
    draws = spearman(pairs)[0]
    lo, hi = interval(draws[1:], level)
    trend = stats.spearmanr(values, codes).pvalue
    differ = np.nan
    if sizes.min() >= LEAST_CLASS:
        differ = stats.kruskal(*(values[codes == code] for code in np.unique(codes))).pvalue
    return n, float(draws[0]), lo, hi, float(trend), float(differ)


def detectable_correlation(n: int) -> float:
    """Return the correlation that a two-sided test at 5 % detects with a power of 80 % (Fisher's z).

    Parameters
    ----------
    n : int
        Number of patients, 4 or more.

    Raises
    ------
    DataError
        If there are fewer than 4 patients.

    Examples
    --------
    >>> round(detectable_correlation(30), 2), round(detectable_correlation(200), 2)
    (0.49, 0.2)
    """
    if n < LEAST_CORRELATION:
        raise DataError("too few patients for a correlation", expected=f"{LEAST_CORRELATION} or more", got=n)
    return math.tanh((1.96 + 0.84) / math.sqrt(n - 3))  # normal quantiles of 97.5 % and of 80 %
