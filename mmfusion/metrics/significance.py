"""Tests of differences: corrected resampled t-test, DeLong, Wilcoxon, and Holm's adjustment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from mmfusion.errors import DataError


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values, shape (m,): reject those at or below alpha, and the family-wise error is alpha.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty_like(p)
    out[order] = np.minimum(adjusted, 1.0)
    return out


def corrected_t_test(
    differences: Sequence[float], test_share: float, level: float = 0.95
) -> dict[str, float]:
    """Corrected resampled t-test of the mean of per-fold differences, which allows for training sets that overlap.

    Parameters
    ----------
    differences : sequence, shape (J,)
        Difference of two models in each of J folds (all repeats).
    test_share : float
        n_test / n_train of a fold; 1 / (k - 1) for k folds.
    level : float
        Level of the interval.

    Returns
    -------
    dict
        diff, lo, hi, t, p. With no variation between folds: p 1 if the difference is 0, else 0.

    Raises
    ------
    DataError
        With fewer than two folds.

    References
    ----------
    Nadeau and Bengio 2003, Machine Learning 52(3), equation 9; variance (1/J + n_test/n_train) S^2.
    """
    d = np.asarray(differences, dtype=float)
    d = d[np.isfinite(d)]
    if len(d) < 2:
        raise DataError("too few folds to compare", expected="2 or more", got=len(d))
    mean, se = d.mean(), np.sqrt((1 / len(d) + test_share) * d.var(ddof=1))
    half = stats.t.ppf((1 + level) / 2, len(d) - 1) * se
    t = mean / se if se > 0 else np.sign(mean) * (np.inf if mean else 0.0)
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
    """DeLong's test of two AUCs on the same patients.

    Parameters
    ----------
    y_true : sequence, shape (n,)
        Labels; those equal to `positive` are the positives.
    a, b : sequence of float, shape (n,)
        Scores of two models; higher speaks for the positive class.
    positive : object
        The positive label.
    level : float
        Level of the interval of the difference.

    Returns
    -------
    dict
        auc_a, auc_b, diff (a minus b), lo, hi, z, p. With no variation: p 1 if the difference is 0, else 0.

    Raises
    ------
    DataError
        If lengths differ or either class has fewer than two patients.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44(3); mid-ranks as in Sun and Xu 2014, IEEE SPL 21(11).
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
    z = diff / se if se > 0 else np.sign(diff) * (np.inf if diff else 0.0)
    half = stats.norm.ppf((1 + level) / 2) * se
    return {
        "auc_a": float(auc[0]), "auc_b": float(auc[1]), "diff": float(diff),
        "lo": float(diff - half), "hi": float(diff + half), "z": float(z), "p": float(2 * stats.norm.sf(abs(z))),
    }  # fmt: skip


def wilcoxon(a: pd.Series, b: pd.Series) -> dict[str, float]:
    """Wilcoxon's signed-rank test of a per-patient value (Dice, say) of two methods.

    Parameters
    ----------
    a, b : Series
        Index patient_id, the same patients in any order.

    Returns
    -------
    dict
        median_diff (a minus b), n, p; p is 1 where no patient differs.

    Raises
    ------
    DataError
        If the patients differ, or a value is missing.
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
