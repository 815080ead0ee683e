"""Layout of a delimited text: separator, header, and the lines of the data."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.errors import DataError

SEPARATORS = "\t;|,"  # in order of preference
MAX_COLUMNS = 200_000
_STAR = ("gene_id", "unstranded", "stranded_first", "stranded_second")  # a file without a header
_SAMPLE, _SAMPLE_CHARACTERS = 200, 2**20
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\s]*', re.IGNORECASE)
_QUOTES = "a quotation mark that opens a cell must close it, before the next separator"


@dataclass(frozen=True)
class Layout:
    r"""Layout of a delimited text.

    Parameters
    ----------
    separator : str
        One character.
    header : tuple of str
        Names of the columns; "" for row names without a header, as R writes them.
    lines : list of str
        Lines of the data. A record may go over several lines if a quoted cell has line breaks.
    first_line : int
        Number of the first line of data in the file.
    n_records : int
        Number of records in `lines`.
    surplus : int
        Number of empty columns after the last one with a name.
    row_names : bool
        True if the header has one name fewer than the rows have cells, so that "" was added.

    Examples
    --------
    >>> layout_of("title\n\npatient_id;size\np1;2,5\n", notes=TableNotes()).header
    ('patient_id', 'size')
    """

    separator: str
    header: tuple[str, ...]
    lines: list[str]
    first_line: int
    n_records: int
    surplus: int
    row_names: bool


def layout_of(
    text: str, file: object = None, *, separator: str | None = None, notes: TableNotes | None = None
) -> Layout:
    r"""Find the layout of a delimited text.

    The separator is the one of tab, semicolon, bar and comma that gives the records equal numbers of cells.
    Lines above the header that begin with # and title rows are skipped, and noted. Empty rows are skipped.

    Parameters
    ----------
    text : str
        Text of the file.
    file : path, optional
        Named in errors.
    separator : str, optional
        The separator, if it is known.
    notes : TableNotes, optional
        Account of the table.

    Raises
    ------
    DataError
        If there is no table, a quotation mark is not closed, or a row has more or fewer cells than the header
        (the error names its line).

    Examples
    --------
    >>> layout = layout_of('id,"CRP\n(mg/L)"\np1,"1"\n')
    >>> layout.separator, layout.header, layout.first_line
    (',', ('id', 'CRP (mg/L)'), 3)
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = 0
    if found := _SEP_LINE.fullmatch(lines[0][:20]):
        separator, start = found[1], 1
    comments = []
    while start < len(lines) and (not lines[start].strip() or lines[start].lstrip('"').startswith("#")):
        comments += [start] if lines[start].strip() else []
        start += 1
    if start == len(lines):
        raise DataError("the table is empty", file=file)
    separator = separator or _separator(_top(lines, start))
    if comments and _is_header(lines, comments[-1], start, separator):
        start = comments.pop()
        lines[start] = lines[start].replace("#", "", 1)
    if comments:
        text = f"({len(comments)}): {lines[comments[0]].strip()[:60]!r}"
        note(notes, f"lines above the header that begin with # were not read {text}", file)
    start = _skip_titles(lines, start, separator, file, notes)
    return _check(lines, start, separator, file, notes)


def _top(lines: Sequence[str], start: int) -> list[str]:
    """Return the first lines from `start`: at least 3, and more while they are few characters."""
    top: list[str] = []
    for line in islice(lines, start, start + _SAMPLE):
        top.append(line)
        if len(top) > 2 and sum(map(len, top)) > _SAMPLE_CHARACTERS:
            break
    return top


def _reader(lines: Sequence[str], separator: str, *, strict: bool = True):
    return csv.reader((line + "\n" for line in lines), delimiter=separator, strict=strict)


