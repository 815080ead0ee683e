"""Cells of a text table: missing values, numbers, and numbers that may mean something else."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from mmfusion.data.tables.notes import TableNotes, listed, note
from mmfusion.errors import DataError

_NOT = (
    "available|applicable|collected|recorded( in database)?|reported|assessed|assessable|evaluated|evaluable"
    "|known|specified|documented|determined|tested|done|performed|measured|stated|given|provided|entered|registered"
    "|obtained|examined|ascertained|disclosed|answered|allowed to collect"
)
_WORD = (
    rf"(data |information |value )?not[ _-]?(yet )?({_NOT})|unknown|unk|unkn|unspecified|unavailable"
    r"|undetermined|missing|n/?a|n\.a\.?|n/?k|nan|nat|null|no (data|information|info|value|answer)"
    r"|discrepancy|pending|refused|declined|prefer not to (say|answer)|keine angabe|k\. ?a\.|unbekannt"
    r"|inconnue?|desconocid[oa]"
)
# a word, also in brackets or after the apostrophe with which a spreadsheet marks text; or signs alone
MISSING = re.compile(
    rf"""['"]?[\[(<{{]?\s*({_WORD})\s*[\])>}}]?['"]?|['"]?[-–—]{{1,4}}|['"]?\.{{1,3}}|\?+|#n/?a!?|"""
)
# what a spreadsheet shows for a formula that it could not compute
ERRORS = re.compile(
    r"#(value|ref|div/0|name|num|null|spill|calc|field|wert|bezug|zahl)[!?]|err:\d+|#getting_data"
)
# headers of categories; ECOG and other scales are quantities
_CATEGORY = re.compile(
    r"\b(smok\w*|tobacco|histolog\w*|race|ethnic\w*|sex|gender|type|subtype|morpholog\w*|categor\w*|class|code|codes"
    r"|cluster|group|marital|insurance|region|country|lobe|location|laterality|side|site|hospital|scanner|vendor"
    r"|manufacturer|kernel|occupation|religion|diagnosis|pattern|indication|center|centre)\b"
)
_QUANTITY = re.compile(r"\b(age|years?|days?|months?|per|number|count|amount|packs?|duration|size|mm|dose)\b")
_MOST_CODES = 12
_WITH_UNIT = re.compile(
    r"[-+]?[\d.,]*\d ?(%|[cmµu]?m|m?l|[kmµnp]?g|[kmµunp]?(g|mol|u|iu)/[dm]?l"
    r"|years?|y|yrs?|months?|weeks?|days?|d|m?gy|mbq|pack[ -]?years?|py|bpm|mmhg)",
    re.IGNORECASE,
)
SENTINELS = frozenset((-1, -9, -99, -999, -9999, 99, 888, 999, 9999, 99999))


def is_missing(word: object) -> bool:
    """Return True if a cell says that the value is unknown, or that a spreadsheet could not compute it.

    >>> is_missing("'--"), is_missing("[Not Available]"), is_missing("#N/A"), is_missing("none")
    (True, True, True, False)
    """
    text = str(word).strip().lower()
    return bool(MISSING.fullmatch(text) or ERRORS.fullmatch(text))


def clean_cells(column: pd.Series) -> pd.Series:
    """Strip the cells of a column and turn those that say "unknown" (`is_missing`) into missing values.

    >>> clean_cells(pd.Series([" adenocarcinoma", "N/A", "Not Collected"])).isna().tolist()
    [False, True, True]
    """
    text = column.astype("str").str.strip()
    unknown = {word for word in text.dropna().unique() if is_missing(word)}
    return text.mask(text.isin(unknown))


