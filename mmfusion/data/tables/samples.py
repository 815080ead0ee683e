"""Files of one sample with several columns of values, of which the unit chooses one."""

from __future__ import annotations

import pandas as pd

from mmfusion.data.tables.files import header_key
from mmfusion.data.tables.gene_columns import GENE_HEADERS, about_genes
from mmfusion.data.tables.notes import TableNotes, leave_out, note
from mmfusion.errors import DataError

# unit -> headers of the GDC's STAR files, RSEM, Salmon, kallisto and StringTie, in order of preference
_VALUES = {
    "counts": ("unstranded", "expected count", "numreads", "est counts", "raw count", "raw counts", "counts"),
    "tpm": ("tpm unstranded", "tpm"),
    "fpkm": ("fpkm unstranded", "fpkm"),
}
_OTHERS = (
    "stranded first,stranded second,fpkm uq unstranded,fpkm uq,rpkm,effective length,effectivelength"
    ",eff length,coverage,transcript id(s),transcript id s,reference"
)


def value_columns(table: pd.DataFrame) -> dict[str, str]:
    """Return unit -> column if a table has several columns of values of one sample, else {}.

    Parameters
    ----------
    table : DataFrame
        Table as read from a file. All its columns are known: values, or facts about genes.

    Examples
    --------
    >>> value_columns(pd.DataFrame(columns=["gene_id", "unstranded", "stranded_first", "tpm_unstranded"]))
    {'counts': 'unstranded', 'tpm': 'tpm_unstranded'}
    >>> value_columns(pd.DataFrame(columns=["gene", "p1", "tpm"]))
    {}
    """
    if table.shape[1] > 20:
        return {}
    keys = {header_key(c): c for c in table.columns}
    found = {unit: next((keys[h] for h in names if h in keys), None) for unit, names in _VALUES.items()}
    known = {h for names in _VALUES.values() for h in names} | set(_OTHERS.split(","))
    about = {*about_genes(table), *table.columns[:1]}
    rest = [c for key, c in keys.items() if key not in known and c not in about]
    values = [key for key in keys if key in known]
    return {u: c for u, c in found.items() if c is not None} if len(values) > 1 and not rest else {}


def one_value_column(
    table: pd.DataFrame, unit: str | None, file: object = None, notes: TableNotes | None = None
) -> pd.DataFrame:
    """Keep one column of values of a file of one sample; other tables are returned unchanged.

    Parameters
    ----------
    table : DataFrame
        Table as read from a file.
    unit : {"counts", "tpm", "fpkm"}, optional
        Unit of the values that are wanted.
    file : path, optional
        Named in errors.
    notes : TableNotes, optional
        Account of the table.

    Raises
    ------
    DataError
        If the table has several columns of values and no unit is given, or none of the unit.

    Examples
    --------
    >>> sample = pd.DataFrame({"gene_id": ["EGFR"], "unstranded": [7], "tpm_unstranded": [2.5]})
    >>> one_value_column(sample, "tpm", notes=TableNotes()).to_dict("list")
    {'gene_id': ['EGFR'], 'tpm_unstranded': [2.5]}
    """
    columns = value_columns(table)
    if not columns:
        return table
    if unit not in columns:
        raise DataError(
            "a file of one sample with several columns of values",
            file=file,
            column=", ".join(columns.values()),
            expected=f"a unit of {', '.join(columns)}, which chooses the column",
            got=unit or "no unit",
            hint="fill in the manifest's unit cell",
        )
    about = [c for c in table.columns if header_key(c) in GENE_HEADERS or c == table.columns[0]]
    others = [c for c in table.columns if c not in {*about, columns[unit]}]
    text = f"the file has several columns of values; those of {columns[unit]} are read, in {unit}"
    note(notes, text, file)
    leave_out(notes, others, f"no values in {unit}")
    return table[[*about, columns[unit]]]


def check_value_header(header: object, unit: str | None, file: object = None) -> None:
    """Raise an error if the header of the only column of values names another unit.

    Examples
    --------
    >>> check_value_header("tpm_unstranded", "tpm")
    >>> check_value_header("FPKM", "tpm")
    Traceback (most recent call last):
    mmfusion.errors.DataError: column FPKM: the header names another unit (expected tpm; got fpkm)
    """
    named = next((u for u, names in _VALUES.items() if header_key(header) in names), None)
    if named and unit and named != unit:
        raise DataError("the header names another unit", file=file, column=header, expected=unit, got=named)


def is_value_header(header: object) -> bool:
    """Return True if the header is that of a column of values and no patient.

    >>> is_value_header("FPKM"), is_value_header("R01-001")
    (True, False)
    """
    words = {"value", "expression", "count", "zscore", "log", "x", "0", "", *_OTHERS.split(",")}
    return header_key(header) in words.union(*_VALUES.values())
