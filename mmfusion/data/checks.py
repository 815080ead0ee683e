"""Checks of the tables of a cohort."""

from __future__ import annotations

import pandas as pd

from mmfusion.errors import DataError


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
