"""Readers of health records and features; an error names the cell that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mmfusion.data.tables.cells import clean_cells, guess_column, note_errors
from mmfusion.data.tables.ehr import EhrTable, canonical_ehr
from mmfusion.data.tables.ehr_headers import SITE_HEADERS
from mmfusion.data.tables.files import (
    by_patient,
    find_patient,
    header_key,
    id_column,
    no_duplicates,
    read_table,
)
from mmfusion.data.tables.notes import TableNotes, leave_out
from mmfusion.data.tables.rna import read_rna
from mmfusion.data.tables.values import numeric_table
from mmfusion.errors import DataError

__all__ = ["deep_columns", "read_ehr", "read_ehr_table", "read_features", "read_rna"]

_DEEP = re.compile(r"(pred|random\d+)_\d+")  # headers of a foundation model's features


def read_ehr(
    source: str | Path | pd.DataFrame,
    patient: str | None = None,
    *,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read health records of one patient or many, with canonical column names.

    Parameters
    ----------
    source : path or DataFrame
        A table with a row per patient and a column of ids. For one patient, it may also be a single row
        without an id, or two columns (name, value).
    patient : str, optional
        Return this patient only. If the table has no ids, this is the patient's id.
    sheet : str, optional
        Sheet of an Excel workbook.
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame, shape (n_patients, n_features)
        Index patient_id. Columns that reveal the stage are left out (see `mmfusion.data.targets.forbidden`).

    Raises
    ------
    DataError
        If a cell cannot be read (the error names file, patient, column and value), or if the patient is not
        in the table.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["p1", "p2"], "Age (yrs)": ["61", "N/A"], "Gender": ["F", "M"]})
    >>> read_ehr(table, "p1").loc["p1"].to_dict()
    {'age': 61.0, 'sex': 'female'}
    """
    return read_ehr_table(source, patient, sheet=sheet, ids=ids, notes=notes).features


def read_ehr_table(
    source: str | Path | pd.DataFrame,
    patient: str | None = None,
    *,
    allow_leaky: bool = False,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> EhrTable:
    """Read health records like `read_ehr`; return the site and the headers of dropped columns as well.

    `allow_leaky` is passed to `canonical_ehr`.

    Examples
    --------
    >>> table = read_ehr_table(pd.DataFrame({"patient_id": ["p1"], "Age": ["61"], "pStage": ["IA"]}))
    >>> table.features.columns.tolist(), table.left_out
    (['age'], ('pStage',))
    """
    file = None if isinstance(source, pd.DataFrame) else source
    table = source if file is None else read_table(source, sheet=sheet, ids=ids, notes=notes)
    if table.index.name == "patient_id":
        table = table.reset_index()
    deep = deep_columns(table)  # a file may hold them beside the records
    leave_out(notes, deep, "a feature of a foundation model")
    table = rows_of_patients(table.drop(columns=deep), patient, file, notes)
    return canonical_ehr(table, allow_leaky=allow_leaky, file=file, notes=notes)


def read_features(
    source: str | Path,
    patient: str | None = None,
    *,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read a table of imaging features or other features, with a row per patient.

    A column is numeric if most of its cells are numbers, otherwise it is categorical. If the table has
    columns `pred_0`, `pred_1`, ... then only these are read. They are features of a foundation model, which
    fmcib writes beside paths, seeds, stage and outcome.

    Parameters
    ----------
    source : path
        A table with a column of ids. For one patient, it may also be a single row without an id.
    patient : str, optional
        Return this patient only. If the table has no ids, this is the patient's id.
    sheet : str, optional
        Sheet of an Excel workbook.
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame, shape (n_patients, n_features)
        Index patient_id. Columns are float64 or str.

    Raises
    ------
    DataError
        If a cell of a numeric column is not a number. The error names patient, column and value.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "ct_features.csv"
    ...     pd.DataFrame({"patient_id": ["p1", "p2"], "volume": [2.5, 4.0]}).to_csv(file, index=False)
    ...     read_features(file)["volume"].to_dict()
    {'p1': 2.5, 'p2': 4.0}
    """
    table = rows_of_patients(read_table(source, sheet=sheet, ids=ids, notes=notes), patient, source, notes)
    if deep := deep_columns(table):
        others = [c for c in table.columns if c not in deep]
        leave_out(notes, others, "beside features of a foundation model")
        return numeric_table(table[deep].replace("", None), source)
    note_errors(table, source, notes)
    columns = {}
    for c in table:
        cells = clean_cells(table[c])
        # the code of a site, such as 05, is a name
        columns[c] = cells if header_key(c) in SITE_HEADERS else guess_column(cells, c, source, notes)
    return pd.DataFrame(columns, index=table.index)


def deep_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns with features of a foundation model: `pred_0`, `pred_1`, ...

    Features of a model with random weights are named `random7_0`, `random7_1`, ... and are returned too.

    >>> deep_columns(pd.DataFrame(columns=["path", "pred_0", "pred_1"]))
    ['pred_0', 'pred_1']
    """
    found = [c for c in table.columns if _DEEP.fullmatch(str(c))]
    return found if len(found) > 1 else []


def rows_of_patients(
    table: pd.DataFrame, patient: str | None, file: object = None, notes: TableNotes | None = None
) -> pd.DataFrame:
    """Return a table as it was read from a file, with the ids of patients as the index.

    A table without a column of ids is one patient, in one row or in two columns (name, value).

    Raises
    ------
    DataError
        If there is no column of ids and more than one row, or if the patient is not in the table.

    Examples
    --------
    >>> rows_of_patients(pd.DataFrame({"id": ["a", "b"], "age": ["61", "70"]}), "b").to_dict("index")
    {'b': {'age': '70'}}
    """
    ids = id_column(table)
    if ids is None:
        return _single_row(table, patient, file)
    table = by_patient(table, ids, file, notes)
    return table if patient is None else table.loc[[find_patient(patient, table.index, file)]]


def _single_row(table: pd.DataFrame, patient: str | None, file: object) -> pd.DataFrame:
    if table.shape[1] == 2 and len(table) > 1:  # (name, value); the header may be the first pair
        pairs = [] if header_key(table.columns[1]) == "value" else [tuple(table.columns)]
        pairs += list(table.itertuples(index=False, name=None))
        no_duplicates([name for name, _ in pairs], "column", file)
        table = pd.DataFrame([dict(pairs)])
    if len(table) != 1:
        hint = "name the column of patient ids patient_id"
        raise DataError(
            "no column of patient ids",
            file=file,
            expected="patient_id",
            got=", ".join(table.columns[:5]),
            hint=hint,
        )
    return table.set_axis(pd.Index([patient or "patient"], name="patient_id"))
