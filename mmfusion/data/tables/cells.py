"""The cells of a table of text: what is missing, what is a number."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.errors import DataError

_MISSING = (
    "|na|n/a|nan|null|.|-|?|unknown|not collected|not assessed|not recorded in database|not available|not evaluated"
    "|not applicable|[not available]|[not evaluated]|[not applicable]|[unknown]|[discrepancy]|<na>"
)
MISSING = frozenset(_MISSING.split("|"))


def clean_cells(column: pd.Series) -> pd.Series:
    """A column as stripped text, the markers in `MISSING` made missing."""
    text = column.astype("str").str.strip()
    return text.mask(text.str.lower().isin(MISSING))


def to_numbers(cells: pd.Series, column: object, file: object = None, hint: str | None = None) -> pd.Series:
    """Float64 of a column of text; raises `DataError` with the first patient whose cell is no finite number."""
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    bad = (numbers.isna() & cells.notna()) | np.isinf(numbers)
    if bad.any():
        if (commas := decimal_commas(cells)).any():
            bad, hint = commas, "write points for decimal commas, or save the table with ; between its cells"
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
    """Cells such as "2,60", bool, where most of what is no number is of this kind; else none."""
    cells = clean_cells(cells)
    odd = pd.to_numeric(cells, errors="coerce").isna() & cells.notna()
    commas = cells.str.fullmatch(r"[+-]?\d+,\d+", na=False)
    return commas & (2 * commas.sum() > odd.sum())


def mostly_numbers(cells: pd.Series) -> bool:
    """Whether most of the cells that are filled are numbers; of a column without any, True."""
    numbers, filled = (int(c.notna().sum()) for c in (pd.to_numeric(cells, errors="coerce"), cells))
    return numbers > filled - numbers or not filled


def guess_column(cells: pd.Series, column: object, file: object = None) -> pd.Series:
    """A column without a known name, as `clean_cells` gives it: numbers if most of its cells are, else text.

    Raises
    ------
    DataError
        On numbers with a decimal comma, and on anything else in a column of numbers.
    """
    numbers = mostly_numbers(cells) or decimal_commas(cells).any()
    return to_numbers(cells, column, file) if numbers else cells
