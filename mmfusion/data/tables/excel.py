"""Sheets of Excel workbooks, as the text of a table."""

from __future__ import annotations

import csv
import datetime
import io
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.errors import DataError
from mmfusion.limits import check_memory, memory_limit, read_at_most

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".numbers")
_READ = (".xlsx", ".xlsm")
_PER_BYTE, _PER_TAG = 4, 200  # memory that openpyxl takes for the XML; a cell with a number has 4 tags
_MERGED = re.compile(
    rb"""mergeCell\s[^>]*?ref\s*=\s*["']\$?([A-Z]{1,3})\$?(\d{1,7}):\$?([A-Z]{1,3})\$?(\d{1,7})["']""",
    re.IGNORECASE,
)
_MAX_MERGED = 100_000  # cells
_SAVE = "open it in Excel, save the sheet as .xlsx or CSV, and use that file"
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ParseError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)  # openpyxl checks little, and a malformed workbook raises any of these


def split_sheet(path: str | Path, sheet: str | None = None) -> tuple[Path, str | None]:
    """Split a path such as "study.xlsx#Clinical" into the file and the name of its sheet.

    Raises
    ------
    DataError
        If the path and `sheet` name different sheets.

    Examples
    --------
    >>> split_sheet("study.xlsx#Clinical")[1], split_sheet("a#b.csv")[1]
    ('Clinical', None)
    """
    found = re.fullmatch(r"(.*\.xls[xm])#(.+)", str(path), flags=re.IGNORECASE | re.DOTALL)
    if not found or Path(path).is_file():
        return Path(path), sheet or None
    if sheet and sheet != found[2]:
        raise DataError("two sheets are named", file=path, expected="one sheet", got=f"{found[2]}, {sheet}")
    return Path(found[1]), found[2]


def text_of_sheet(path: Path, sheet: str | None = None, notes: TableNotes | None = None) -> str:
    """Return one sheet of a workbook as CSV text; numbers as Excel stores them, dates as 2023-09-02.

    Parameters
    ----------
    path : path
        A workbook (.xlsx, .xlsm).
    sheet : str, optional
        Name of the sheet. Default: the only visible sheet that is not empty.
    notes : TableNotes, optional
        Account of the table: merged cells, hidden rows and columns, sheets that were not read.

    Raises
    ------
    DataError
        If the workbook is of another format, too large or cannot be read, if the sheet is not clear, if a
        formula has no stored value, or if openpyxl is not installed.

    Examples
    --------
    >>> text_of_sheet(Path("absent.xlsx"))
    Traceback (most recent call last):
    mmfusion.errors.DataError: file absent.xlsx: no such file
    """
    if not path.is_file():
        raise DataError("no such file", file=path)
    if path.suffix.lower() not in _READ:
        raise DataError("a workbook of this format is not read", file=path, expected=".xlsx", hint=_SAVE)
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        hint = "pip install mmfusion[excel], or save the sheet as CSV"
        raise DataError("openpyxl, which reads workbooks, is not installed", file=path, hint=hint) from error
    try:
        with path.open("rb") as stream:
            raw = read_at_most(stream, memory_limit() // _PER_BYTE, "the workbook", file=path)
        has_formulas = _check_parts(raw, path)
        book = load_workbook(io.BytesIO(raw), data_only=True, keep_links=False)
        chosen = _choose(book.worksheets, sheet, path, notes)
        if has_formulas:
            _check_formulas(chosen, load_workbook(io.BytesIO(raw), keep_links=False)[chosen.title], path)
    except DataError:
        raise
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"openpyxl cannot read this workbook ({reason})", file=path, hint=_SAVE) from error
    _note_layout(chosen, path, notes)
    return _as_csv(_filled(chosen), path)


def _filled(sheet: Worksheet) -> list[Cell]:
    """Return the cells with a value; a loop over all rows would make the empty cells up to a far one."""
    return [cell for cell in sheet._cells.values() if cell.value is not None]


def _as_csv(cells: list[Cell], path: Path) -> str:
    rows, columns = max(c.row for c in cells), max(c.column for c in cells)
    far = max(cells, key=lambda c: (c.column, c.row)).coordinate
    check_memory(rows * columns * 8, f"the sheet, whose last cell is {far},", file=path)
    grid = [[""] * columns for _ in range(rows)]
    for cell in cells:
        grid[cell.row - 1][cell.column - 1] = _text(cell)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(grid)
    return out.getvalue()