def _sample(lines: Sequence[str], separator: str, *, strict: bool = True) -> list[tuple[int, list[str]]]:
    """Return the records that are not empty, each with the number of lines before it.

    The list is empty if the lines cannot be split into cells at this separator.
    """
    reader, before, found = _reader(lines, separator, strict=strict), 0, []
    try:
        for record in reader:
            found += [(before, record)] if any(cell.strip() for cell in record) else []
            before = reader.line_num
    except csv.Error:  # a cell that is longer than the sample is no error
        return found if reader.line_num == len(lines) else []
    return found


def _separator(lines: Sequence[str]) -> str:
    for strict in (True, False):
        ranks = {
            s: _rank([len(record) for _, record in _sample(lines, s, strict=strict)]) for s in SEPARATORS
        }
        if any(ranks.values()):
            return max(SEPARATORS, key=lambda s: ranks[s] or (0.0, False, 0))  # the first of equals
    spaces = _rank([len(record) for _, record in _sample(lines, " ")])  # R's write.table
    return " " if spaces and spaces[0] == 1 and sum(bool(line.strip()) for line in lines[:3]) > 1 else ","


def _rank(widths: list[int]) -> tuple[float, bool, int] | None:
    """Rank a separator: how many records have the usual number of cells, if the header has it, the number."""
    if max(widths, default=1) < 2:
        return None
    counts = Counter(width for width in widths if width > 1)
    usual = max(counts, key=lambda width: (counts[width], width))
    first = next(k for k, width in enumerate(widths) if width >= usual - 1)
    used = widths[first:]
    fit = sum(width == usual for width in used[1:]) + (used[0] in (usual, usual - 1))
    return round(fit / len(widths), 2), used[0] == usual, usual


def _is_header(lines: list[str], comment: int, start: int, separator: str) -> bool:
    """Return True if the last comment line is the header: the next line has as many cells, and numbers."""
    head = next(csv.reader([lines[comment].lstrip("#")], delimiter=separator))
    sample = _sample(_top(lines, start), separator)
    if comment != start - 1 or not sample or len(sample[0][1]) != len(head) or len(head) < 2:
        return False
    return any(map(_is_number, sample[0][1][1:])) and not any(map(_is_number, head[1:]))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _skip_titles(lines: list[str], start: int, separator: str, file: object, notes: TableNotes | None) -> int:
    """Return the line of the header: the first record in which at least half of the columns are filled."""
    sample = _sample(_top(lines, start), separator)
    if not sample:
        return start
    filled = [sum(bool(cell.strip()) for cell in record) for _, record in sample]
    columns = max(_last_filled(record) for _, record in sample)
    # a few numbers alone, such as the sizes in a GCT, are no header
    sizes = [n < columns - 1 and all(map(_is_number, filter(None, r))) for n, (_, r) in zip(filled, sample)]
    chosen = next((k for k, n in enumerate(filled) if 2 * n >= columns and not sizes[k]), 0)
    if chosen == len(sample) - 1 or all(map(_is_number, sample[chosen][1])):  # data, no header
        chosen = 0
    if columns == 2:  # one word above rows of two cells is the header of a table that R wrote
        alone = next((k for k, n in enumerate(filled) if n > 1), 0)
        one_word = alone == 1 and len(sample[0][1][0].split()) == 1
        chosen = 0 if one_word or any(len(record) > 1 for _, record in sample[:alone]) else alone
    chosen += _is_title_above_header(sample[chosen : chosen + 3], columns)
    if chosen:
        texts = listed((repr(" ".join(filter(None, record)))[:60] for _, record in sample[:chosen]), 3)
        note(notes, f"rows above the header were not read ({chosen}): {texts}", file)
    return start + sample[chosen][0]


def _is_title_above_header(sample: list[tuple[int, list[str]]], columns: int) -> bool:
    """Return True if the first record has one cell fewer than the next one, which is the header."""
    has_numbers = [any(map(_is_number, record)) for _, record in sample[1:]]
    return len(sample) == 3 and len(sample[0][1]) == columns - 1 and has_numbers == [False, True]


