"""Probe for inputs that determine the label: single columns, pairs and triples of columns.

A column is divided into levels: categories, or quantiles of a number; missing cells are a level too. Each
patient is predicted from the *other* patients of the same level, with equal weights of the classes. This is
leave-one-out cross-validation of a lookup table; it is exact and needs no loop over patients. An identifier
has one patient per level and therefore predicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from mmfusion.data.cohort import feature_names
from mmfusion.data.targets.base import Target
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.leakage.context import is_probed
from mmfusion.evaluation.leakage.guards import HINT
from mmfusion.evaluation.leakage.rules import register_rule, rule_for
from mmfusion.modalities import META

THRESHOLD = 0.9  # balanced accuracy
_BINS = 16
_TOP = 30  # number of best columns that are tried by trees and in pairs
_PARTNERS = 60  # number of columns with few values that are tried in pairs too
_BEAM = 8  # number of best pairs that are extended to triples
_ALPHA = 1e-3  # probability of a false alarm in a table without signal


@register_rule(
    "lookup",
    score="balanced_accuracy",
    limit=f"balanced accuracy of at most {THRESHOLD:.2f} from up to three columns",
)
def probe_leaks(X: pd.DataFrame, y: Sequence[object], random_state: int = 0) -> pd.DataFrame:
    """Find columns, pairs and triples of columns that determine the label.

    Columns are suspect if they predict the label with a cross-validated balanced accuracy above 0.9. A column
    of categories is also suspect if each repeated level has only one label. In both cases the accuracy must
    be higher than chance allows in a table of this size (Hoeffding's bound, corrected for the number of
    tests). Pairs are tried among the columns with the highest accuracy and the columns with few values. The
    best pairs are extended to triples, because T, N and M are needed to determine the stage.

    Parameters
    ----------
    X : DataFrame, shape (n, p)
        Inputs, as given to `fit`, with one or two column levels. With two, `meta` and the reserved columns of
        scans are left out.
    y : array-like, shape (n,)
        Labels; patients without a label are left out.
    random_state : int
        Seed of the folds of the trees that confirm continuous columns.

    Returns
    -------
    DataFrame
        One row per suspect, sorted by `balanced_accuracy` (0 to 1): `columns` (names joined by " + "), `kind`
        ("column", "pair", "triple" or "mapping"), `balanced_accuracy`.

    Raises
    ------
    DataError
        If `X` and `y` differ in length.

    Examples
    --------
    >>> y = ["I", "II"] * 30
    >>> X = pd.DataFrame({"sex": ["m", "m", "f"] * 20, "code": ["a", "b"] * 30})
    >>> probe_leaks(X, y)["columns"].tolist()
    ['code']
    """
    labels, classes = pd.factorize(np.asarray(pd.Series(y, dtype=object)), sort=True)
    if len(labels) != len(X):
        raise DataError("X and y differ in length", expected=f"{len(X)} labels", got=len(labels))
    known = labels >= 0
    columns, labels = features_read(X.loc[known]), labels[known]
    if len(classes) < 2 or not columns:
        return _table([])
    names = np.array(list(columns), dtype=object)
    levels, numbers = zip(*(_encode(column) for column in columns.values()))
    codes = np.column_stack(levels)
    continuous = np.array([values is not None for values in numbers])

    accuracy, pure = _leave_one_out(codes, labels)
    for i in np.argsort(-accuracy, kind="stable")[:_TOP]:
        if continuous[i] and accuracy[i] > 0.6:  # a tree finds a threshold between two quantiles
            accuracy[i] = max(accuracy[i], _tree(numbers[i], labels, random_state))
    enough = max(THRESHOLD, _beyond_chance(labels, len(names)))
    mapped = (pure > max(enough, 1 - 1e-9)) & ~continuous & (accuracy <= enough)
    found = [(names[i], "column", accuracy[i]) for i in np.flatnonzero(accuracy > enough)]
    found += [(names[i], "mapping", pure[i]) for i in np.flatnonzero(mapped)]
    unsuspected = np.flatnonzero((accuracy <= enough) & ~mapped)
    best = unsuspected[np.argsort(-accuracy[unsuspected], kind="stable")]
    few_values = best[~continuous[best]][:_PARTNERS]
    partners = np.union1d(best[:_TOP], few_values)
    return _table(found + [(" + ".join(names[list(s)]), k, a) for s, k, a in _joint(codes, labels, partners)])


def assert_no_leak(
    X: pd.DataFrame,
    y: Sequence[object] | pd.DataFrame,
    target: Target | None = None,
    *,
    allow_leaky: bool = False,
    random_state: int = 0,
) -> None:
    """Raise a `LeakageError` if inputs determine the label.

    Inside `probed()` nothing is checked.

    Parameters
    ----------
    X : DataFrame, shape (n, p)
        Inputs, as given to `fit`.
    y : array-like of n labels
        Classes, or a DataFrame of numbers.
    target : Target, optional
        Target whose `probe` names the rule. Default: the target with the name of `y`; see `rule_for`.
    allow_leaky : bool
        Check nothing.
    random_state : int
        Seed of the rule.

    Raises
    ------
    LeakageError
        If the rule finds columns that determine the label. The error names them and their accuracy.

    Examples
    --------
    >>> X = pd.DataFrame({"code": ["a", "b"] * 30})
    >>> assert_no_leak(X, ["I", "II"] * 30, allow_leaky=True)
    >>> assert_no_leak(X, ["I", "II"] * 30)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    mmfusion.errors.LeakageError: column code: the inputs determine the label ...
    """
    if allow_leaky or is_probed():
        return
    rule = rule_for(y, target)
    suspects = rule.find(X, y, random_state=random_state)
    if len(suspects):
        first = suspects.head(5)
        raise LeakageError(
            "the inputs determine the label",
            column="; ".join(first["columns"]),
            expected=rule.limit,
            got=", ".join(f"{a:.2f}" for a in first[rule.score]),
            hint=HINT,
        )


def _joint(codes: np.ndarray, y: np.ndarray, partners: np.ndarray) -> list[tuple]:
    """Return pairs of `partners` and triples that determine the label; no triple contains a pair found."""
    enough = max(THRESHOLD, _beyond_chance(y, max(comb(len(partners), 3), len(partners), 1)))
    found, seeds = [], _scored(codes, y, {frozenset(pair) for pair in combinations(partners.tolist(), 2)})
    found += [(members, "pair", score) for members, score in seeds if score > enough]
    seeds = [members for members, score in seeds if score <= enough][:_BEAM]
    triples = {frozenset((*pair, b)) for pair in seeds for b in partners.tolist() if b not in pair}
    triples = {t for t in triples if not any(set(pair) < t for pair, _, _ in found)}
    return found + [
        (members, "triple", score) for members, score in _scored(codes, y, triples) if score > enough
    ]


def _scored(
    codes: np.ndarray, y: np.ndarray, sets: set[frozenset[int]]
) -> list[tuple[tuple[int, ...], float]]:
    """Return the leave-one-out balanced accuracy of the joint levels of each set of columns, best first."""
    members = sorted(tuple(sorted(s)) for s in sets)
    if not members:
        return []
    base = int(codes.max()) + 1
    weights = base ** np.arange(len(members[0]))
    joint = [np.unique(codes[:, m] @ weights, return_inverse=True)[1] for m in members]
    accuracy, _ = _leave_one_out(np.column_stack(joint), y)
    return sorted(zip(members, accuracy.tolist()), key=lambda item: -item[1])


def _table(found: list[tuple[str, str, float]]) -> pd.DataFrame:
    table = pd.DataFrame(found, columns=["columns", "kind", "balanced_accuracy"])
    return table.sort_values("balanced_accuracy", ascending=False, kind="stable", ignore_index=True)


def features_read(X: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the columns that a model may read, by name.

    Examples
    --------
    >>> X = pd.DataFrame({("ehr", "age"): [61.0], ("ct", "volume"): ["P1.nii.gz"]})
    >>> list(features_read(X))
    ['ehr: age']
    """
    if X.columns.nlevels == 1:
        return {str(c): X[c] for c in X.columns}
    blocks = {m: X[m] for m in X.columns.unique(0) if m != META}
    return {f"{m}: {f}": block[f] for m, block in blocks.items() for f in feature_names(block, m)}


