"""Bootstrap over patients: stratified by class, percentile intervals, all resamples at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.classification import judge
from mmfusion.metrics.weighted import METRICS, Weighted


def bootstrap_weights(codes: np.ndarray, n_boot: int = 2000, random_state: int = 0) -> np.ndarray:
    """How often each patient is drawn in each resample, shape (n, 1 + n_boot).

    Column 0 is all ones: the sample itself. Every class keeps its size, so none ever vanishes.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Class of each patient.
    n_boot : int
        Resamples.
    random_state : int
        Seed; equal codes and seed give equal weights, which is what pairs two models.
    """
    rng = np.random.default_rng(random_state)
    weights = np.ones((len(codes), 1 + n_boot))
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        drawn = rng.integers(len(rows), size=(len(rows), n_boot))
        cells = drawn * n_boot + np.arange(n_boot)
        counts = np.bincount(cells.ravel(), minlength=len(rows) * n_boot)
        weights[rows, 1:] = counts.reshape(len(rows), n_boot)
    return weights


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap draws, those without a value left out; NaN if there are none."""
    if not 0 < level < 1:
        raise DataError("a level is a share", expected="between 0 and 1", got=level)
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return np.nan, np.nan
    lo, hi = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)


def bootstrap_p(draws: np.ndarray, null: float = 0.0) -> float:
    """Two-sided p-value that a statistic is `null`: twice the smaller share of draws beyond it, at most 1."""
    finite = draws[np.isfinite(draws)]
    beyond = min((finite <= null).sum(), (finite >= null).sum())
    return float(min(1.0, 2 * (1 + beyond) / (1 + len(finite))))


def bootstrap_metrics(
    y_true: Sequence[object],
    proba: object,
    classes: Sequence[object],
    *,
    metrics: Sequence[str] = tuple(METRICS),
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Metrics of one test set with percentile intervals over its patients.

    Parameters
    ----------
    y_true, proba, classes
        As for `classification_metrics`; one row a patient.
    metrics : sequence of str
        Names out of `METRICS`.
    n_boot, level, random_state
        Resamples, level of the interval, seed.

    Returns
    -------
    DataFrame
        Index metric; columns mean (the metric itself), lo, hi. The interval is that of *this model* on other
        patients: it knows nothing of how another training set would have changed the model.

    Raises
    ------
    DataError
        On labels that are not classes, rows of `proba` that are not distributions, an unknown metric.
    """
    s = judge(y_true, proba, classes)
    s = Weighted(s.codes, s.proba, bootstrap_weights(s.codes, n_boot, random_state))
    rows = {}
    for name in metrics:
        draws = metric_named(name)(s)
        rows[name] = (draws[0], *interval(draws[1:], level))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "lo", "hi"]).rename_axis("metric")


def metric_named(name: str) -> Callable[[Weighted], np.ndarray]:
    """The function of `METRICS` called `name`; raises `DataError` that lists them."""
    if name not in METRICS:
        raise DataError(f"no metric called {name!r}", expected=", ".join(METRICS))
    return METRICS[name]
