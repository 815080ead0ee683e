"""The calibration error that chance alone gives a perfectly calibrated model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.errors import check_whole
from mmfusion.metrics.classification import judge
from mmfusion.metrics.intervals import interval
from mmfusion.metrics.weighted import confidence_bins, ece

_ROWS = 20_000_000  # cells of an array of draws


@dataclass(frozen=True)
class CalibrationBand:
    """Expected calibration error, and the band of a perfectly calibrated model.

    Parameters
    ----------
    ece : float
        Expected calibration error of the most probable class, 0 to 1.
    lo, hi : float
        Band of the same error for a model whose probabilities are exactly right, on as many patients.
    n : int
        Number of predictions.
    level : float
        Level of the band, 0 to 1.
    """

    ece: float
    lo: float
    hi: float
    n: int
    level: float = 0.95

    @property
    def inside(self) -> bool:
        """True if the error is in the band: these patients show no miscalibration."""
        return self.lo <= self.ece <= self.hi

    def __str__(self) -> str:
        where = "inside" if self.inside else "above" if self.ece > self.hi else "below"
        return (
            f"ECE {self.ece:.3f} on {self.n} predictions, {where} the {self.level:.0%} band "
            f"[{self.lo:.3f}, {self.hi:.3f}] of a perfectly calibrated model"
        )


def ece_band(
    y_true: Sequence[object],
    proba: object,
    classes: Sequence[object],
    *,
    bins: int = 10,
    n_draws: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> CalibrationBand:
    """Compare the expected calibration error with that of perfect calibration.

    The error is never 0 on a finite test set, also if all probabilities are right. The band is made by
    drawing labels from the predicted probabilities, many times, and computing the error of each draw.

    Parameters
    ----------
    y_true, proba, classes
        As for `classification_metrics`; one row per patient.
    bins : int
        Number of bins, 1 or more. Each holds the same number of predictions, as in the metric `ece`.
    n_draws : int
        Number of draws of all labels, 1 or more.
    level : float
        Level of the band, between 0 and 1.
    random_state : int
        Seed of the draws.

    Raises
    ------
    DataError
        If a label is not a class, a row of `proba` is not a distribution, or a number is out of range.

    References
    ----------
    Broecker and Smith 2007, Increasing the reliability of reliability diagrams, Weather and Forecasting 22,
    651-661. Vaicenavicius et al. 2019, Evaluating model calibration in classification, AISTATS.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(0.5, 1, 500)
    >>> y = np.where(rng.uniform(size=500) < p, "I", "II")
    >>> ece_band(y, np.c_[p, 1 - p], ["I", "II"]).inside
    True
    >>> ece_band(y, np.c_[p**0.2, 1 - p**0.2], ["I", "II"]).inside  # too sure
    False
    """
    check_whole("bins", bins)
    check_whole("n_draws", n_draws)
    check_whole("random_state", random_state, 0)
    s = judge(y_true, proba, classes)
    confidence = np.sort(s.proba.max(axis=1))  # so that the order of the rows does not change the draws
    member = np.eye(bins)[confidence_bins(confidence, bins)]
    rng, found = np.random.default_rng(random_state), []
    step = max(1, _ROWS // len(confidence))
    for start in range(0, n_draws, step):
        size = (len(confidence), min(step, n_draws - start))
        right = rng.random(size) < confidence[:, None]
        found.append(np.abs(member.T @ (right - confidence[:, None])).sum(axis=0) / len(confidence))
    lo, hi = interval(np.concatenate(found), level)
    return CalibrationBand(float(ece(s, bins)[0]), lo, hi, len(confidence), level)
