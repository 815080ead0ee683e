"""Choice of the threshold of the probability, on patients that the network did not learn from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))


def best_threshold(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the threshold of the probability with the highest mean Dice over patients.

    Parameters
    ----------
    pairs : iterable of (ndarray, ndarray)
        Probability and true mask of each patient, on one grid.

    Returns
    -------
    float
        One of `THRESHOLDS`. If several are equally good, the one nearest to 0.5. Without pairs, 0.5.

    Examples
    --------
    >>> true = np.array([0, 0, 1, 1])
    >>> best_threshold([(np.array([0.1, 0.62, 0.68, 0.9]), true)])
    0.65
    """
    dice = [dice_by_threshold(probability, true) for probability, true in pairs]
    if not dice:
        return 0.5
    mean = np.round(np.mean(dice, axis=0), 9)
    best = [t for t, value in zip(THRESHOLDS, mean, strict=True) if value == mean.max()]
    return min(best, key=lambda t: (abs(t - 0.5), t))


def dice_by_threshold(probability: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the Dice coefficient at each of `THRESHOLDS`; 1 if both masks are empty.

    Examples
    --------
    >>> dice_by_threshold(np.array([0.2, 0.7]), np.array([0, 1]))[[0, 9, 18]].round(3).tolist()
    [0.667, 1.0, 0.0]
    """
    edges = np.array([-np.inf, *THRESHOLDS, np.inf])
    inside = true.astype(bool)
    # number of voxels above each threshold, inside and outside the true mask
    above = [
        np.histogram(-values, -edges[::-1])[0].cumsum()[:-1][::-1]
        for values in (probability[inside].astype(float), probability[~inside].astype(float))
    ]
    total = above[0] + above[1] + np.count_nonzero(inside)
    return np.divide(2 * above[0], total, out=np.ones(len(THRESHOLDS)), where=total > 0)
