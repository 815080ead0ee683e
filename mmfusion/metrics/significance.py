"""Significance tests of differences: corrected resampled t-test, DeLong, Wilcoxon, and Holm's adjustment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from mmfusion.errors import DataError


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return Holm's adjusted p-values.

    If hypotheses with an adjusted p-value of at most alpha are rejected, the family-wise error rate is at
    most alpha.

    Parameters
    ----------
    p_values : sequence, shape (m,)
        Unadjusted p-values, 0 to 1. NaN (not estimable) stays NaN and is not counted.

    Returns
    -------
    ndarray, shape (m,)
        Adjusted p-values, 0 to 1, in the same order.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6(2).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    known = int(np.isfinite(p).sum())
    order = np.argsort(p, kind="stable")[:known]  # NaN is last
    adjusted = np.maximum.accumulate(p[order] * np.arange(known, 0, -1))
    out = np.full_like(p, np.nan)
    out[order] = np.minimum(adjusted, 1.0)
    return out


def corrected_t_test(
    differences: Sequence[float], test_share: float, level: float = 0.95
) -> dict[str, float]:
    """Test the mean of per-fold differences with a t-test corrected for overlapping training sets.

    Parameters
    ----------
    differences : sequence, shape (J,)
        Difference of two models in each of J folds (all repeats).
    test_share : float
        n_test / n_train of a fold, which is 1 / (k - 1) for k folds.
    level : float
        Level of the interval, 0 to 1.

    Returns
    -------
    dict
        diff, lo, hi, t, p. If the difference is the same in all folds, p is 1 if it is 0. Otherwise lo, hi, t
        and p are NaN: without variation nothing can be estimated.

    Raises
    ------
    DataError
        If there are fewer than two folds.

    References
    ----------
    Nadeau and Bengio 2003, Machine Learning 52(3), equation 9; variance (1/J + n_test/n_train) S^2.

    Examples
    --------
    >>> test = corrected_t_test([0.05, 0.02, 0.08, 0.01, 0.04], test_share=1 / 4)
    >>> round(test["diff"], 3), round(test["p"], 3)
    (0.04, 0.095)
    """
    d = np.asarray(differences, dtype=float)
    d = d[np.isfinite(d)]
    if len(d) < 2:
        raise DataError("too few folds to compare", expected="2 or more", got=len(d))
    mean, se = d.mean(), np.sqrt((1 / len(d) + test_share) * d.var(ddof=1))
    if not se > 0:
        se, t = (0.0, 0.0) if mean == 0 else (np.nan, np.nan)
    else:
        t = mean / se
    half = stats.t.ppf((1 + level) / 2, len(d) - 1) * se
    p = 2 * stats.t.sf(abs(t), len(d) - 1)
    return {
        "diff": float(mean),
        "lo": float(mean - half),
        "hi": float(mean + half),
        "t": float(t),
        "p": float(p),
    }


def delong(
    y_true: Sequence[object],
    a: Sequence[float],
    b: Sequence[float],
    *,
    positive: object = 1,
    level: float = 0.95,
) -> dict[str, float]:
    """Compare two AUCs on the same patients with DeLong's test.

    Parameters
    ----------
    y_true : sequence, shape (n,)
        Labels.
    a, b : sequence of float, shape (n,)
        Scores of two models. A higher score makes the positive class more likely.
    positive : object
        Label of the positive class.
    level : float
        Level of the interval of the difference, 0 to 1.

    Returns
    -------
    dict
        auc_a, auc_b, diff (a minus b), lo, hi, z, p. Without variance, p is 1 if the difference is 0.
        Otherwise lo, hi, z and p are NaN (not estimable).

    Raises
    ------
    DataError
        If lengths differ or either class has fewer than two patients.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44(3).
    Mid-ranks as in Sun and Xu 2014, IEEE Signal Processing Letters 21(11).

    Examples
    --------
    >>> test = delong([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.2, 0.3, 0.9])
    >>> test["auc_a"], test["auc_b"]
    (0.75, 1.0)
    """
    is_positive = np.asarray([label == positive for label in y_true])
    scores = np.asarray([a, b], dtype=float)
    if scores.shape != (2, len(is_positive)):
        raise DataError("scores and labels differ in length", expected=len(is_positive), got=scores.shape[1:])
    m, n = int(is_positive.sum()), int((~is_positive).sum())
    if min(m, n) < 2:
        raise DataError("too few patients for DeLong's test", expected="2 of each class", got=f"{m} and {n}")
    x, y = scores[:, is_positive], scores[:, ~is_positive]
    everyone = stats.rankdata(np.hstack([x, y]), axis=1)
    v10 = (everyone[:, :m] - stats.rankdata(x, axis=1)) / n  # share of negatives below each positive
    v01 = 1 - (everyone[:, m:] - stats.rankdata(y, axis=1)) / m  # share of positives above each negative
    auc = v10.mean(axis=1)
    s = np.cov(v10) / m + np.cov(v01) / n
    diff, se = auc[0] - auc[1], np.sqrt(max(s[0, 0] + s[1, 1] - 2 * s[0, 1], 0.0))
    if not se > 0:
        se, z = (0.0, 0.0) if diff == 0 else (np.nan, np.nan)
    else:
        z = diff / se
    half = stats.norm.ppf((1 + level) / 2) * se
    return {
        "auc_a": float(auc[0]),
        "auc_b": float(auc[1]),
        "diff": float(diff),
        "lo": float(diff - half),
        "hi": float(diff + half),
        "z": float(z),
        "p": float(2 * stats.norm.sf(abs(z))),
    }


def wilcoxon(a: pd.Series, b: pd.Series) -> dict[str, float]:
    """Compare a per-patient value, such as Dice, of two methods with Wilcoxon's signed-rank test.

    Parameters
    ----------
    a, b : Series, shape (n,)
        Values of the two methods. Index patient_id, the same patients in any order.

    Returns
    -------
    dict
        median_diff (a minus b), n, p. p is 1 if the two methods have equal values for every patient.

    Raises
    ------
    DataError
        If the patients differ, or a value is missing.

    Examples
    --------
    >>> ids = list("abcdef")
    >>> wilcoxon(pd.Series([6, 7, 8, 9, 8, 9], ids), pd.Series([5, 5, 5, 5, 3, 3], ids))
    {'median_diff': 3.5, 'n': 6, 'p': 0.03125}
    """
    if not a.index.sort_values().equals(b.index.sort_values()):
        odd = a.index.symmetric_difference(b.index)
        raise DataError(
            "not the same patients", patient=", ".join(map(str, odd[:5])), hint="intersect them first"
        )
    d = a - b.reindex(a.index)
    if d.isna().any():
        raise DataError("a value is missing", patient=d.index[d.isna()][0])
    p = float(stats.wilcoxon(d).pvalue) if (d != 0).any() else 1.0
    return {"median_diff": float(d.median()), "n": len(d), "p": p}
