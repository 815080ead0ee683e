"""Threshold of the probability from which on the second class is named."""

from __future__ import annotations

import numpy as np


def best_threshold(codes: np.ndarray, chance: np.ndarray) -> tuple[float, float]:
    """Return the threshold of the probability with the highest macro-F1, and this macro-F1.

    Rows with at least the threshold are of class 1. Of several equally good thresholds, the one nearest to
    0.5 is returned. It lies in the middle between two probabilities.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Classes, 0 or 1.
    chance : ndarray, shape (n,)
        Probability of class 1.

    Examples
    --------
    >>> best_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.6]))
    (0.25, 1.0)
    """
    values = np.unique(chance)
    thresholds = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2])
    named = chance[:, None] >= thresholds
    hit = (named & (codes == 1)[:, None]).sum(axis=0)
    n_named, n_one = named.sum(axis=0), int((codes == 1).sum())
    missed = len(codes) - n_named - (n_one - hit)  # rows of class 0 that are named so
    f1_one = 2 * hit / (n_named + n_one)
    f1_zero = 2 * missed / (len(codes) - n_named + len(codes) - n_one)
    f1 = np.round((f1_one + f1_zero) / 2, 12)
    best = np.flatnonzero(f1 == f1.max())
    chosen = best[np.argmin(np.abs(thresholds[best] - 0.5))]
    return float(thresholds[chosen]), float(f1[chosen])
