"""Numbers that published metrics imply: an F1, a Dice, the share of positives, an AUC, an interval.

The published numbers are rounded. Each function returns the range that the rounding leaves open. A published
number that is not from 0 to 1, such as a percentage, is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from mmfusion.errors import DataError, check_whole
from mmfusion.metrics.checks import check_number, check_share
from mmfusion.metrics.consistency import rounded_range


def f1_range(precision: float, recall: float, decimals: int = 2) -> tuple[float, float]:
    """Return the smallest and the largest F1 for a published precision and recall.

    Examples
    --------
    >>> [round(value, 3) for value in f1_range(0.95, 0.96)]
    [0.95, 0.96]
    """
    check_share("precision", precision)
    check_share("recall", recall)
    pairs = zip(rounded_range(precision, decimals), rounded_range(recall, decimals))
    low, high = (2 * p * r / (p + r) if p + r > 0 else 0.0 for p, r in pairs)
    return max(low, 0.0), min(high, 1.0)


def dice_of_iou(iou: float) -> float:
    """Return the Dice that belongs to an IoU of the same mask: 2 IoU / (1 + IoU).

    Examples
    --------
    >>> round(dice_of_iou(0.82), 3)
    0.901
    """
    check_share("iou", iou)
    return 2 * iou / (1 + iou)


def mean_dice_range(mean_iou: float, decimals: int = 2) -> tuple[float, float]:
    """Return the smallest and the largest mean Dice over patients for a published mean IoU.

    The mean Dice is largest if all patients have the same IoU, because the Dice is a concave function of the
    IoU. It is smallest, and equal to the mean IoU, if each mask is perfect or misses the lesion.

    Examples
    --------
    >>> [round(value, 3) for value in mean_dice_range(0.82)]
    [0.815, 0.904]
    """
    check_share("mean_iou", mean_iou)
    low, high = rounded_range(mean_iou, decimals)
    return max(low, 0.0), dice_of_iou(min(high, 1.0))


def prevalence_range(
    precision: float, recall: float, false_positive_rate: float, decimals: int = 2
) -> tuple[float, float]:
    """Return the range of the share of positives that three published rates imply.

    With precision P, recall R and false-positive rate F, the share of positives is
    1 / (1 + R (1 - P) / (P F)). Models that were tested on one test set must have one share in common.

    Examples
    --------
    >>> [round(value, 2) for value in prevalence_range(0.85, 0.87, 0.08)]
    [0.32, 0.37]
    """
    check_share("precision", precision)
    check_share("recall", recall)
    check_share("false_positive_rate", false_positive_rate)
    p, r, f = (
        np.clip(rounded_range(value, decimals), 0, 1) for value in (precision, recall, false_positive_rate)
    )
    return _prevalence(p[0], r[1], f[0]), _prevalence(p[1], r[0], f[1])


def _prevalence(p: float, r: float, f: float) -> float:
    return float(p * f / (p * f + r * (1 - p))) if p * f + r * (1 - p) > 0 else 0.0


def binormal_auc(difference: float, variances: tuple[float, float]) -> float:
    """Return the AUC of a normal score from the means and variances of the two classes.

    Parameters
    ----------
    difference : float
        Difference of the means.
    variances : (float, float)
        Variance in each class, above 0.

    Raises
    ------
    DataError
        If a number is not finite, or a variance is not above 0.

    Examples
    --------
    >>> round(binormal_auc(2.3226, (1.0, 1.8738)), 3)
    0.915
    """
    check_number("difference", difference)
    if not isinstance(variances, Sequence) or len(variances) != 2:
        raise DataError(
            "not two variances", parameter="variances", expected="one of each class", got=variances
        )
    for variance in variances:
        check_number("variances", variance)
        if variance <= 0:
            raise DataError("no variance", parameter="variances", expected="above 0", got=variance)
    return float(norm.cdf(difference / np.sqrt(sum(variances))))


def wilson_interval(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of a share of `n` patients (Wilson 1927, J Am Stat Assoc 22:209-212).

    Examples
    --------
    >>> [round(value, 2) for value in wilson_interval(0.66, 89)]
    [0.56, 0.75]
    """
    check_share("share", share)
    check_whole("n", n)
    check_number("level", level)
    if not 0 < level < 1:
        raise DataError("a level is a share", parameter="level", expected="between 0 and 1", got=level)
    z2 = norm.ppf((1 + level) / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
