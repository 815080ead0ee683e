"""Predictions are checked once, here; everything that judges them relies on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError

KEYS = ("model", "repeat", "fold", "patient_id")


def encode_labels(y_true: Sequence[object], classes: Sequence[object]) -> np.ndarray:
    """Position of each label among `classes`, shape (n,).

    Raises
    ------
    DataError
        On a repeated class, a missing label, or one that is not a class.
    """
    index = pd.Index(list(classes))
    if index.has_duplicates:
        raise DataError("a class is listed twice", got=list(classes))
    codes = index.get_indexer(pd.Index(list(y_true)))
    if (codes < 0).any():
        odd = list(y_true)[int(np.flatnonzero(codes < 0)[0])]
        raise DataError(
            "a label is not among the classes", expected=", ".join(map(str, classes)), got=repr(odd)
        )
    return codes


def check_probabilities(proba: object, n: int, n_classes: int) -> np.ndarray:
    """`proba` as float64, shape (n, n_classes).

    Raises
    ------
    DataError
        On another shape, values outside [0, 1] or missing, or rows that do not sum to 1 (to 1e-4).
    """
    proba = np.asarray(proba, dtype=float)
    if proba.shape != (n, n_classes):
        raise DataError("probabilities have the wrong shape", expected=(n, n_classes), got=proba.shape)
    if n == 0:
        raise DataError("no predictions to judge")
    bad = ~np.isfinite(proba).all(axis=1) | (proba < 0).any(axis=1) | (np.abs(proba.sum(axis=1) - 1) > 1e-4)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            "not a distribution over classes", column=f"row {row}", got=np.round(proba[row], 4).tolist()
        )
    return proba


def check_predictions(predictions: pd.DataFrame, classes: Sequence[object]) -> pd.DataFrame:
    """The columns that metrics read, of a tidy table of predictions.

    Parameters
    ----------
    predictions : DataFrame
        A row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>` for each class; `person`, if several
        rows of a cohort are of one.
    classes : sequence
        Classes in order of severity.

    Raises
    ------
    DataError
        On missing columns, a patient judged twice in a repeat, or labels of one patient that differ.
    """
    wanted = [*KEYS, "y_true", *(f"p_{c}" for c in classes)]
    check_table(predictions, wanted[len(KEYS) :])
    labels = predictions.drop_duplicates(["patient_id", "y_true"])
    torn = labels["patient_id"].duplicated()
    if torn.any():
        raise DataError("a patient has two labels", patient=labels.loc[torn, "patient_id"].iloc[0])
    return predictions[[*wanted, *(["person"] if "person" in predictions else [])]]


def check_table(predictions: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise `DataError` unless a table of predictions has its keys and these columns, each patient once in a repeat."""
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
