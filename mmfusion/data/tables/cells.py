"""Cells of a text table: missing values and numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.errors import DataError

_MISSING = (
    "|na|n/a|nan|null|.|-|?|unknown|not collected|not assessed|not recorded in database|not available"
    "|not evaluated|not applicable|[not available]|[not evaluated]|[not applicable]|[unknown]|[discrepancy]"
    "|<na>"
)
MISSING = frozenset(_MISSING.split("|"))  # compared in lower case


def clean_cells(column: pd.Series) -> pd.Series:
    """Strip the cells of a column and turn the markers in `MISSING` into missing values.

    >>> clean_cells(pd.Series([" adenocarcinoma", "N/A", "Not Collected"])).isna().tolist()
    [False, True, True]
    """
    text = column.astype("str").str.strip()
    return text.mask(text.str.lower().isin(MISSING))


def to_numbers(cells: pd.Series, column: object, file: object = None, hint: str | None = None) -> pd.Series:
    """Convert a column of text to float64.

    Parameters
    ----------
    cells : Series of str, shape (n_patients,)
        Index patient_id. Missing cells stay missing.
    column : object
        Header of the column, named in the error.
    file : path, optional
        File of the table, named in the error.
    hint : str, optional
        What the error tells the user to do.

    Raises
    ------
    DataError
        If a cell is not a finite number. The error names the first such patient.

    Examples
    --------
    >>> to_numbers(pd.Series(["61", None]), "age").tolist()
    [61.0, nan]
    """
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    bad = (numbers.isna() & cells.notna()) | np.isinf(numbers)
    if bad.any():
        if (commas := decimal_commas(cells)).any():
            bad, hint = commas, "write points for decimal commas, or separate the cells of the table with ;"
        raise DataError(
            "not a number",
            patient=cells.index[bad.to_numpy()][0],
            file=file,
            column=column,
            expected="a number",
            got=repr(cells[bad].iloc[0]),
            hint=hint or "leave the cell empty where the value is unknown",
        )
    return numbers


def decimal_commas(cells: pd.Series) -> pd.Series:
    """Return a mask of the cells with a decimal comma, such as "2,60".

    The mask is all False unless such cells are the majority of the cells that are not numbers.

    >>> decimal_commas(pd.Series(["2,60", "3", "unknown"])).tolist()
    [True, False, False]
    """
    cells = clean_cells(cells)
    odd = pd.to_numeric(cells, errors="coerce").isna() & cells.notna()
    commas = cells.str.fullmatch(r"[+-]?\d+,\d+", na=False)
    return commas & (2 * commas.sum() > odd.sum())


def mostly_numbers(cells: pd.Series) -> bool:
    """Return True if more than half of the filled cells are numbers, or if no cell is filled.

    >>> mostly_numbers(pd.Series(["1", "2.5", "high", None]))
    True
    """
    numbers, filled = (int(c.notna().sum()) for c in (pd.to_numeric(cells, errors="coerce"), cells))
    return numbers > filled - numbers or not filled


def guess_column(cells: pd.Series, column: object, file: object = None) -> pd.Series:
    """Convert a column with an unknown header to float64 if most cells are numbers, else keep the text.

    Parameters
    ----------
    cells : Series of str, shape (n_patients,)
        Output of `clean_cells`.
    column, file : object
        Header and file, named in the error.

    Raises
    ------
    DataError
        If a column of numbers has a cell that is not a number, or if numbers have a decimal comma.

    Examples
    --------
    >>> guess_column(pd.Series(["200", None, "310.5"]), "ldh").tolist()
    [200.0, nan, 310.5]
    """
    numbers = mostly_numbers(cells) or decimal_commas(cells).any()
    return to_numbers(cells, column, file) if numbers else cells
