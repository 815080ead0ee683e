"""The decision: which class is named, given the probabilities of all classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError

RULES = ("argmax", "macro_f1", "cost")
_STEPS = np.linspace(-2.5, 2.5, 51)  # tried logarithms of a class's weight, around the expected one
_PULL = 0.02  # loss of macro-F1 for a squared distance of 1 from the expected weights

Costs = pd.DataFrame | np.ndarray | Sequence[Sequence[float]] | Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Decision:
    """Rule that names one class for a patient.

    The class with the largest expected gain is named. The expected gain of class k is the sum over classes j
    of p_j gains[j, k].

    Parameters
    ----------
    rule : {"argmax", "macro_f1", "cost"}
        "argmax": the most probable class. "macro_f1": the probability of each class is multiplied by a
        weight, such that the mean F1 of the classes becomes large. "cost": the class with the smallest
        expected cost.
    gains : ndarray, shape (K, K)
        Gain of naming class k (column) for a patient of class j (row).

    Examples
    --------
    >>> Decision("macro_f1", np.diag([1.0, 2.0])).codes(np.array([[0.6, 0.4], [0.8, 0.2]])).tolist()
    [1, 0]
    """

    rule: str
    gains: np.ndarray

    def __post_init__(self) -> None:
        gains = np.asarray(self.gains, dtype=float)
        if self.rule not in RULES or gains.ndim != 2 or len(set(gains.shape)) > 1:
            expected = f"one of {', '.join(RULES)}, with a square table of gains"
            raise DataError("no such decision", expected=expected, got=f"{self.rule!r}, {gains.shape}")
        if not np.isfinite(gains).all():
            raise DataError("a gain of the decision is not a number", got=gains.tolist())
        object.__setattr__(self, "gains", gains)

    def codes(self, proba: np.ndarray) -> np.ndarray:
        """Return the position of the named class for probabilities (n, K), shape (n,)."""
        return (np.asarray(proba, dtype=float) @ self.gains).argmax(axis=1)

    def describe(self, classes: Sequence[object]) -> str:
        """Return one sentence that says how a class is named.

        Examples
        --------
        >>> Decision("argmax", np.eye(2)).describe(["I", "II"])
        'The most probable class is named.'
        """
        if self.rule == "argmax":
            return "The most probable class is named."
        if self.rule == "cost":
            return "The class with the smallest expected cost is named."
        weights = ", ".join(f"{c} {w:.2f}" for c, w in zip(classes, np.diag(self.gains), strict=True))
        return f"The class with the largest probability times weight is named (for macro-F1; {weights})."


def check_decision(rule: str, costs: Costs | None) -> None:
    """Raise a `DataError` if there is no such rule, or if costs are given for another rule than "cost".

    Examples
    --------
    >>> check_decision("argmax", None)
    >>> check_decision("cost", None)
    Traceback (most recent call last):
        ...
    mmfusion.errors.DataError: no costs for the decision (expected costs=..., a table of true x named class)
    """
    if not isinstance(rule, str) or rule not in RULES:
        raise DataError("unknown decision", expected=", ".join(RULES), got=repr(rule))
    if rule == "cost" and costs is None:
        raise DataError("no costs for the decision", expected="costs=..., a table of true x named class")
    if rule != "cost" and costs is not None:
        raise DataError("costs are not used", expected='decision="cost"', got=f"decision={rule!r}")


def make_decision(
    rule: str, proba: np.ndarray, codes: np.ndarray, classes: Sequence[object], costs: Costs | None = None
) -> Decision:
    """Return the decision of a model, learned on rows that its networks were not trained on.

    Parameters
    ----------
    rule : {"argmax", "macro_f1", "cost"}
        See `Decision`.
    proba : ndarray, shape (n, K)
        Calibrated probabilities of the rows; NaN in rows without held-out probabilities.
    codes : ndarray of int, shape (n,)
        Classes of all rows.
    classes : sequence, shape (K,)
        Names of the classes.
    costs : DataFrame, array, or mapping of mappings, optional
        Costs for "cost"; see `cost_matrix`.

    Raises
    ------
    DataError
        If the costs do not fit the classes.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2], [0.6, 0.4]])
    >>> make_decision("macro_f1", proba, np.array([0, 0, 0, 1]), ["I", "II"]).codes(proba).tolist()
    [0, 0, 0, 1]
    """
    k = len(classes)
    if rule == "cost":
        return Decision(rule, -cost_matrix(costs, classes))
    if rule == "argmax":
        return Decision(rule, np.eye(k))
    return Decision(rule, np.diag(_weights_for_macro_f1(proba, codes, k)))


def cost_matrix(costs: Costs, classes: Sequence[object]) -> np.ndarray:
    """Return costs as an array of true x named class, shape (K, K), after checking them.

    Parameters
    ----------
    costs : DataFrame, array, or mapping of mappings
        Cost of naming a class (column) for a patient of a class (row). A DataFrame, or a mapping {true class:
        {named class: cost}}, may have any order. An array has the order of `classes`.
    classes : sequence, shape (K,)
        Names of the classes.

    Raises
    ------
    DataError
        If a class is missing or unknown, a cost is not a number of 0 or above, or naming the true class
        costs more than naming another one.

    Examples
    --------
    >>> cost_matrix({"II": {"I": 5, "II": 0}, "I": {"I": 0, "II": 1}}, ["I", "II"]).tolist()
    [[0.0, 1.0], [5.0, 0.0]]
    """
    names = [str(c) for c in classes]
    if isinstance(costs, Mapping):
        costs = pd.DataFrame.from_dict(costs, orient="index")
    if isinstance(costs, pd.DataFrame):
        costs = costs.rename(index=str, columns=str)
        for part, found in (("rows", costs.index), ("columns", costs.columns)):
            if sorted(found) != sorted(names):
                expected, got = ", ".join(names), ", ".join(found)
                raise DataError(f"{part} of the costs are not the classes", expected=expected, got=got)
        costs = costs.loc[names, names]
    try:
        table = np.array(costs, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError("a cost is not a number", parameter="costs", got=error) from error
    if table.shape != (len(names), len(names)):
        expected = f"{len(names)} x {len(names)}, true x named class"
        raise DataError("costs have the wrong shape", expected=expected, got=table.shape)
    if not np.isfinite(table).all() or (table < 0).any():
        got = table.tolist()
        raise DataError("a cost is out of range", parameter="costs", expected="0 or above", got=got)
    if worse := [n for n, row, own in zip(names, table, np.diag(table), strict=True) if own > row.min()]:
        problem, hint = "naming the true class costs more than naming another", "rows are the true classes"
        raise DataError(problem, parameter="costs", got=", ".join(worse), hint=hint)
    return table


def _weights_for_macro_f1(proba: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Return the weights of the classes, shape (K,), with geometric mean 1.

    Expected weights are the inverse roots of the shares of the classes. They are changed one at a time where
    that raises macro-F1 by more than the distance from them costs. The F1 is the one that the probabilities
    themselves promise. It varies less than the F1 of the labels: with 100 rows, weights learned from labels
    are hardly better than none.
    """
    shares = np.maximum(np.bincount(codes, minlength=k), 1) / len(codes)
    expected = -0.5 * np.log(shares)
    expected -= expected.mean()
    has = np.isfinite(proba).all(axis=1)
    if not has.any():
        return np.exp(expected)
    log_p = np.log(np.maximum(proba[has], 1e-12))
    truth = proba[has]

    def value(weights: np.ndarray) -> float:
        named = np.eye(k)[(log_p + weights).argmax(axis=1)]
        f1 = 2 * (named * truth).sum(axis=0) / (named.sum(axis=0) + truth.sum(axis=0))
        return float(f1.mean() - _PULL * ((weights - weights.mean() - expected) ** 2).mean())

    best, found = value(expected), expected
    for k_changed in [*range(k)] * 3:
        for step in _STEPS:
            tried = found.copy()
            tried[k_changed] = expected[k_changed] + step
            if (score := value(tried)) > best + 1e-9:
                best, found = score, tried
    return np.exp(found - found.mean())
