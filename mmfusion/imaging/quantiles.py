"""Monotone maps between distributions of grey values."""

from __future__ import annotations

import numpy as np

LEVELS = np.linspace(0, 1, 1025)


def quantiles(values: np.ndarray, levels: np.ndarray = LEVELS) -> np.ndarray:
    """Quantiles of any number of values, float64, shape of `levels`; of NumPy's, the last digit may differ."""
    ordered = np.sort(values, axis=None)
    return np.interp(levels * (len(ordered) - 1), np.arange(len(ordered)), ordered)


def match_histogram(values: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Values with their distribution changed from one to another, by the monotone map between their quantiles.

    Parameters
    ----------
    values : ndarray
        Of any shape; beyond the source's extremes they are held at the target's.
    source, target : ndarray, shape (k,)
        Quantiles at the same levels, not falling.

    Returns
    -------
    ndarray, shape of `values`
        float32. Equal values stay equal: where many share a value, it becomes the mean of their targets.
    """
    knots, group = np.unique(source, return_inverse=True)
    means = np.bincount(group, target) / np.bincount(group)
    return np.interp(values, knots, means).astype(np.float32)