def note_errors(table: pd.DataFrame, file: object, notes: TableNotes | None) -> None:
    """Note the cells that hold an error of a spreadsheet, such as #REF!; they are read as missing.

    >>> notes = TableNotes()
    >>> note_errors(pd.DataFrame({"crp": ["1", "#REF!"]}, index=["p1", "p2"]), None, notes)
    >>> notes.texts
    ['errors of a spreadsheet are read as missing: #REF! in crp of p2']
    """
    found = []
    for column in table.columns[[not pd.api.types.is_numeric_dtype(d) for d in table.dtypes]]:
        cells = table[column].astype("str").str.strip()
        wrong = cells[cells.str.contains("[#:]", na=False)]
        found += [f"{cell} in {column} of {k}" for k, cell in wrong.items() if ERRORS.fullmatch(cell.lower())]
    if found:
        note(notes, f"errors of a spreadsheet are read as missing: {listed(found)}", file)


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
    if cells.dtype == np.float64 and not np.isinf(cells.to_numpy()).any():
        return cells  # tables of radiomics have more than a thousand such columns
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    bad = (numbers.isna() & cells.notna()) | np.isinf(numbers)
    if bad.any():
        if (commas := decimal_commas(cells)).any():
            bad, hint = commas, "write points for decimal commas, or separate the cells of the table with ;"
        words = cells[bad].unique().tolist()
        raise DataError(
            "not a number" + (f" (nor are {listed(map(repr, words[1:]))})" if len(words) > 1 else ""),
            patient=cells.index[bad.to_numpy()][0],
            file=file,
            column=column,
            expected="a number",
            got=repr(words[0]),
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


def guess_column(
    cells: pd.Series, column: object, file: object = None, notes: TableNotes | None = None
) -> pd.Series:
    """Convert a column with an unknown header to float64 if most cells are numbers, else keep the text.

    Noted are numbers in a column of text, numbers with units, numbers that often mean "unknown" (999, -9),
    and whole numbers that may be the codes of categories, by the header.

    Parameters
    ----------
    cells : Series of str, shape (n_patients,)
        Output of `clean_cells`.
    column, file : object
        Header and file, named in the error.
    notes : TableNotes, optional
        Account of the table.

    Raises
    ------
    DataError
        If a column of numbers has a cell that is not a number, or if numbers have a decimal comma.

    Examples
    --------
    >>> guess_column(pd.Series(["200", None, "310.5"]), "ldh").tolist()
    [200.0, nan, 310.5]
    """
    if mostly_numbers(cells) or decimal_commas(cells).any():
        numbers = to_numbers(cells, column, file)
        for text in (sentinels(numbers), _codes(numbers, column)):
            if text:
                note(notes, f"column {column}: {text}", file)
        return numbers
    numbers = pd.to_numeric(cells, errors="coerce").notna()
    if numbers.any():
        words = listed(map(repr, cells[~numbers].dropna().unique()))
        text = f"{int(numbers.sum())} of {int(cells.notna().sum())} cells are numbers, read as categories"
        note(notes, f"column {column}: {text} beside {words}", file)
    elif 2 * cells.str.fullmatch(_WITH_UNIT, na=False).sum() > cells.notna().sum():
        words = listed(map(repr, cells.dropna().unique()), 3)
        text = f"numbers with a unit are read as categories: {words}; write plain numbers"
        note(notes, f"column {column}: {text}, and the unit in the header", file)
    return cells


def sentinels(numbers: pd.Series) -> str:
    """Return a remark on numbers that often mean "unknown" and lie far from the others; "" if there are none.

    >>> sentinels(pd.Series([20.0, 35.0, 999.0]))
    '999 (1 times) may mean that the value is unknown: leave the cell empty if so'
    """
    odd = numbers.isin(SENTINELS)
    others = numbers[~odd].dropna()
    if not odd.any() or others.empty:
        return ""
    low, high = others.min(), others.max()
    far = numbers[odd & ((numbers < min(low, 0)) & (low >= 0) | (numbers > 3 * max(high, 1)))]
    if far.empty:
        return ""
    shown = ", ".join(f"{value:g} ({n} times)" for value, n in far.value_counts().items())
    return f"{shown} may mean that the value is unknown: leave the cell empty if so"


def _codes(numbers: pd.Series, column: object) -> str:
    """Return a remark on a few whole numbers under a header of categories."""
    values = sorted(numbers.dropna().unique())
    words = header_words(column)
    if not _CATEGORY.search(words) or _QUANTITY.search(words) or not 0 < len(values) <= _MOST_CODES:
        return ""
    small, histology = all(0 <= v < 100 for v in values), all(8000 <= v < 10_000 for v in values)  # ICD-O-3
    if any(v != round(v) for v in values) or not (small or histology) or values in ([0], [1], [0, 1]):
        return ""
    shown = ", ".join(f"{value:g}" for value in values)
    return f"the numbers {shown} are read as a quantity; if they are codes of categories, write words instead"


def header_words(column: object) -> str:
    """Return a header in lower case with spaces between its words.

    >>> header_words("tobacco_smokingHistory")
    'tobacco smoking history'
    """
    return re.sub(r"[\s._-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(column))).lower()
