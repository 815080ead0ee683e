"""Tables of numbers and categories (health records, features of scans): imputed, scaled, one-hot, with a mask."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas.api import types

from mmfusion.data.ehr import clean_cells, gives_stage_away, to_numbers
from mmfusion.data.files import header_key
from mmfusion.errors import DataError, LeakageError
from mmfusion.preprocessing.base import FoldFitted

MISSING, UNKNOWN = "<missing>", "<unk>"


class MissingColumnsWarning(UserWarning):
    """Columns that the transformer was fitted on are not there; they are treated as missing for everybody."""


class NewCategoryWarning(UserWarning):
    """A category that no patient had in `fit`; it is read as unknown."""


class TableTransformer(FoldFitted):
    """Encode a table of mixed columns as values and a mask of what was observed.

    Numeric columns: missing cells get the median, then (x - mean) / SD of the observed cells, clipped. Categories,
    text and booleans: one-hot over the levels seen in `fit`, then `<unk>` for any other level and `<missing>`. Text in
    which most cells are numbers is numeric. Columns with fewer than two distinct values in `fit` are dropped.

    Parameters
    ----------
    clip : float or None, default 5.0
        Bound of the z-scores, in SD.

    Attributes
    ----------
    kinds_ : dict of str to {"number", "category"}
        Kind of each column that is used.
    moments_ : dict of str to (median, mean, SD)
        Of the numeric columns.
    levels_ : dict of str to tuple of str
        Of the categorical columns.
    dropped_ : dict of str to str
        Columns left out, and why.
    feature_names_out_ : tuple of str, length d
        "age", "sex=female", "sex=male", "sex=<unk>", "sex=<missing>".
    """

    def __init__(self, *, clip: float | None = 5.0) -> None:
        self.clip = clip

    def _fit(self, frame: pd.DataFrame) -> None:
        self.kinds_, self.moments_, self.levels_, self.dropped_ = {}, {}, {}, {}
        for name in frame.columns:
            cells = _cells(frame[name])
            kind = _kind(cells)
            seen = to_numbers(cells, name).dropna() if kind == "number" else cells.dropna()
            if seen.nunique() < 2 or (kind == "number" and not _spread(seen)):
                self.dropped_[name] = "constant" if len(seen) else "missing throughout"
                continue
            self.kinds_[name] = kind
            if kind == "number":
                self.moments_[name] = (float(seen.median()), float(seen.mean()), float(seen.std(ddof=0)))
            else:
                self.levels_[name] = tuple(sorted(seen.unique()))
        if not self.kinds_:
            raise DataError("no column varies among the patients given to fit", got=f"{len(frame)} patients")
        self.feature_names_out_ = tuple(out for name in self.kinds_ for out in self._names(name))

    def _names(self, name: str) -> list[str]:
        return [f"{name}={v}" for v in (*self.levels_[name], UNKNOWN, MISSING)] if name in self.levels_ else [name]

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Values and observed mask, shape (n, 2, d)."""
        absent = [name for name in self.kinds_ if name not in frame]
        if absent and len(frame):
            shown = ", ".join(absent[:5]) + (" ..." if len(absent) > 5 else "")
            text = f"{len(absent)} of {len(self.kinds_)} columns absent, treated as missing: {shown}"
            warnings.warn(text, MissingColumnsWarning, stacklevel=3)
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
        z = (to_numbers(cells, name, hint=hint).fillna(median).to_numpy() - mean) / sd
        return (z if self.clip is None else np.clip(z, -self.clip, self.clip))[:, None]

    def _encode_category(self, name: str, cells: pd.Series) -> np.ndarray:
        levels = self.levels_[name]
        code = cells.map({level: i for i, level in enumerate(levels)}).astype("float64").fillna(len(levels)).to_numpy()
        code = np.where(cells.isna(), len(levels) + 1, code)
        new = sorted(cells[code == len(levels)].unique())
        if new:
            text = f"{name}: not seen in fit, read as unknown: {', '.join(new[:5])} (known: {', '.join(levels[:5])})"
            warnings.warn(text, NewCategoryWarning, stacklevel=4)
        return np.eye(len(levels) + 2, dtype=np.float32)[code.astype(int)]


def _cells(column: pd.Series) -> pd.Series:
    """Numbers as they are; anything else as stripped text, markers of missing values ("N/A") made missing."""
    if types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype):
        return column
    if types.is_datetime64_any_dtype(column.dtype):
        raise DataError("a date is no feature", column=column.name, hint="leave it out, or give years as a number")
    text = clean_cells(column.astype(object))
    return text.astype("category") if isinstance(column.dtype, pd.CategoricalDtype) else text


def _kind(cells: pd.Series) -> str:
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return "category"
    numeric = int(pd.to_numeric(cells, errors="coerce").notna().sum())
    return "number" if numeric > int(cells.notna().sum()) - numeric or not cells.notna().any() else "category"


def _spread(seen: pd.Series) -> bool:
    """Whether a column varies by more than rounding."""
    return bool(seen.std(ddof=0) > 1e-9 * max(1.0, float(seen.abs().max())))


def check_forbidden(columns: Iterable[object], target: str | None = None) -> None:
    """Refuse columns that are known only with the stage or after it.

    T, N, M, overall stage, pleural and lymphovascular invasion, grade, adjuvant treatment, chemotherapy, radiation,
    recurrence, survival, dates, days to surgery: by header, official or canonical, in any case (the rule that the
    readers use, `mmfusion.data.ehr`). Every named target is a stage, so that one rule serves them all; the target's
    own name is refused too. Genes are not looked at: symbols such as OS9 or T mean something else.

    Parameters
    ----------
    columns : iterable of str or (modality, feature)
        What would be read.
    target : str, optional
        What is predicted.

    Raises
    ------
    LeakageError
        Naming the columns, and the way out.
    """
    pairs = [c if isinstance(c, tuple) else ("ehr", c) for c in columns]
    own = header_key(target) if target else None
    bad = [f for m, f in pairs if m not in ("rna", "meta") and (gives_stage_away(f) or header_key(f) == own)]
    if bad:
        raise LeakageError(
            "known only with or after the stage",
            column=", ".join(map(str, bad)),
            hint="leave them out; allow_leaky=True accepts them, to demonstrate the leak, and stamps the model",
        )