def _check_parts(raw: bytes, path: Path) -> bool:
    """Check the size and kind of a workbook's parts before they are read; return True if it has formulas."""
    start = raw[:4]
    if start == b"\xd0\xcf\x11\xe0":
        raise DataError("a workbook with a password, or an old one (.xls)", file=path, hint=_SAVE)
    if start != b"PK\x03\x04":
        raise DataError(
            "not an Excel workbook", file=path, expected=".xlsx", got="another format", hint=_SAVE
        )
    formulas = False
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        parts = [p for p in archive.infolist() if p.filename.endswith((".xml", ".rels"))]
        size, tags = sum(p.file_size for p in parts), 0
        check_memory(size * _PER_BYTE, "the workbook", file=path)
        for part in parts:
            xml = archive.read(part)
            tags += xml.count(b"<")
            check_memory(size * _PER_BYTE + tags * _PER_TAG, "the workbook", file=path)
            _check_merged(xml, path)
            if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
                raise DataError("a workbook that defines its own entities is not read", file=path, hint=_SAVE)
            formulas |= part.filename.startswith("xl/worksheets/") and (b"<f>" in xml or b"<f " in xml)
    return formulas


def _check_merged(xml: bytes, path: Path) -> None:
    """Raise an error if merged ranges are large, because openpyxl makes an object for each of their cells."""
    from openpyxl.utils import column_index_from_string as number

    area = 0
    for left, top, right, bottom in _MERGED.findall(xml):
        area += (number(right.decode().upper()) - number(left.decode().upper()) + 1) * (
            int(bottom) - int(top) + 1
        )
    if area > _MAX_MERGED:
        expected = f"{_MAX_MERGED} merged cells at most"
        raise DataError("too many merged cells", file=path, expected=expected, got=area, hint=_SAVE)


def _choose(sheets: list[Worksheet], name: str | None, path: Path, notes: TableNotes | None) -> Worksheet:
    """Return the sheet of this name, or the only visible one with content."""
    titles = listed((s.title for s in sheets), 20)
    if name is not None:
        found = [s for s in sheets if s.title.strip().lower() == name.strip().lower()]
        if len(found) != 1:
            raise DataError("no such sheet", file=path, expected=titles, got=name)
        if not _filled(found[0]):
            raise DataError("the sheet is empty", file=path, got=name)
        return found[0]
    full = [s for s in sheets if _filled(s)]
    visible = [s for s in full if s.sheet_state == "visible"]
    if not full:
        raise DataError("the table is empty", file=path, got=f"no cells in {titles}")
    if len(visible or full) > 1:
        raise DataError(
            "several sheets",
            file=path,
            expected="one sheet",
            got=listed((s.title for s in visible or full), 20),
            hint="name one: study.xlsx#Sheet, or the column part of the manifest",
        )
    chosen = (visible or full)[0]
    if others := [s.title for s in full if s is not chosen]:
        note(notes, f"hidden sheets were not read: {listed(others)}", path)
    return chosen


def _check_formulas(values: Worksheet, formulas: Worksheet, path: Path) -> None:
    """Raise an error if a formula has no value that Excel stored with it."""
    bare = [
        cell.coordinate
        for cell in _filled(formulas)
        if cell.data_type == "f" and values[cell.coordinate].value is None
    ]
    if bare:
        hint = "open the workbook in Excel and save it, which stores the values"
        raise DataError("formulas without a stored value", file=path, got=listed(bare), hint=hint)


def _note_layout(sheet: Worksheet, path: Path, notes: TableNotes | None) -> None:
    """Note merged cells, and hidden rows and columns, which are read."""
    if merged := sorted(str(r) for r in sheet.merged_cells.ranges):
        text = "in merged cells only the first one has the value, the others are read as empty"
        note(notes, f"{text}: {listed(merged)}", path)
    hidden = [str(k) for k, row in sheet.row_dimensions.items() if row.hidden and k <= sheet.max_row]
    columns = [k for k, column in sheet.column_dimensions.items() if column.hidden]
    for what, names in (("rows", hidden), ("columns", columns)):
        if names:
            note(notes, f"hidden {what} are read: {listed(names)}", path)


def _text(cell: Cell) -> str:
    """Return the text of a cell; a number shown as 007 keeps its zeros."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        zeros = cell.number_format or ""
        return str(value).zfill(len(zeros) if re.fullmatch("0{2,}", zeros) else 0)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return " ".join(str(value).split())
