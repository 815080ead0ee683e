"""Groups with few patients of a class: which metrics have no number there, and what a report says about it.

A resample has as many patients of each class as the group. If a class has one to four patients, few
different resamples are possible, and the interval is much too narrow. In 400 simulated groups of 25 patients,
the 95 % interval of the AUC contained the true AUC in 36 % of groups with one patient of a class, 77 % with
three, 87 % with five, and 91 % with ten (`benchmarks/intervals.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST = 5  # persons of a class; with fewer, the interval is much too narrow
FEW = 10  # persons of a class; with fewer, the interval is somewhat too narrow

# metrics whose value depends on each class, however rare it is; the others are means over patients
_BY_CLASS = ("macro_auc", "balanced_accuracy", "macro_f1", "quadratic_kappa")


def class_counts(codes: np.ndarray, person_ids: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the number of persons of each class, shape (n_classes,).

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Class of each patient id.
    person_ids : ndarray of int, shape (n,)
        Person that each patient id belongs to. The class of a person is that of the first id.
    n_classes : int
        Number of classes.

    Examples
    --------
    >>> class_counts(np.array([0, 0, 1]), np.array([0, 0, 1]), 3).tolist()
    [1, 1, 0]
    """
    _, first = np.unique(person_ids, return_index=True)
    return np.bincount(codes[first], minlength=n_classes)


def said_of_classes(counts: Sequence[int], classes: Sequence[object], metric: str) -> tuple[str, bool]:
    """Return what must be said about the classes of a group, and if the metric can be estimated in it.

    Parameters
    ----------
    counts : sequence of int, length K
        Number of persons of each class in the group.
    classes : sequence, length K
        Names of the classes.
    metric : str
        Name in `METRICS`, also with the suffix "_pooled". A metric that is a mean over patients, such as
        "accuracy" or "brier", needs no number of patients of a class.

    Returns
    -------
    said : str
        Classes that the group lacks or has few patients of; "" if there are none.
    estimable : bool
        False if a class has one to four persons, or if there is one class only.

    Examples
    --------
    >>> said_of_classes([30, 3], ["early", "late"], "macro_auc")
    ('too few patients of a class (late 3): not estimable', False)
    >>> said_of_classes([30, 7], ["early", "late"], "macro_auc")
    ('few patients of a class (late 7): uncertain', True)
    >>> said_of_classes([30, 3], ["early", "late"], "accuracy")
    ('', True)
    >>> said_of_classes([30, 9, 0], ["I", "II", "III"], "macro_auc")[0]
    'no patient of class III; few patients of a class (II 9): uncertain'
    """
    absent = [str(c) for c, n in zip(classes, counts, strict=True) if not n]
    parts = [f"no patient of class {', '.join(absent)}"] if absent else []
    if metric.removesuffix("_pooled") not in _BY_CLASS:
        return "; ".join(parts), True
    if len(absent) == len(classes) - 1:
        return said_of_one_class(counts, classes), False
    if too_few := few_of(counts, classes, 1, FEWEST):
        return f"too few patients of a class ({too_few}): not estimable", False
    if few := few_of(counts, classes, FEWEST, FEW):
        parts.append(f"few patients of a class ({few}): uncertain")
    return "; ".join(parts), True


def said_of_one_class(counts: Sequence[int], classes: Sequence[object]) -> str:
    """Return what is said about a group that has patients of one class only.

    Examples
    --------
    >>> said_of_one_class([30, 0], ["early", "late"])
    'one class only (early): not estimable'
    """
    return f"one class only ({classes[int(np.argmax(counts))]}): not estimable"


def few_of(counts: Sequence[int], classes: Sequence[object], least: int, below: int) -> str:
    """Return the classes whose number of persons is at least `least` and less than `below`, as text.

    Examples
    --------
    >>> few_of([30, 3, 0], ["I", "II", "III"], 1, 5)
    'II 3'
    """
    return ", ".join(f"{c} {n}" for c, n in zip(classes, counts, strict=True) if least <= n < below)
