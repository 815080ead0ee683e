"""Quantiles of grey values, and monotone maps between two distributions (histogram matching)."""

from __future__ import annotations

import numpy as np

LEVELS = np.linspace(0, 1, 1025)


def quantiles(values: np.ndarray, levels: np.ndarray = LEVELS) -> np.ndarray:
    """Return quantiles of all values, float64, shape of `levels`.

    Parameters
    ----------
    values : ndarray
        Values, any shape, at least one.
    levels : ndarray, shape (k,)
        Levels in [0, 1].

    Returns
    -------
    ndarray, shape (k,)
        Quantiles by linear interpolation. The last digit may differ from NumPy's quantiles.

    Examples
    --------
    >>> quantiles(np.array([3, 1, 2]), np.array([0, 0.5, 1]))
    array([1., 2., 3.])
    """
    ordered = np.sort(values, axis=None)
    return np.interp(levels * (len(ordered) - 1), np.arange(len(ordered)), ordered)


def match_histogram(values: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Change the distribution of values from one to another, by the monotone map between their quantiles.

    Parameters
    ----------
    values : ndarray
        Values, any shape. Values below or above the source's range become the target's minimum or maximum.
    source, target : ndarray, shape (k,)
        Quantiles of the two distributions at the same levels, in ascending order.

    Returns
    -------
    ndarray, shape of `values`
        float32. Equal values stay equal: if several source quantiles are equal, the result is the mean of
        their target quantiles.

    Examples
    --------
    >>> match_histogram(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0]), np.array([10.0, 20.0]))
    array([10., 15., 20.], dtype=float32)
    """
    knots, group = np.unique(source, return_inverse=True)
    means = np.bincount(group, target) / np.bincount(group)
    return np.interp(values, knots, means).astype(np.float32)
