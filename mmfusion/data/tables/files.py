"""Reading of delimited files: CSV or TSV, plain or zipped, and their column of patient ids."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.tables.cells import decimal_commas
from mmfusion.data.tables.notes import TableNotes
from mmfusion.errors import DataError

_IDS = (
    "patient id,patientid,patient,case id,caseid,pid,id,subject,subject id,participant id,bcr patient barcode"
)
ID_HEADERS = frozenset(_IDS.split(","))
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
    """Read a CSV or TSV file, plain, gzipped, or as the only file in a ZIP.

    Cells are separated by tabs, commas or semicolons. If they are separated by semicolons, 2,60 is read as
    2.60. If the table has a column of ids, an unnamed first column that only numbers the rows is dropped.

    Parameters
    ----------
    path : path
        File whose name ends in .csv, .tsv, .txt, .gz or .zip.
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
        If the file does not exist, is not a table, or has two columns with the same header.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "ehr.csv"
    ...     pd.DataFrame({"id": ["p1"], "size": [2.6]}).to_csv(file, sep=";", decimal=",", index=False)
    ...     read_table(file, numbers=True)["size"].tolist()
    [2.6]
    """
    path = Path(path)
    lines = [line for line in re.split("\r\n|\r|\n", _text_of(path)) if line.strip()]
    if not lines:
        raise DataError("the table is empty", file=path)
    separator = max("\t,;", key=lines[0].count)
    head, *rows = csv.reader(lines[:2], delimiter=separator)
    header = [name.strip() for name in head]
    if rows and len(rows[0]) == len(header) + 1:  # as R writes it: no header over the row names
        header = ["", *header]
    no_duplicates(header, "column", path)
    table = io.StringIO("\n".join(lines[1:]))
    names = [header[0], *(name for name in header if header_key(name) in ID_HEADERS)]  # an id 007 stays text
    as_numbers = {"dtype": dict.fromkeys(names, str), "na_values": _NA}
    try:
        frame = pd.read_csv(
            table,
            sep=separator,
            header=None,
            names=header,
            keep_default_na=False,
            low_memory=False,
            **(as_numbers if numbers else {"dtype": str}),
        )
    except pd.errors.ParserError as error:
        raise DataError(
            f"not a table ({str(error).strip()})", file=path, hint="save it as CSV with one row per line"
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError("rows have more cells than the header", file=path, expected=f"{len(header)} columns")
    if separator == ";":
        _decimal_points(frame, [c for c in header if c not in names], numbers=numbers)
    known = any(header_key(c) in ID_HEADERS for c in header)
    frame = frame.drop(columns=row_number(frame) if known else [])
    return frame if ids is None else _ids_first(frame, ids, path)


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


def _text_of(path: Path) -> str:
    if not path.is_file():
        raise DataError("no such file", file=path)
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                members = [
                    n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")
                ]
                if len(members) != 1:
                    raise DataError(
                        "a zipped table holds one file",
                        file=path,
                        expected="1 file",
                        got=f"{len(members)} files",
                    )
                raw = archive.read(members[0])
        elif path.suffix.lower() == ".gz":
            raw = gzip.decompress(path.read_bytes())
        else:
            raw = path.read_bytes()
        if b"\0" in raw[:4096]:
            raise DataError(
                "not a text table", file=path, expected="CSV or TSV", hint="export the sheet as CSV"
            )
        return raw.decode("utf-8-sig")
    except (UnicodeDecodeError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"not a text table ({error})", file=path, expected="CSV or TSV in UTF-8") from error


def id_column(table: pd.DataFrame) -> str | None:
    """Return the header of the column of patient ids, or None if there is no such column.

    >>> id_column(pd.DataFrame({"Case-ID": ["a", "b"], "age": ["61", "70"]}))
    'Case-ID'
    """
    named = [c for c in table.columns if header_key(c) in ID_HEADERS]
    if not named and table.shape[1] > 2 and header_key(table.columns[0]) == "":  # a saved index has no header
        first = table.iloc[:, 0]
        named = (
            [table.columns[0]]
            if first.is_unique and pd.to_numeric(first, errors="coerce").isna().all()
            else []
        )
    return named[0] if named else None


def by_patient(table: pd.DataFrame, ids: str, file: object = None) -> pd.DataFrame:
    """Return the table indexed by the patient ids in column `ids`, without this column.

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
        line = int(np.flatnonzero(names == "")[0]) + 2
        raise DataError(f"line {line} has no patient id", file=file, column=ids)
    no_duplicates(names, "patient", file)
    return table.drop(columns=ids).set_axis(pd.Index(names, name="patient_id"))


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
