"""Checks of predictions; all metrics rely on them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd

from mmfusion.errors import DataError

KEYS = ("model", "repeat", "fold", "patient_id")


def encode_labels(y_true: Sequence[object], classes: Sequence[object]) -> np.ndarray:
    """Return the position of each label in `classes`, shape (n,).

    Parameters
    ----------
    y_true : sequence, shape (n,)
        Labels.
    classes : sequence, shape (K,)
        All classes.

    Raises
    ------
    DataError
        If a class is repeated, or if a label is missing or is not a class.

    Examples
    --------
    >>> encode_labels(["II", "I"], ["I", "II", "III"]).tolist()
    [1, 0]
    """
    index = pd.Index(list(classes))
    if index.has_duplicates:
        raise DataError("a class is listed twice", got=list(classes))
    codes = index.get_indexer(pd.Index(list(y_true)))
    if (codes < 0).any():
        odd = list(y_true)[int(np.flatnonzero(codes < 0)[0])]
        odd = odd.item() if isinstance(odd, np.generic) else odd
        raise DataError(
            "a label is not among the classes", expected=", ".join(map(str, classes)), got=repr(odd)
        )
    return codes


def check_probabilities(proba: object, n: int, n_classes: int) -> np.ndarray:
    """Return `proba` as float64, shape (n, n_classes), after checking it.

    Raises
    ------
    DataError
        If the shape differs, if there are no rows, if a value is missing or outside [0, 1], or if the sum of
        a row differs from 1 by more than 1e-4.

    Examples
    --------
    >>> check_probabilities([[0.2, 0.8]], 1, 2).shape
    (1, 2)
    """
    proba = np.asarray(proba, dtype=float)
    if proba.shape != (n, n_classes):
        raise DataError("probabilities have the wrong shape", expected=(n, n_classes), got=proba.shape)
    if n == 0:
        raise DataError("no predictions to judge")
    bad = ~np.isfinite(proba).all(axis=1) | (proba < 0).any(axis=1) | (np.abs(proba.sum(axis=1) - 1) > 1e-4)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        got = np.round(proba[row], 4).tolist()
        raise DataError(f"row {row} is not a distribution over classes", got=got)
    return proba


def check_predictions(predictions: pd.DataFrame, classes: Sequence[object]) -> pd.DataFrame:
    """Check a tidy table of predictions and return the columns that metrics read.

    Parameters
    ----------
    predictions : DataFrame
        A row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>` for each class. The optional
        column `person` says which patient ids belong to the same person. The optional column `y_pred` has the
        class that the model decided on; without it, the most probable class is the decision.
    classes : sequence
        Classes in order of severity.

    Raises
    ------
    DataError
        If a column is missing, if a patient has two predictions in a repeat, or if a patient has two labels.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a"], "site": ["x"]})
    >>> list(check_predictions(table.assign(y_true="I", p_I=0.9, p_II=0.1), ["I", "II"]))
    ['model', 'repeat', 'fold', 'patient_id', 'y_true', 'p_I', 'p_II']
    """
    wanted = [*KEYS, "y_true", *(f"p_{c}" for c in classes)]
    check_table(predictions, wanted[len(KEYS) :])
    labels = predictions.drop_duplicates(["patient_id", "y_true"])
    twice = labels["patient_id"].duplicated()
    if twice.any():
        raise DataError("a patient has two labels", patient=labels.loc[twice, "patient_id"].iloc[0])
    return predictions[[*wanted, *(c for c in ("y_pred", "person") if c in predictions)]]


def check_table(predictions: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise a `DataError` unless a table of predictions has all columns, and each patient once per repeat.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id).
    columns : sequence of str
        Columns that it must have beside these keys.

    Raises
    ------
    DataError
        If a column is missing, or if a patient has two predictions of a model in a repeat.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["m"], "repeat": [0], "fold": [0], "patient_id": ["a"], "dice": [0.8]})
    >>> check_table(table, ["dice"])
    """
    wanted = [*KEYS, *columns]
    if absent := [c for c in wanted if c not in predictions]:
        got = ", ".join(map(str, predictions.columns))
        raise DataError("predictions lack a column", column=", ".join(absent), got=got)
    twice = predictions.duplicated(["model", "repeat", "patient_id"])
    if twice.any():
        row = predictions[twice].iloc[0]
        raise DataError(
            f"model {row['model']!r} has two predictions in repeat {row['repeat']}", patient=row["patient_id"]
        )


def check_number(name: str, value: object) -> None:
    """Raise a `DataError` if the parameter `name` is no finite number.

    Examples
    --------
    >>> check_number("f1", 0.97)
    >>> check_number("f1", "high")
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter f1: not a number (expected a finite number; got 'high')
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(value):
        raise DataError("not a number", parameter=name, expected="a finite number", got=repr(value)[:60])


def check_share(name: str, value: object) -> None:
    """Raise a `DataError` if the parameter `name` is no number from 0 to 1.

    Examples
    --------
    >>> check_share("accuracy", 0.97)
    >>> check_share("auc", 97)
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter auc: not a share (expected 0 to 1; got 97) -> divide percent by 100
    """
    check_number(name, value)
    if not 0 <= value <= 1:
        hint = "divide percent by 100" if 1 < value <= 100 else None
        raise DataError("not a share", parameter=name, expected="0 to 1", got=value, hint=hint)
