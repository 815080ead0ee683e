"""Reading of delimited files: CSV or TSV, plain or zipped, and their column of patient ids."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.tables.cells import decimal_commas
from mmfusion.data.tables.content import text_of
from mmfusion.data.tables.dialect import Layout, layout_of
from mmfusion.data.tables.excel import WORKBOOKS, split_sheet, text_of_sheet
from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.data.tables.summaries import without_summaries
from mmfusion.errors import DataError
from mmfusion.escaping import unguarded_cells
from mmfusion.limits import check_memory

# in order of preference
_NAMED = (
    "patient id,patientid,patient,case id,caseid,pid,subject id,participant id,bcr patient barcode"
    ",case submitter id,cases submitter id,submitter id,patient no,patient nr,patient number,patid,pat id"
    ",id,subject,participant,mrn,record id"
)
_IDS = tuple(_NAMED.split(","))
ID_HEADERS = frozenset(_IDS)
_NA = ["", "NA", "N/A", "NaN", "nan", "null"]


def header_key(column: object) -> str:
    """Return a header in lower case, with single spaces for dots, underscores, hyphens and brackets.

    >>> header_key("clinical.T.Stage"), header_key("Weight [lbs]")
    ('clinical t stage', 'weight lbs')
    """
    return re.sub(r"[\s._()\[\]-]+", " ", str(column)).strip().lower()


def read_table(
    path: str | Path,
    *,
    numbers: bool = False,
    sheet: str | None = None,
    ids: str | None = None,
    notes: TableNotes | None = None,
) -> pd.DataFrame:
    """Read a CSV or TSV file, plain, gzipped, or as the only file in a ZIP, or a sheet of a workbook.

    Cells are separated by tabs, semicolons, bars or commas, whichever gives all rows the same number of
    cells. If they are separated by semicolons, 2,60 is read as 2.60. An apostrophe before =, +, - or @, which
    keeps spreadsheet programs from reading a formula, is not part of a cell. Lines above the header that
    begin with # and title rows are not read, and noted (`mmfusion.data.tables.dialect`). If the table has a
    column of ids, an unnamed first column that only numbers the rows is dropped.

    Parameters
    ----------
    path : path
        File whose name ends in .csv, .tsv, .txt, .gz, .zip or .xlsx.
    numbers : bool
        If True, columns of numbers become numbers, except the first column and columns of ids. If False,
        every cell stays text and an empty cell is an empty string.
    sheet : str, optional
        Sheet of an Excel workbook; it may also follow the path, as in "study.xlsx#Clinical".
    ids : str, optional
        Header of the column of patient ids, if it is not one of the usual headers. The column comes first
        and is called patient_id.
    notes : TableNotes, optional
        Account that the reader fills; without one, it warns.

    Returns
    -------
    DataFrame, shape (n_rows, n_columns)
        Headers as in the file, stripped.

    Raises
    ------
    DataError
        If the file does not exist, is not a table, has rows of different lengths (the error names the line),
        has two columns with the same header, or needs more memory than the limit.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "ehr.csv"
    ...     pd.DataFrame({"id": ["p1"], "size": [2.6]}).to_csv(file, sep=";", decimal=",", index=False)
    ...     read_table(file, numbers=True)["size"].tolist()
    [2.6]
    """
    path, sheet = split_sheet(path, sheet)
    if path.suffix.lower() in WORKBOOKS:
        layout = layout_of(text_of_sheet(path, sheet, notes), path, separator=",", notes=notes)
    elif sheet is not None:
        raise DataError("only a workbook has sheets", file=path, expected=".xlsx or .xlsm", got=sheet)
    else:
        layout = layout_of(text_of(path, notes), path, notes=notes)
    frame = _frame(layout, path, numbers=numbers)
    frame = _without_unnamed(frame, path, notes)
    frame.attrs["first_line"] = layout.first_line
    known = any(header_key(c) in ID_HEADERS for c in frame.columns)
    numbered = row_number(frame) if known else []
    frame = frame.drop(columns=numbered) if numbered else frame
    return frame if ids is None else _ids_first(frame, ids, path)


def _frame(layout: Layout, path: Path, *, numbers: bool) -> pd.DataFrame:
    """Return the data of a text whose layout is known."""
    header = list(layout.header)
    no_duplicates([name for name in header if name], "column", path)
    if layout.row_names and header_key(header[1]) in ID_HEADERS:
        expected, got = f"{len(header) - 1} cells, as in the header", f"{len(header)} cells in each row"
        raise DataError("rows have more cells than the header", file=path, expected=expected, got=got)
    n_cells = layout.n_records * (len(header) + layout.surplus)
    needed = n_cells * (16 if numbers else 64) + 3 * sum(map(len, layout.lines))
    check_memory(needed, "the table", file=path)
    # a name that no header can have, for columns without one after the first
    names = [name if name or k == 0 else f"\0{k + 1}" for k, name in enumerate(header)]
    extra = [f"\0surplus {k}" for k in range(layout.surplus)]
    text = [names[0], *(name for name in names if header_key(name) in ID_HEADERS)]  # an id 007 stays text
    as_numbers = {"dtype": dict.fromkeys(text, str), "na_values": _NA}
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(layout.lines)),
            sep=layout.separator,
            header=None,
            names=[*names, *extra],
            index_col=False,
            keep_default_na=False,
            low_memory=False,
            **(as_numbers if numbers else {"dtype": str}),
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OverflowError) as error:
        raise DataError(
            f"not a table ({str(error).strip()})", file=path, hint="save it as CSV with one row per line"
        ) from error
    if len(frame) != layout.n_records:
        got = f"{len(frame)} or {layout.n_records} rows"
        raise DataError(
            "the number of rows is not clear", file=path, got=got, hint="check the quotation marks"
        )
    if layout.separator == ";":
        _decimal_points(frame, [c for c in names if c not in text], numbers=numbers)
    frame = frame.drop(columns=extra) if extra else frame
    guarded = any("'" in text for text in (*header, *layout.lines))
    return unguarded_cells(frame) if guarded else frame


def _without_unnamed(frame: pd.DataFrame, path: Path, notes: TableNotes | None) -> pd.DataFrame:
    """Drop the columns without a header after the first one; note those that have cells."""
    unnamed = [c for c in frame.columns if c.startswith("\0")]
    filled = [
        c for c in unnamed if frame[c].notna().any() and frame[c].astype("str").str.strip().ne("").any()
    ]
    if filled:
        places = listed(c[1:] for c in filled)
        note(notes, f"column {places} has no header and was not read", path)
    return frame.drop(columns=unnamed) if unnamed else frame


def _ids_first(frame: pd.DataFrame, ids: str, path: Path) -> pd.DataFrame:
    """Return the table with the column `ids` first, under the name patient_id."""
    if ids not in frame or ("patient_id" in frame and ids != "patient_id"):
        got = ", ".join(map(str, frame.columns[:5]))
        raise DataError("no such column of patient ids", file=path, column=ids, expected=ids, got=got)
    frame = frame[[ids, *(column for column in frame.columns if column != ids)]]
    return frame.rename(columns={ids: "patient_id"})


def _decimal_points(frame: pd.DataFrame, columns: list[str], *, numbers: bool) -> None:
    """Replace decimal commas by points, in place."""
    for column in columns:
        if not pd.api.types.is_numeric_dtype(frame[column]) and (odd := decimal_commas(frame[column])).any():
            points = frame[column].mask(odd, frame[column].astype("str").str.strip().str.replace(",", "."))
            values = pd.to_numeric(points, errors="coerce")
            frame[column] = values if numbers and values.notna().equals(points.notna()) else points


def row_number(frame: pd.DataFrame) -> list[str]:
    """Return the first column in a list if it only numbers the rows, else an empty list.

    Some programs save such a column without a header.

    >>> row_number(pd.DataFrame({"": ["0", "1"], "patient_id": ["a", "b"]}))
    ['']
    """
    first = frame.columns[0]
    if first not in {"", "Unnamed: 0"}:
        return []
    return [first] if frame[first].is_unique and frame[first].str.fullmatch(r"\d+", na=False).all() else []


def id_column(table: pd.DataFrame) -> str | None:
    """Return the header of the column of patient ids, or None if there is no such column.

    >>> id_column(pd.DataFrame({"Case-ID": ["a", "b"], "age": ["61", "70"]}))
    'Case-ID'
    """
    if named := [c for c in table.columns if header_key(c) in ID_HEADERS]:
        return min(named, key=lambda c: _IDS.index(header_key(c)))
    if table.shape[1] < 3 or header_key(table.columns[0]) != "":
        return None
    first = table.iloc[:, 0]  # a saved index has no header
    names = first.is_unique and pd.to_numeric(first, errors="coerce").isna().all()
    return table.columns[0] if names else None


def by_patient(
    table: pd.DataFrame, ids: str, file: object = None, notes: TableNotes | None = None
) -> pd.DataFrame:
    """Return the table indexed by the patient ids in column `ids`, without this column.

    Rows that are no patients, such as "Mean", are left out and noted.

    Raises
    ------
    DataError
        If an id is empty or occurs twice.

    Examples
    --------
    >>> by_patient(pd.DataFrame({"id": [" a", "b"], "age": ["61", "70"]}), "id").index.tolist()
    ['a', 'b']
    """
    names = table[ids].astype("str").str.strip().fillna("")
    if (names == "").any():
        line = int(np.flatnonzero(names == "")[0]) + table.attrs.get("first_line", 2)
        raise DataError(f"line {line} has no patient id", file=file, column=ids)
    table = table.drop(columns=ids).set_axis(pd.Index(names, name="patient_id"))
    table = without_summaries(table, file, notes)
    no_duplicates(table.index, "patient", file)
    return table


def find_patient(patient: str, index: pd.Index, file: object = None) -> str:
    """Return `patient` if it is in the index, else raise a `DataError`.

    >>> find_patient("a", pd.Index(["a", "b"]))
    'a'
    """
    if patient not in index:
        raise DataError(
            "patient not in the table",
            patient=patient,
            file=file,
            got=f"{len(index)} others: {', '.join(index[:3])}...",
        )
    return patient


def no_duplicates(names: Iterable[str], what: str, file: object = None) -> None:
    """Raise a `DataError` if a name occurs twice.

    `what` is "patient" or "column" and says what the names are.

    >>> no_duplicates(["a", "b", "a"], "patient")
    Traceback (most recent call last):
    mmfusion.errors.DataError: patient a: duplicate patient -> keep one of each patient
    """
    names = pd.Index(names)
    if names.has_duplicates:
        twice = ", ".join(map(str, names[names.duplicated()].unique()[:5]))
        raise DataError(f"duplicate {what}", file=file, **{what: twice}, hint=f"keep one of each {what}")
