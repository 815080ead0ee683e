"""Checks of the table that a segmenter is fitted on: its columns, patient ids, masks and persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import pandas as pd

from mmfusion.errors import DataError
from mmfusion.imaging import Volume
from mmfusion.lesions.labels import given

_NAMED = 5  # patients that a message names


def table_of(X: object) -> pd.DataFrame:
    """Return X if it is a table with two levels of columns.

    Raises
    ------
    DataError
        If it is not, or if a column occurs twice.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("ct", "volume")])
    >>> table_of(pd.DataFrame([["P1.nii.gz"]], columns=columns)).shape
    (1, 1)
    """
    if not isinstance(X, pd.DataFrame) or X.columns.nlevels != 2:
        got = type(X).__name__ if not isinstance(X, pd.DataFrame) else "one level of columns"
        raise DataError("not a table of patients", expected="a DataFrame such as Cohort.X", got=got)
    if X.columns.has_duplicates:
        twice = X.columns[X.columns.duplicated()].unique()
        raise DataError("two columns of one name", column=listed([" ".join(map(str, c)) for c in twice]))
    return X


def labels_of(X: pd.DataFrame, y: object, modality: str) -> list[object]:
    """Return the mask of each patient, from `y` or the column `mask` of the scan; None if it is missing.

    Raises
    ------
    DataError
        If `y` has another length or other patients than X, if a mask is neither a path nor a Volume, or if
        there is no column of masks.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("ct", "volume"), ("ct", "mask")])
    >>> X = pd.DataFrame([["a.nii.gz", "b.nii.gz"], ["c.nii.gz", None]], index=["P1", "P2"], columns=columns)
    >>> labels_of(X, None, "ct")
    ['b.nii.gz', None]
    """
    if y is None:
        if (modality, "mask") not in X:
            raise DataError("no masks to learn from", column=f"{modality} mask", hint="give them as y")
        y = X[modality, "mask"]
    y = _column(y, X, "y", "masks", "one path or Volume per patient")
    if len(y) != len(X):
        raise DataError("masks and scans differ in number", expected=len(X), got=len(y))
    return [one if given(one, patient, "mask") else None for one, patient in zip(y, X.index, strict=True)]


def persons_of(X: pd.DataFrame, groups: Sequence[object] | None) -> list[str]:
    """Return the person of each row of X, from `groups`; by default, each row is one person.

    Raises
    ------
    DataError
        If `groups` is no list, has another length or other patients than X, or a missing value.

    Examples
    --------
    >>> persons_of(pd.DataFrame(index=["P1", "P2"]), [7, 7])
    ['7', '7']
    """
    persons = _column(X.index if groups is None else groups, X, "groups", "groups", "one person per patient")
    if len(persons) != len(X):
        raise DataError("groups and patients differ in number", parameter="groups", expected=len(X),
                        got=len(persons))  # fmt: skip
    if lists := [one for one in persons if not pd.api.types.is_scalar(one)]:
        raise DataError("not a list of groups", parameter="groups", expected="one person per patient",
                        got=f"one of {type(lists[0]).__name__}")  # fmt: skip
    if unknown := [patient for patient, one in zip(X.index, persons, strict=True) if pd.isna(one)]:
        raise DataError("patients without a group", parameter="groups", expected="the person of each row",
                        got=f"no person of {listed(unknown)}")  # fmt: skip
    return [str(one) for one in persons]


def check_ids(X: pd.DataFrame) -> None:
    """Raise a `DataError` if a row of X has no patient id, or two rows have the same text as id.

    Examples
    --------
    >>> check_ids(pd.DataFrame(index=["P1", "P1"]))
    Traceback (most recent call last):
    mmfusion.errors.DataError: patient P1: two rows of one patient -> keep one row per patient
    """
    if X.index.nlevels > 1:
        raise DataError("an index with several levels", expected="one id per row",
                        got=", ".join(map(str, X.index.names)))  # fmt: skip
    if X.index.hasnans:
        raise DataError("a row without a patient id", expected="an id in the index", got=f"{len(X)} rows")
    ids = X.index.map(str)  # models store ids as texts, so that 1 and "1" are one patient
    if ids.has_duplicates:
        twice = ids[ids.duplicated()].unique()
        hint = "keep one row per patient"
        raise DataError("two rows of one patient", patient=listed(list(twice)), hint=hint)


def listed(names: Sequence[object]) -> str:
    """Return names for a message, separated by commas; of more than five, the first five and the number.

    Examples
    --------
    >>> listed(range(8))
    '0, 1, 2, 3, 4 and 3 more'
    """
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(str, names[:_NAMED])) + more


def _column(values: object, X: pd.DataFrame, name: str, what: str, expected: str) -> list[object]:
    """Return what belongs to the rows of X as a list; a Series must have their index."""
    try:
        if isinstance(values, (str, PathLike, Volume, Mapping, pd.DataFrame)):
            raise TypeError
        found = list(values)
    except TypeError:
        raise DataError(f"not a list of {what}", parameter=name, expected=expected,
                        got=type(values).__name__) from None  # fmt: skip
    if isinstance(values, pd.Series) and not values.index.equals(X.index):
        problem = f"the {what} are of other patients than the scans"
        raise DataError(problem, expected=f"{len(X)} rows with the index of X", got=f"{len(values)} rows",
                        hint=f"{name}.reindex(X.index)")  # fmt: skip
    return found