def _encode(column: pd.Series) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the level of each patient (0: missing), and the numbers if they have over `_BINS` values."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return pd.factorize(column.astype(object))[0] + 1, None
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.where(np.isinf(values), np.nan, values)
    order = np.sort(values[~np.isnan(values)])
    distinct = order[np.r_[True, order[1:] > order[:-1]]] if len(order) else order
    cuts = distinct if len(distinct) <= _BINS else order[np.arange(1, _BINS) * len(order) // _BINS]
    codes = np.searchsorted(cuts, values, side="right") + 1
    codes[np.isnan(values)] = 0
    return codes, values if len(distinct) > _BINS else None


def _leave_one_out(codes: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two balanced accuracies per column: of all patients, and of those with a repeated level.

    The second is 0 unless at least half of the patients, and three of each class, have a repeated level.
    """
    n_classes, n_levels = int(y.max()) + 1, int(codes.max()) + 1
    size = np.bincount(y, minlength=n_classes)
    accuracy, pure = np.zeros(codes.shape[1]), np.zeros(codes.shape[1])
    step = max(1, 4_000_000 // (n_levels * n_classes))
    for start in range(0, codes.shape[1], step):
        part = codes[:, start : start + step]
        flat = (np.arange(part.shape[1]) * n_levels + part) * n_classes + y[:, None]
        count = np.bincount(flat.ravel(), minlength=part.shape[1] * n_levels * n_classes)
        count = count.reshape(part.shape[1], n_levels, n_classes)
        share = count / size
        own = (count - 1) / np.maximum(size - 1, 1)  # share of the patient's class without the patient
        hit = np.zeros(count.shape, dtype=bool)
        for c in range(n_classes):
            rivals = np.delete(share, c, axis=2).max(axis=2)
            hit[:, :, c] = own[:, :, c] > rivals
        accuracy[start : start + step] = ((count * hit).sum(axis=1) / size).mean(axis=1)
        repeated = count * (count.sum(axis=2, keepdims=True) > 1)
        covered = repeated.sum(axis=1)
        fair = (covered.sum(axis=1) >= len(y) / 2) & (covered >= 3).all(axis=1)
        pure[start : start + step] = fair * ((repeated * hit).sum(axis=1) / np.maximum(covered, 1)).mean(
            axis=1
        )
    return accuracy, pure


def _tree(values: np.ndarray, y: np.ndarray, random_state: int) -> float:
    """Return the balanced accuracy of a small tree over 5 folds; 0 if a class has fewer than 5 patients."""
    size = np.bincount(y)
    if size.min() < 5:
        return 0.0
    tree = DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=random_state)
    folds = StratifiedKFold(5, shuffle=True, random_state=random_state)
    hit = cross_val_predict(tree, values[:, None], y, cv=folds) == y
    return float((np.bincount(y, weights=hit) / size).mean())


def _beyond_chance(y: np.ndarray, n_tests: int) -> float:
    """Return the balanced accuracy that `n_tests` rules without signal exceed with probability `_ALPHA`."""
    size = np.bincount(y)
    return 1 / len(size) + float(np.sqrt(np.log(n_tests / _ALPHA) * (1 / size).sum() / 2)) / len(size)
