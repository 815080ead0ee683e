"""Bootstrap over patients, with percentile intervals; all resamples at once.

Resamples keep the size of each class, except for metrics that depend on the shares of the classes, such as
accuracy. Their intervals include that other patients have other shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, check_seed, check_whole, did_you_mean
from mmfusion.metrics.classification import judge
from mmfusion.metrics.weighted import BIASED, METRICS, OF_SHARES, Weighted


def bootstrap_weights(codes: np.ndarray, n_boot: int = 2000, random_state: int = 0) -> np.ndarray:
    """Count how often each patient is drawn in each resample.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Class of each patient. Every class keeps its size in each resample, so no class is lost. All 0: the
        sizes vary.
    n_boot : int
        Number of resamples, 0 or more.
    random_state : int
        Seed. Equal codes and an equal seed give equal weights. Two models are compared on equal weights.

    Returns
    -------
    ndarray, shape (n, 1 + n_boot)
        Column 0 is all ones, which is the sample itself.

    Raises
    ------
    DataError
        If `n_boot` or `random_state` is no whole number of 0 or more.

    Examples
    --------
    >>> bootstrap_weights(np.array([0, 0, 1]), n_boot=4).sum(axis=0).tolist()
    [3.0, 3.0, 3.0, 3.0, 3.0]
    """
    check_whole("n_boot", n_boot, 0)
    check_seed(random_state)
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
    """Return the percentile interval of bootstrap draws; draws that are not finite are left out.

    Parameters
    ----------
    draws : ndarray, shape (n_boot,)
        Values of a statistic in the resamples.
    level : float
        Level of the interval, between 0 and 1.

    Returns
    -------
    lo, hi : float
        NaN if no draw is finite.

    Raises
    ------
    DataError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    if not 0 < level < 1:
        raise DataError("a level is a share", expected="between 0 and 1", got=level)
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return np.nan, np.nan
    lo, hi = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)


def widened(draws: np.ndarray, factor: float) -> np.ndarray:
    """Return draws whose distances to the first, the sample itself, are multiplied by a factor.

    Examples
    --------
    >>> widened(np.array([1.0, 0.5, 2.0]), 2.0).tolist()
    [1.0, 0.0, 3.0]
    """
    return draws[0] + factor * (draws - draws[0])


def bootstrap_p(draws: np.ndarray, null: float = 0.0) -> float:
    """Return the two-sided p-value of the hypothesis that a statistic equals `null`.

    It is twice the smaller share of bootstrap draws on one side of `null`, and at most 1. NaN if no draw is
    finite.

    Examples
    --------
    >>> bootstrap_p(np.arange(1.0, 100.0))
    0.02
    """
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return np.nan
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
    """Compute the metrics of one test set with percentile intervals over its patients.

    Parameters
    ----------
    y_true, proba, classes
        As for `classification_metrics`; one row per patient.
    metrics : sequence of str
        Names in `METRICS`.
    n_boot, level, random_state
        Number of resamples, level of the interval (0 to 1), seed.

    Returns
    -------
    DataFrame
        Index metric; columns mean (the metric itself), lo, hi. The calibration error has no interval: see
        `ece_band`. The interval is for *this model* on other
        patients. It does not include the variation from other training sets.

    Raises
    ------
    DataError
        If a label is not a class, a row of `proba` is not a distribution, or a metric is unknown.

    Examples
    --------
    >>> table = bootstrap_metrics(["I", "II"], [[0.9, 0.1], [0.2, 0.8]], ["I", "II"], metrics=["accuracy"])
    >>> table.loc["accuracy"].tolist()
    [1.0, 1.0, 1.0]
    """
    given = judge(y_true, proba, classes)
    rows = {}
    for name in metrics:
        function = metric_named(name)
        strata = np.zeros_like(given.codes) if name in OF_SHARES else given.codes
        draws = function(Weighted(given.codes, given.proba, bootstrap_weights(strata, n_boot, random_state)))
        rows[name] = (draws[0], *((np.nan, np.nan) if name in BIASED else interval(draws[1:], level)))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "lo", "hi"]).rename_axis("metric")


def metric_named(name: str) -> Callable[[Weighted], np.ndarray]:
    """Return the function of `METRICS` with this name.

    Raises
    ------
    DataError
        If there is no such metric. The error lists all names.

    Examples
    --------
    >>> metric_named("brier").__name__
    'brier'
    """
    if name not in METRICS:
        hint = did_you_mean(name, METRICS)
        raise DataError(f"no metric called {name!r}", expected=", ".join(METRICS), hint=hint)
    return METRICS[name]
