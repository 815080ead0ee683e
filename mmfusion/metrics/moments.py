"""Correlation and error of many targets under many weightings of the same patients at once.

Weights of one give the metric itself, counts of a bootstrap the metric of the resample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_FLAT = 1e-12  # share of the mean square below which a variance is rounding


@dataclass(frozen=True, eq=False)
class Pairs:
    """True and predicted values of one test set, under B weightings of its patients.

    Parameters
    ----------
    true : ndarray, shape (n, P)
        NaN where unknown: such a cell counts for nothing.
    pred : ndarray, shape (n, P)
        Predicted values.
    weights : ndarray, shape (n, B)
        Patients down, weightings across.
    """

    true: np.ndarray
    pred: np.ndarray
    weights: np.ndarray

    @cached_property
    def known(self) -> np.ndarray:
        """1.0 where the true value is known, else 0.0, shape (n, P)."""
        return np.isfinite(self.true).astype(float)

    @cached_property
    def total(self) -> np.ndarray:
        """Weight of the known values, shape (P, B)."""
        return self.known.T @ self.weights

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted mean of a value per cell over the known ones, shape (P, B)."""
        total = self.total
        sums = np.where(self.known > 0, values, 0.0).T @ self.weights
        return np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0)


@dataclass(frozen=True, eq=False)
class Moments:
    """Means, variances (divided by the sum of weights) and covariance of true and predicted values, each (P, B)."""

    true: np.ndarray
    pred: np.ndarray
    var_true: np.ndarray
    var_pred: np.ndarray
    cov: np.ndarray

    @classmethod
    def of(cls, pairs: Pairs, true: np.ndarray, pred: np.ndarray) -> Moments:
        """From values per cell, shape (n, P); they are centred first, for the sake of rounding."""
        a, b = (_centred(v, pairs.known) for v in (true, pred))
        mean_a, mean_b = pairs.mean(a), pairs.mean(b)
        square_a, square_b = pairs.mean(a * a), pairs.mean(b * b)
        return cls(
            true=mean_a + _middle(true, pairs.known)[:, None],
            pred=mean_b + _middle(pred, pairs.known)[:, None],
            var_true=_variance(square_a, mean_a),
            var_pred=_variance(square_b, mean_b),
            cov=pairs.mean(a * b) - mean_a * mean_b,
        )

    @property
    def correlation(self) -> np.ndarray:
        """Correlation, shape (P, B): NaN where the true values do not vary, 0 where the predicted ones do not."""
        scale = np.sqrt(self.var_true * self.var_pred)
        r = np.divide(self.cov, scale, out=np.zeros(scale.shape), where=scale > 0)
        return np.where(self.var_true > 0, np.clip(r, -1.0, 1.0), np.nan)


def pearson(pairs: Pairs) -> np.ndarray:
    """Return Pearson's correlation of each target, shape (P, B)."""
    return Moments.of(pairs, pairs.true, pairs.pred).correlation


def spearman(pairs: Pairs) -> np.ndarray:
    """Return Spearman's correlation of each target, shape (P, B): of ranks within each weighting, ties sharing one."""
    out = np.full(pairs.total.shape, np.nan)
    for j in range(pairs.true.shape[1]):
        rows = np.flatnonzero(pairs.known[:, j])
        if not len(rows):
            continue
        w = pairs.weights[rows]
        a, b = (_weighted_ranks(v[rows, j], w) for v in (pairs.true, pairs.pred))
        out[j] = _correlation_of_columns(a, b, w)
    return out


def concordance(pairs: Pairs) -> np.ndarray:
    """Return Lin's concordance correlation coefficient of each target, shape (P, B).

    Lin 1989, Biometrics 45(1), 255-268: 2 cov / (var + var + squared difference of the means).
    """
    m = Moments.of(pairs, pairs.true, pairs.pred)
    scale = m.var_true + m.var_pred + (m.true - m.pred) ** 2
    r = np.divide(2 * m.cov, scale, out=np.zeros(scale.shape), where=scale > 0)
    return np.where(m.var_true > 0, r, np.nan)


def mean_absolute_error(pairs: Pairs) -> np.ndarray:
    """Return the mean absolute error of each target, shape (P, B); NaN where nothing is known."""
    return pairs.mean(np.abs(pairs.true - pairs.pred))


def r2(pairs: Pairs) -> np.ndarray:
    """Return the coefficient of determination of each target, shape (P, B): 1 - squared error / variance."""
    variance = Moments.of(pairs, pairs.true, pairs.pred).var_true
    error = pairs.mean((pairs.true - pairs.pred) ** 2)
    return 1 - np.divide(error, variance, out=np.full(error.shape, np.nan), where=variance > 0)


def _middle(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    n = np.maximum(known.sum(axis=0), 1)
    return np.where(known > 0, values, 0.0).sum(axis=0) / n


def _centred(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values less their mean; 0 in all cells of a target whose values differ by rounding only."""
    size = np.where(known > 0, np.abs(values), 0.0).max(axis=0, initial=0.0)
    out = np.where(known > 0, values - _middle(values, known), 0.0)
    return np.where(np.abs(out).max(axis=0, initial=0.0) > 1e-9 * size, out, 0.0)


def _variance(square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    variance = square - mean**2
    return np.where(variance > _FLAT * square, variance, 0.0)


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the rank of each value, were it there as often as its weight says; ties have their mean, shape (n, B)."""
    order = np.argsort(values, kind="stable")
    below = np.zeros((len(values) + 1, weights.shape[1]))
    np.cumsum(weights[order], axis=0, out=below[1:])
    left, right = (np.searchsorted(values[order], values, side=side) for side in ("left", "right"))
    return (below[left] + below[right] + 1) / 2


def _correlation_of_columns(a: np.ndarray, b: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the weighted correlation of the columns of two arrays (n, B), shape (B,); see `Moments.correlation`."""
    total = w.sum(axis=0)
    safe = np.maximum(total, 1e-300)
    a, b = (v - (w * v).sum(axis=0) / safe for v in (a, b))
    var_a, var_b, cov = ((w * v).sum(axis=0) / safe for v in (a * a, b * b, a * b))
    scale = np.sqrt(var_a * var_b)
    r = np.divide(cov, scale, out=np.zeros(scale.shape), where=scale > 1e-9)
    return np.where((total > 0) & (var_a > 1e-9), np.clip(r, -1.0, 1.0), np.nan)
