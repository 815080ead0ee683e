"""Correlation and error of many targets, with many sets of weights of the patients at once.

Weights of 1 give the metric itself. The counts of a bootstrap sample give the metric of that sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_FLAT = 1e-12  # a variance below this share of the mean square is a rounding error


@dataclass(frozen=True, eq=False)
class Pairs:
    """True and predicted values of one test set, with B sets of weights of its patients.

    Parameters
    ----------
    true : ndarray, shape (n, P)
        True values; NaN if unknown. Unknown cells are ignored.
    pred : ndarray, shape (n, P)
        Predicted values.
    weights : ndarray, shape (n, B)
        One column per set of weights, not negative.

    Examples
    --------
    >>> pairs = Pairs(np.array([[1.0], [2.0], [np.nan]]), np.array([[1.0], [3.0], [9.0]]), np.ones((3, 1)))
    >>> mean_absolute_error(pairs).tolist()
    [[0.5]]
    """

    true: np.ndarray
    pred: np.ndarray
    weights: np.ndarray

    @cached_property
    def known(self) -> np.ndarray:
        """1.0 for known true values, else 0.0, shape (n, P)."""
        return np.isfinite(self.true).astype(float)

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of the weights of the known values, shape (P, B)."""
        return self.known.T @ self.weights

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted mean of `values`, shape (n, P), over the known cells: shape (P, B)."""
        total = self.total
        sums = np.where(self.known > 0, values, 0.0).T @ self.weights
        return np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0)


@dataclass(frozen=True, eq=False)
class Moments:
    """Weighted means, variances and covariance of true and predicted values, each of shape (P, B).

    Variances and covariance are divided by the sum of the weights.

    Examples
    --------
    >>> pairs = Pairs(np.array([[1.0], [3.0]]), np.array([[2.0], [4.0]]), np.ones((2, 1)))
    >>> moments = Moments.of(pairs, pairs.true, pairs.pred)
    >>> moments.true.tolist(), moments.var_true.tolist(), moments.correlation.tolist()
    ([[2.0]], [[1.0]], [[1.0]])
    """

    true: np.ndarray
    pred: np.ndarray
    var_true: np.ndarray
    var_pred: np.ndarray
    cov: np.ndarray

    @classmethod
    def of(cls, pairs: Pairs, true: np.ndarray, pred: np.ndarray) -> Moments:
        """Return the moments of two arrays (n, P), which are centred first to limit rounding errors."""
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
        """Correlation, shape (P, B): NaN if the true values are constant, 0 if the predicted ones are."""
        scale = np.sqrt(self.var_true * self.var_pred)
        r = np.divide(self.cov, scale, out=np.zeros(scale.shape), where=scale > 0)
        return np.where(self.var_true > 0, np.clip(r, -1.0, 1.0), np.nan)


def pearson(pairs: Pairs) -> np.ndarray:
    """Return Pearson's correlation of each target, shape (P, B), -1 to 1; see `Moments.correlation`.

    Examples
    --------
    >>> pearson(Pairs(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [4.0], [6.0]]), np.ones((3, 1))))
    array([[1.]])
    """
    return Moments.of(pairs, pairs.true, pairs.pred).correlation


def spearman(pairs: Pairs) -> np.ndarray:
    """Return Spearman's correlation of each target, shape (P, B), -1 to 1.

    The ranks are computed for each set of weights; ties get their mean rank.

    Examples
    --------
    >>> spearman(Pairs(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [9.0]]), np.ones((3, 1))))
    array([[1.]])
    """
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
    """Return Lin's concordance correlation coefficient of each target, shape (P, B), -1 to 1.

    Lin 1989, Biometrics 45(1), 255-268: 2 cov / (var + var + squared difference of the means).

    Examples
    --------
    >>> concordance(Pairs(np.array([[1.0], [3.0]]), np.array([[2.0], [4.0]]), np.ones((2, 1)))).round(3)
    array([[0.667]])
    """
    m = Moments.of(pairs, pairs.true, pairs.pred)
    scale = m.var_true + m.var_pred + (m.true - m.pred) ** 2
    r = np.divide(2 * m.cov, scale, out=np.zeros(scale.shape), where=scale > 0)
    return np.where(m.var_true > 0, r, np.nan)


def mean_absolute_error(pairs: Pairs) -> np.ndarray:
    """Return the mean absolute error of each target, shape (P, B); NaN if no value is known.

    Examples
    --------
    >>> mean_absolute_error(Pairs(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), np.ones((2, 1))))
    array([[0.5]])
    """
    return pairs.mean(np.abs(pairs.true - pairs.pred))


def r2(pairs: Pairs) -> np.ndarray:
    """Return the coefficient of determination of each target, shape (P, B): 1 - squared error / variance.

    Examples
    --------
    >>> r2(Pairs(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), np.ones((2, 1))))
    array([[0.5]])
    """
    variance = Moments.of(pairs, pairs.true, pairs.pred).var_true
    error = pairs.mean((pairs.true - pairs.pred) ** 2)
    return 1 - np.divide(error, variance, out=np.full(error.shape, np.nan), where=variance > 0)


def _middle(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    n = np.maximum(known.sum(axis=0), 1)
    return np.where(known > 0, values, 0.0).sum(axis=0) / n


def _centred(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the values minus their mean; 0 for a target whose values differ only by rounding errors."""
    size = np.where(known > 0, np.abs(values), 0.0).max(axis=0, initial=0.0)
    out = np.where(known > 0, values - _middle(values, known), 0.0)
    return np.where(np.abs(out).max(axis=0, initial=0.0) > 1e-9 * size, out, 0.0)


def _variance(square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    variance = square - mean**2
    return np.where(variance > _FLAT * square, variance, 0.0)


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ranks of values that occur as often as their weight, shape (n, B); ties get their mean."""
    order = np.argsort(values, kind="stable")
    below = np.zeros((len(values) + 1, weights.shape[1]))
    np.cumsum(weights[order], axis=0, out=below[1:])
    left, right = (np.searchsorted(values[order], values, side=side) for side in ("left", "right"))
    return (below[left] + below[right] + 1) / 2


def _correlation_of_columns(a: np.ndarray, b: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the weighted correlation of the columns of two arrays of shape (n, B): shape (B,)."""
    total = w.sum(axis=0)
    safe = np.maximum(total, 1e-300)
    a, b = (v - (w * v).sum(axis=0) / safe for v in (a, b))
    var_a, var_b, cov = ((w * v).sum(axis=0) / safe for v in (a * a, b * b, a * b))
    scale = np.sqrt(var_a * var_b)
    r = np.divide(cov, scale, out=np.zeros(scale.shape), where=scale > 1e-9)
    return np.where((total > 0) & (var_a > 1e-9), np.clip(r, -1.0, 1.0), np.nan)
