"""Checks of published results that can find numbers which no test set gives.

Metrics of two classes, and overlaps of masks, depend on the same four counts: true and false positives, true
and false negatives. Two published metrics therefore limit a third. A share of a known number of patients is a
whole number divided by this number (the GRIM test, Brown and Heathers 2017, Soc Psychol Personal Sci
8(4):363-369). A number that is impossible for one test set may still be a mean over folds or over patients;
the functions say what they assume.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from numbers import Real

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, check_whole
from mmfusion.metrics.checks import check_number, check_share

_MOST = 10_000_000  # tables of counts that are tried
RATES = ("accuracy", "sensitivity", "specificity", "precision", "npv", "f1", "macro_f1")


def rounded_range(value: float, decimals: int = 2) -> tuple[float, float]:
    """Return the smallest and the largest number that is rounded to a published one.

    Raises
    ------
    DataError
        If the published number is no finite number or has more decimals than `decimals`, or `decimals` is no
        whole number of 0 or more.

    Examples
    --------
    >>> rounded_range(0.97)
    (0.965, 0.975)
    """
    check_number("published", value)
    check_whole("decimals", decimals, 0)
    half = Fraction(1, 2 * 10**decimals)
    exact = Fraction(str(value))
    if (exact * 10**decimals).denominator > 1:
        raise DataError(
            "more decimals than were published",
            parameter="published",
            expected=f"at most {decimals}",
            got=value,
            hint="give the number as it was printed, and decimals= as many as it has",
        )
    return float(exact - half), float(exact + half)


def fits(computed: Sequence[float] | np.ndarray, published: float, decimals: int = 2) -> np.ndarray:
    """Return True where a computed number is rounded to the published one; halves may go up or down.

    Examples
    --------
    >>> fits([0.9649, 0.965, 0.97], 0.97).tolist()
    [False, True, True]
    """
    low, high = rounded_range(published, decimals)
    values = np.asarray(computed, dtype=np.float64)
    return (values >= low - 1e-12) & (values <= high + 1e-12)


def possible_counts(share: float, n: int, decimals: int = 2) -> list[int]:
    """Return the whole numbers of patients whose share of `n` is rounded to a published share.

    An empty list means that the share cannot be that of `n` patients.

    Raises
    ------
    DataError
        If the share is not from 0 to 1, or `n` is no whole number of 1 or more.

    Examples
    --------
    >>> possible_counts(0.97, 117), possible_counts(0.97, 20)
    ([113, 114], [])
    """
    check_share("share", share)
    check_whole("n", n)
    low, high = rounded_range(share, decimals)
    around = range(max(0, int(low * n) - 1), min(n, int(high * n) + 1) + 1)
    return [k for k in around if fits(k / n, share, decimals)]


def possible_tables(
    positives: int, negatives: int, published: Mapping[str, float], decimals: int = 2
) -> pd.DataFrame:
    """Return every table of counts that gives all published metrics.

    Parameters
    ----------
    positives, negatives : int
        Number of patients of each class.
    published : mapping
        Metric -> published number. Metrics are "accuracy", "sensitivity", "specificity", "precision", "npv",
        "f1" (of the positive class) and "macro_f1".
    decimals : int
        Number of published decimals.

    Returns
    -------
    DataFrame
        Columns tp, fn, fp, tn; one row per table. No row means that one prediction of each patient cannot
        give these numbers. Means over folds can.

    Raises
    ------
    DataError
        If a metric is unknown or not from 0 to 1, a class is empty, or there are too many tables to try.

    Examples
    --------
    >>> possible_tables(23, 94, {"accuracy": 0.97, "sensitivity": 0.91}).values.tolist()
    [[21, 2, 2, 92], [21, 2, 1, 93]]
    >>> len(possible_tables(23, 94, {"accuracy": 0.97, "f1": 0.95})) # the F1 of the 23 is at most 0.94
    0
    """
    if unknown := sorted(set(published) - set(RATES)):
        raise DataError("no such metric", expected=", ".join(RATES), got=", ".join(unknown))
    for name, value in published.items():
        check_share(name, value)
    check_whole("positives", positives, 0)
    check_whole("negatives", negatives, 0)
    if min(positives, negatives) < 1 or (positives + 1) * (negatives + 1) > _MOST:
        expected = f"two classes, and at most {_MOST:,} tables"
        raise DataError("unusable numbers of patients", expected=expected, got=f"{positives}, {negatives}")
    tp, tn = (part.ravel() for part in np.indices((positives + 1, negatives + 1)))
    fn, fp = positives - tp, negatives - tn
    possible = np.ones(len(tp), dtype=bool)
    for name, value in published.items():
        possible &= fits(_rates(tp, fn, fp, tn)[name], value, decimals)
    return pd.DataFrame({"tp": tp, "fn": fn, "fp": fp, "tn": tn})[possible].reset_index(drop=True)


def _rates(tp: np.ndarray, fn: np.ndarray, fp: np.ndarray, tn: np.ndarray) -> dict[str, np.ndarray]:
    f1, other = _ratio(2 * tp, 2 * tp + fp + fn), _ratio(2 * tn, 2 * tn + fp + fn)
    return {
        "accuracy": _ratio(tp + tn, tp + fn + fp + tn),
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "precision": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "f1": f1,
        "macro_f1": (f1 + other) / 2,
    }


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(b > 0, a / np.maximum(b, 1), 0.0)


def patients_behind(shares: Sequence[float], most: int = 1000, tolerance: float = 1e-6) -> int | None:
    """Return the smallest number of patients for which all shares are whole numbers of patients.

    A saved model often holds the shares of the classes (`priors_` of LDA and QDA). They tell on how many
    patients it was fitted, or on a divisor of this number. None: no number up to `most` fits.

    Raises
    ------
    DataError
        If there are no shares, a share is not from 0 to 1, or `most` is no whole number of 1 or more.

    Examples
    --------
    >>> patients_behind([0.80733945, 0.19266055])
    109
    """
    if not len(shares):
        raise DataError("no shares", parameter="shares", expected="one share or more", got="none")
    for share in shares:
        check_share("shares", share)
    check_whole("most", most)
    wanted = np.asarray(shares, dtype=np.float64)
    for n in range(1, most + 1):
        if np.abs(wanted - np.round(wanted * n) / n).max() <= tolerance:
            return n
    return None


def check_confusion(
    matrix: Sequence[Sequence[int]], published: Mapping[str, object], decimals: int = 2
) -> list[str]:
    """Return the differences between a published confusion matrix and the numbers published with it.

    Parameters
    ----------
    matrix : sequence of rows, shape (K, K)
        Counts; rows are true classes.
    published : mapping
        Any of "n" (number of patients), "class_counts" (patients of each true class), "accuracy".
    decimals : int
        Decimals of the accuracy.

    Raises
    ------
    DataError
        If the matrix is not a square of counts with at least one patient, a published number is unknown, the
        accuracy is not from 0 to 1, or there is not one class count for each class.

    Examples
    --------
    >>> check_confusion([[40, 10], [5, 34]], {"n": 89, "accuracy": 0.83})
    []
    >>> check_confusion([[40, 10], [5, 34]], {"class_counts": [50, 40]})
    ['class 2: 39 patients in the matrix, 40 published']
    """
    counts = _counts(matrix)
    if unknown := sorted(set(published) - {"n", "class_counts", "accuracy"}):
        raise DataError("nothing to compare", expected="n, class_counts, accuracy", got=", ".join(unknown))
    total, found = int(counts.sum()), []
    check_whole("n", n := published.get("n", total), 0)
    if n != total:
        found.append(f"{total} patients in the matrix, {n} published")
    said = list(published.get("class_counts", counts.sum(axis=1).tolist()))
    if len(said) != len(counts):
        problem = "not one number for each class"
        raise DataError(problem, parameter="class_counts", expected=len(counts), got=len(said))
    for k, (own, one) in enumerate(zip(counts.sum(axis=1), said, strict=True), 1):
        check_whole("class_counts", one, 0)
        if own != one:
            found.append(f"class {k}: {own} patients in the matrix, {one} published")
    accuracy = np.trace(counts) / total
    if "accuracy" in published:
        check_share("accuracy", published["accuracy"])
        if not fits(accuracy, published["accuracy"], decimals):
            found.append(f"the matrix gives an accuracy of {accuracy:.3f}, {published['accuracy']} published")
    return found


def _counts(matrix: Sequence[Sequence[int]]) -> np.ndarray:
    """Return a confusion matrix as whole numbers, after checking it."""
    rows = [list(row) if isinstance(row, Iterable) else [row] for row in matrix]
    square = {len(row) for row in rows} == {len(rows)}
    numbers = [n for row in rows for n in row]
    if not square or any(not isinstance(n, Real) or not n >= 0 or n % 1 for n in numbers):
        expected, got = "a square of counts", repr(matrix)[:60]
        raise DataError("not a confusion matrix", expected=expected, got=got)
    if not sum(numbers):
        raise DataError("a confusion matrix without a patient", expected="counts above 0", got="only zeros")
    return np.array(rows, dtype=int)
