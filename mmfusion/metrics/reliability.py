"""Reliability of repeated measurements: the intraclass correlation with its exact interval."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as f_distribution

from mmfusion.errors import DataError


def intraclass_correlation(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return the intraclass correlation ICC(1) of measurements that were repeated on each patient.

    This is ICC(1,1), the one-way random effects model for a single measurement: the share of the variance
    that lies between patients. It is 1 if repetitions agree, near 0 if patients differ no more than
    repetitions do, and can be negative.

    Parameters
    ----------
    values : ndarray, shape (n_patients, n_repetitions)
        Finite measurements; two patients and two repetitions, or more.
    level : float in (0, 1)
        Level of the interval.

    Returns
    -------
    icc, low, high : float
        The correlation and its interval. NaN if all values are equal. If only repetitions are equal, it is 1.

    Raises
    ------
    DataError
        If there are fewer than two patients or repetitions, or values that are not numbers.

    References
    ----------
    Shrout and Fleiss 1979, Intraclass correlations: uses in assessing rater reliability, Psychological
    Bulletin 86, 420-428, case 1. McGraw and Wong 1996, Psychological Methods 1, 30-46, table 7.

    Examples
    --------
    >>> judges = [[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]]
    >>> [round(one, 2) for one in intraclass_correlation(np.transpose(judges))]  # Shrout and Fleiss, table 2
    [0.17, -0.13, 0.72]
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise DataError("too few measurements", expected="two patients, two repetitions", got=values.shape)
    if not np.isfinite(values).all():
        raise DataError("measurements that are not numbers", expected="finite values")
    n, k = values.shape
    means = values.mean(axis=1)
    between = k * ((means - means.mean()) ** 2).sum() / (n - 1)
    within = ((values - means[:, None]) ** 2).sum() / (n * (k - 1))
    if within <= 1e-20 * (values**2).mean():  # equal up to rounding
        return (np.nan,) * 3 if between <= 1e-20 * (values**2).mean() else (1.0,) * 3
    ratio, degrees = between / within, (n - 1, n * (k - 1))
    tail = (1 - level) / 2
    low = ratio / f_distribution.ppf(1 - tail, *degrees)
    high = ratio * f_distribution.ppf(1 - tail, *degrees[::-1])
    return tuple(float((one - 1) / (one + k - 1)) for one in (ratio, low, high))
