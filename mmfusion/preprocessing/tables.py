"""Tables of numbers and categories, such as health records: imputed, scaled, one-hot, with a mask."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api import types

from mmfusion.data.tables.cells import clean_cells, mostly_numbers, to_numbers
from mmfusion.errors import DataError, warn
from mmfusion.preprocessing.base import FoldFitted
from mmfusion.storage.hashing import hash_ids

MISSING, UNKNOWN = "<missing>", "<unk>"
_FEW, _MANY, _PER = 2, 5, 50  # a level needs n / 50 patients, but at least 2 and at most 5


class MissingColumnsWarning(UserWarning):
    """Columns of `fit` are absent from the table; they are treated as missing for every patient.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [60.0, 70.0], "weight": [80.0, 90.0]}, index=["p1", "p2"])
    >>> transformer = TableTransformer().fit(table)
    >>> from mmfusion.errors import gathered
    >>> with gathered() as found:
    ...     _ = transformer.transform(table[["age"]])
    >>> print(found[0])
    1 of 2 columns absent, treated as missing: weight
    """


class NewCategoryWarning(UserWarning):
    """A category that no patient or too few patients had in `fit`; it is read as unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"sex": ["f", "f", "m", "m"]}, index=list("abcd"))
    >>> transformer = TableTransformer().fit(table)
    >>> from mmfusion.errors import gathered
    >>> with gathered() as found:
    ...     _ = transformer.transform(pd.DataFrame({"sex": ["x"]}, index=["e"]))
    >>> print(found[0])
    sex: not seen in fit, or too rarely, read as unknown: x (known: f, m)
    """


class FreeTextWarning(UserWarning):
    """A text column with a different value for most patients (an identifier, a note) is left out.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [60.0, 70.0, 65.0], "note": ["one", "two", "three"]}, index=list("abc"))
    >>> from mmfusion.errors import gathered
    >>> with gathered() as found:
    ...     _ = TableTransformer().fit(table)
    >>> print(found[0])
    note: most patients have a value of their own (an identifier, a note?), left out
    """


class TableTransformer(FoldFitted):
    """Encode a table of mixed columns as values and a mask of observed cells.

    Numeric columns: missing cells get the median, then values become (x - mean) / SD of the observed cells,
    clipped. Categories, text and booleans: one-hot over the levels kept in `fit`, then `<unk>` for any other
    level, then `<missing>`. A text column in which most cells are numbers is numeric. A column keeps its kind
    after `fit`. If a category is given as a number later (1.0), it is read as the level of that value ("1").
    If a number is given as text, it is parsed.

    No value of a single patient is kept. A level needs at least 2 patients in `fit`; with 150 or more
    patients it needs one for every 50 patients, at most 5. Rarer levels are read as `<unk>`, in `fit` as
    well. A text column in which most cells are unique (an identifier, a note) is left out with a warning.
    Columns with fewer than two distinct values are left out too.

    Parameters
    ----------
    clip : float or None, default 5.0
        Bound of the z-scores, in SD. None does not clip.

    Attributes
    ----------
    kinds_ : dict of str to {"number", "category"}
        Kind of each column that is used.
    moments_ : dict of str to (float, float, float)
        Median, mean and SD of each numeric column.
    levels_ : dict of str to tuple of str
        Levels that are kept of each categorical column.
    dropped_ : dict of str to str
        Column that is left out -> reason.
    feature_names_out_ : tuple of str, length d
        Such as "age", "sex=female", "sex=male", "sex=<unk>", "sex=<missing>".

    Examples
    --------
    >>> frame = pd.DataFrame({"age": [60.0, 70.0, None]}, index=["p1", "p2", "p3"])
    >>> table = TableTransformer().fit(frame)
    >>> table.transform(frame)[:, :, 0].tolist()  # value, observed
    [[-1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, *, clip: float | None = 5.0) -> None:
        self.clip = clip

    def _fit(self, frame: pd.DataFrame) -> None:
        self.kinds_, self.moments_, self.levels_, self.dropped_ = {}, {}, {}, {}
        for name in frame.columns:
            cells = _cells(frame[name])
            kind = _kind(cells)
            seen = _numbers(cells, name) if kind == "number" else cells.dropna()
            if not _spread(seen) if kind == "number" else seen.nunique() < 2:
                self.dropped_[name] = "constant" if len(seen) else "missing throughout"
                continue
            if kind == "number":
                self.moments_[name] = (float(np.median(seen)), float(seen.mean()), float(seen.std()))
            elif levels := _shared_levels(seen, len(frame)):
                self.levels_[name] = levels
            else:
                self.dropped_[name] = "mostly unique"
                text = f"{name}: most patients have a value of their own (an identifier, a note?), left out"
                warn(text, FreeTextWarning, stacklevel=4)
                continue
            self.kinds_[name] = kind
        if not self.kinds_:
            raise DataError("no column varies among the patients given to fit", got=f"{len(frame)} patients")
        self.feature_names_out_ = tuple(out for name in self.kinds_ for out in self._names(name))

    def _names(self, name: str) -> list[str]:
        return (
            [f"{name}={v}" for v in (*self.levels_[name], UNKNOWN, MISSING)]
            if name in self.levels_
            else [name]
        )

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return values and mask of observed cells, shape (n, 2, d)."""
        absent = [name for name in self.kinds_ if name not in frame]
        if absent and len(frame):
            shown = ", ".join(absent[:5]) + (" ..." if len(absent) > 5 else "")
            text = f"{len(absent)} of {len(self.kinds_)} columns absent, treated as missing: {shown}"
            warn(text, MissingColumnsWarning, stacklevel=3)
        out = np.zeros((len(frame), 2, len(self.feature_names_out_)), dtype=np.float32)
        start = 0
        for name, kind in self.kinds_.items():
            cells = _cells(frame[name]) if name in frame else pd.Series(np.nan, index=frame.index)
            encode = self._encode_number if kind == "number" else self._encode_category
            stop = start + len(self._names(name))
            out[:, 0, start:stop] = encode(name, cells)
            out[:, 1, start:stop] = cells.notna().to_numpy()[:, None]
            start = stop
        return out

    def _encode_number(self, name: str, cells: pd.Series) -> np.ndarray:
        median, mean, sd = self.moments_[name]
        hint = "give a plain number without its unit; leave the cell empty where the value is unknown"
        values = to_numbers(cells, name, hint=hint).to_numpy()
        z = (np.where(np.isnan(values), median, values) - mean) / sd
        return (z if self.clip is None else np.clip(z, -self.clip, self.clip))[:, None]

    def _encode_category(self, name: str, cells: pd.Series) -> np.ndarray:
        levels = self.levels_[name]
        code = _level_codes(cells, levels)
        new = sorted(cells[code == len(levels)].astype("str").unique())
        if new and hash_ids(cells.index) != self.fitted_ids_hash_:  # those of fit have rare ones, as expected
            known = ", ".join(levels[:5])
            text = f"{name}: not seen in fit, or too rarely, read as unknown: {', '.join(new[:5])}"
            warn(f"{text} (known: {known})", NewCategoryWarning, stacklevel=4)
        return np.eye(len(levels) + 2, dtype=np.float32)[code]


def _cells(column: pd.Series) -> pd.Series:
    """Return numbers unchanged, and other cells as stripped text with markers such as "N/A" made missing."""
    if types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype):
        return column
    if types.is_datetime64_any_dtype(column.dtype):
        raise DataError(
            "a date is not a feature", column=column.name, hint="leave it out, or give years as a number"
        )
    text = clean_cells(column.astype(object))
    return text.astype("category") if isinstance(column.dtype, pd.CategoricalDtype) else text


def _kind(cells: pd.Series) -> str:
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return "category"
    if cells.dtype == np.float64:
        return "number"
    return "number" if mostly_numbers(cells) else "category"


def _shared_levels(seen: pd.Series, n_patients: int) -> tuple[str, ...]:
    """Return the levels that enough patients share, sorted; none if most patients have their own value."""
    counts = seen.value_counts()
    if 2 * int((counts == 1).sum()) > len(seen):
        return ()
    enough = min(max(_FEW, n_patients // _PER), _MANY)
    return tuple(sorted(counts.index[counts >= enough]))


def _level_codes(cells: pd.Series, levels: tuple[str, ...]) -> np.ndarray:
    """Return the position of each cell's level, found by its text or else by its numeric value.

    An unknown level is `len(levels)`, a missing cell is `len(levels) + 1`.
    """
    by_text = {level: i for i, level in enumerate(levels)}
    values = pd.to_numeric(pd.Series(levels), errors="coerce")
    by_value = {value: i for i, value in reversed(list(enumerate(values))) if not np.isnan(value)}
    numbers = pd.to_numeric(cells.astype(object), errors="coerce").astype("float64")
    code = cells.astype(object).map(by_text).fillna(numbers.map(by_value)).fillna(len(levels))
    return np.where(cells.isna(), len(levels) + 1, code).astype(int)


def _numbers(cells: pd.Series, name: str) -> np.ndarray:
    """Return the numbers of a column, without the missing ones."""
    values = to_numbers(cells, name).to_numpy()
    return values[~np.isnan(values)]


def _spread(seen: np.ndarray) -> bool:
    """Return True if a column varies by more than rounding errors."""
    return bool(len(seen) > 1 and seen.std() > 1e-9 * max(1.0, float(np.abs(seen).max())))
