"""Checks of the tables of a cohort."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mmfusion.data.tables.notes import listed
from mmfusion.errors import DataError, MMFusionError

MOST_GROUPS = 12  # a column with more different values does not divide patients into groups


def lines_of(errors: Iterable[MMFusionError], root: Path | None = None) -> list[str]:
    """Return one line per error; errors that differ only in the file share a line.

    Parameters
    ----------
    errors : iterable of MMFusionError
        Errors of one data set.
    root : path, optional
        Folder of the data set; files below it are named from there.

    Examples
    --------
    >>> lines_of(DataError("the table is empty", file=name) for name in ("a.csv", "b.csv"))
    ['file a.csv, b.csv: the table is empty']
    """
    alike: dict[str, tuple[MMFusionError, list[str]]] = {}
    for error in errors:
        file, error.file = error.file, None
        alike.setdefault(str(error), (error, []))[1].extend([] if file is None else [_below(file, root)])
    for error, files in alike.values():
        error.file = listed(dict.fromkeys(files)) if files else None
    return [str(error) for error, _ in alike.values()]


def _below(file: object, root: Path | None) -> str:
    path = Path(str(file))
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else str(file)


def check_outcomes(outcomes: object) -> None:
    """Raise `DataError` if outcomes are not a DataFrame or have duplicate columns.

    Examples
    --------
    >>> check_outcomes(pd.DataFrame({"stage": ["IA", "IIIB"]}, index=["p1", "p2"]))
    >>> check_outcomes(["IA", "IIIB"])  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    mmfusion.errors.DataError: outcomes are not a table
    """
    if not isinstance(outcomes, pd.DataFrame) or outcomes.columns.has_duplicates:
        got = type(outcomes).__name__ if not isinstance(outcomes, pd.DataFrame) else list(outcomes.columns)
        raise DataError(
            "outcomes are not a table", expected="a DataFrame with a column stage, egfr, ...", got=got
        )


def check_table(table: pd.DataFrame) -> None:
    """Raise `DataError` unless columns have two levels, and each row and column has a name of its own.

    Examples
    --------
    >>> check_table(pd.DataFrame({("ehr", "age"): [61.0, 70.0]}, index=["p1", "p2"]))
    >>> check_table(pd.DataFrame({"age": [61.0]}, index=["p1"]))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    mmfusion.errors.DataError: a cohort's columns have two levels
    """
    if not isinstance(table.columns, pd.MultiIndex) or table.columns.nlevels != 2:
        raise DataError(
            "a cohort's columns have two levels", expected="(modality, feature)", got=repr(table.columns[:3])
        )
    ids = table.index
    if ids.isna().any() or (ids.astype(str).str.strip() == "").any():
        raise DataError("a row has no patient id", expected="a patient_id in every row")
    if ids.has_duplicates:
        twice = ids[ids.duplicated()].unique()
        raise DataError(
            "duplicate patient id",
            patient=", ".join(map(str, twice[:5])),
            hint="keep one row per patient before loading",
        )
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()].unique()
        raise DataError(
            "duplicate column", column=", ".join(map(str, twice[:5])), hint="keep one column per feature"
        )
