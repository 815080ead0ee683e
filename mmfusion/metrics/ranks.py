"""Spearman's correlation of many pairs of columns at once."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def rank_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each column of one array with the same column of the other.

    `scipy.stats.spearmanr` would correlate every column with every other one.

    Parameters
    ----------
    one : ndarray, shape (n, P)
        Values.
    other : ndarray, shape (n, P) or (n, 1)
        Values; a single column is correlated with each column of `one`.

    Returns
    -------
    ndarray, shape (P,)
        Correlations, -1 to 1; NaN if one of the two columns is constant.

    Examples
    --------
    >>> rank_correlation(np.array([[1.0, 3.0], [2.0, 3.0], [5.0, 3.0]]), np.array([[1.0], [4.0], [9.0]]))
    array([ 1., nan])
    """
    a, b = (rankdata(values, axis=0) for values in (one, other))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), scale, out=np.full(scale.shape, np.nan), where=scale > 0)
