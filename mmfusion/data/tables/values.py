"""Tables of which every cell is a number."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.data.tables.cells import is_missing
from mmfusion.errors import DataError


def to_values(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of a table, and a mask of the cells that are neither numbers nor missing.

    Parameters
    ----------
    table : DataFrame, shape (n_rows, n_columns)
        Numbers or text. Words such as "NA" or "not reported" are missing values.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_columns)
        NaN where a cell is missing or no number.
    ndarray of bool, shape (n_rows, n_columns)
        True where a cell is no number, or infinite.

    Examples
    --------
    >>> values, bad = to_values(pd.DataFrame({"EGFR": ["1.5", "NA"], "KRAS": ["high", "2"]}))
    >>> values.tolist(), bad.tolist()
    ([[1.5, nan], [nan, 2.0]], [[False, True], [False, False]])
    """
    cells = table.to_numpy()
    if np.issubdtype(cells.dtype, np.number):
        values = cells.astype("float64")
        return values, np.isinf(values)
    values = pd.to_numeric(cells.ravel(), errors="coerce").reshape(table.shape).astype("float64")
    empty = table.isna().to_numpy()
    odd = np.isnan(values) & ~empty
    words = {word for word in set(map(str, cells[odd])) if is_missing(word)}
    odd[odd] = [str(cell) not in words for cell in cells[odd]]
    logical = np.array([isinstance(cell, bool | np.bool_) for cell in cells.ravel()], bool).reshape(
        table.shape
    )
    return values, odd | np.isinf(values) | logical


def numeric_table(table: pd.DataFrame, file: object = None, unit: str | None = None) -> pd.DataFrame:
    """Return a table of numbers, or raise an error that names the first bad cell.

    Parameters
    ----------
    table : DataFrame, shape (n_patients, n_columns)
        Numbers or text; index patient_id.
    file : path, optional
        Named in the error.
    unit : str, optional
        Counts, tpm and fpkm must not be negative.

    Raises
    ------
    DataError
        If a cell is no number, or negative where it must not be.

    Examples
    --------
    >>> numeric_table(pd.DataFrame({"EGFR": ["1.5", "NA"]}))["EGFR"].tolist()
    [1.5, nan]
    """
    values, bad = to_values(table)
    problem, expected = "not a number", "a number"
    if not bad.any() and unit in {"counts", "tpm", "fpkm"}:
        bad, problem, expected = (
            values < 0,
            f"a negative value in {unit}",
            "0 or more; set the unit to log or zscore if the values are logarithms or z-scores",
        )
    if bad.any():
        row, column = np.argwhere(bad)[0]
        cell = table.iat[row, column]
        raise DataError(
            problem,
            patient=table.index[row],
            file=file,
            column=table.columns[column],
            expected=expected,
            got=repr(cell.item() if isinstance(cell, np.generic) else cell),
        )
    return pd.DataFrame(values, index=table.index, columns=table.columns)