def _last_filled(record: list[str]) -> int:
    """Return the number of cells up to the last one that is not empty."""
    n = len(record)
    while n and not record[n - 1].strip():
        n -= 1
    return n


def _check(lines: list[str], start: int, separator: str, file: object, notes: TableNotes | None) -> Layout:
    """Go through all records once, and return the layout if each row fits the header."""
    header: list[str] | None = None
    skipped: set[int] = set()
    ends: list[int] = []  # for each record of data: lines before it
    widths: Counter[tuple[int, int]] = Counter()  # cells, cells up to the last filled one
    where: dict[tuple[int, int], int] = {}
    reader, end = _reader(lines[start:], separator), 0
    try:
        for record in reader:
            before, end = end, reader.line_num
            if header is None:
                header = [_name(cell) for cell in record]
                continue
            used = len(record) if record and record[-1].strip() else _last_filled(record)
            ends.append(before)
            if not used or (used == 1 and len(header) > 1 and record[0].startswith("#")):
                skipped.add(len(ends) - 1)
                if used:
                    note(notes, f"line {start + before + 1} begins with # and was not read", file)
                continue
            widths[len(record), used] += 1
            where.setdefault((len(record), used), start + before + 1)
    except csv.Error as error:
        line = start + end + 1
        raise DataError(
            f"the row that begins in line {line} cannot be split into cells ({error})",
            file=file,
            hint=_QUOTES,
        ) from error
    header, surplus, row_names = _fit(header or [], widths, where, file)
    first = ends[0] if ends else len(lines) - start
    return Layout(
        separator=separator,
        header=tuple(header),
        lines=_without(lines[start:], ends, skipped) if skipped else lines[start + first :],
        first_line=start + first + 1,
        n_records=len(ends) - len(skipped),
        surplus=surplus,
        row_names=row_names,
    )


def _without(lines: list[str], ends: list[int], skipped: set[int]) -> list[str]:
    stops = [*ends[1:], len(lines)]
    kept = (range(a, b) for k, (a, b) in enumerate(zip(ends, stops, strict=True)) if k not in skipped)
    return [lines[k] for part in kept for k in part]


def _name(cell: str) -> str:
    return " ".join(cell.replace("\ufeff", "").replace("\u200b", "").split())


def _fit(
    header: list[str], widths: Counter[tuple[int, int]], where: dict[tuple[int, int], int], file: object
) -> tuple[list[str], int, bool]:
    """Return the header, the number of empty columns after it, and if "" was added for R's row names."""
    if header[:1] == ["N_unmapped"] and len(header) == len(_STAR):  # STAR's ReadsPerGene.out.tab
        header = list(_STAR)
    named = _last_filled(header)
    most = max((width for width, _ in widths), default=named)
    used = max((used for _, used in widths), default=0)
    if most > MAX_COLUMNS:
        raise DataError(
            "too many columns", file=file, expected=f"{MAX_COLUMNS} at most", got=f"{most} columns"
        )
    row_names = used == named + 1 and len(header) == named and all(width > named for width, _ in widths)
    if row_names:
        header, named = ["", *header], named + 1  # as R writes it: no header over the row names
    elif used > len(header) and all(width > len(header) for width, _ in widths):
        expected, got = f"{len(header)} columns", f"{used} cells"
        raise DataError("rows have more cells than the header", file=file, expected=expected, got=got)
    wrong = sorted(where[key] for key in widths if key[0] < named or key[1] > len(header))
    if wrong:
        line = wrong[0]
        got = next(width for (width, used), k in where.items() if k == line)
        raise DataError(
            f"not a table: line {line} has {got} cells",
            file=file,
            expected=f"{named} cells, as in the header",
            hint="put cells with a separator or a line break in quotation marks, or complete the row",
        )
    header = header[: max(named, used)]
    return header, max(most - len(header), 0), row_names
