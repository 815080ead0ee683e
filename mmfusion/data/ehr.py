"""Health records under one set of names: headers recognised, units converted, what gives the stage away left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.files import header_key
from mmfusion.errors import DataError

POUND = 0.45359237  # kg
_MISSING = (
    "|na|n/a|nan|null|.|-|?|unknown|not collected|not assessed|not recorded in database|not available|not evaluated"
    "|not applicable|[not available]|[not evaluated]|[not applicable]|[unknown]|[discrepancy]|<na>"
)
MISSING = frozenset(_MISSING.split("|"))
LOBES = ("rul", "rml", "rll", "lul", "lll", "lingula", "unknown")
SITE_HEADERS = ("site", "patient affiliation", "hospital", "institution", "centre", "center", "tissue source site")

# Known only at or after the stage (T, N, M, pathology of the resected tumour, treatment, outcome), or a date.
_LEAKS = re.compile(
    r"stage|staging|\bajcc|\bgrade|invasion|recurren|relapse|progressi|surviv|death|dead|vital|\balive|follow|treatment"
    r"|therap|chemo|radiation|adjuvant|surg|residual|margin status|metasta|tumou?r status|new tumou?r|neoplasm"
    r"|^(os|dss|dfi|pfi|rfs|pfs)( |$)|^[cp]?[tnm]$|\bdates?\b|days (to|between)|^pathologic(al)? [tnm]\b"
    r"|^clinical [tnm]\b|cause of|censor|\bevent\b"
)


@dataclass(frozen=True)
class EhrTable:
    """A clinical table sorted into what may be learned from and what may not.

    Parameters
    ----------
    features : DataFrame, shape (n_patients, n_features)
        Canonical columns: floats, or strings with missing values.
    meta : DataFrame, shape (n_patients, 0 or 1)
        `site`, where the table has it.
    left_out : tuple of str
        Columns of the table that tell the stage, or come after it.
    """

    features: pd.DataFrame
    meta: pd.DataFrame
    left_out: tuple[str, ...]


def canonical_ehr(table: pd.DataFrame, *, allow_leaky: bool = False, file: object = None) -> EhrTable:
    """Sort and convert a clinical table.

    The headers of the official tables of NSCLC-Radiogenomics and LUNG1 and the canonical names themselves are
    recognised, in any case; other columns are kept under their own names.

    Parameters
    ----------
    table : DataFrame of str, shape (n_patients, n_columns)
        Index patient_id; cells as in the file.
    allow_leaky : bool
        Keep T, N and M as `t_stage`, `n_stage`, `m_stage`: for showing what the leak does, never for a result.
    file : path, optional
        Named in errors.

    Returns
    -------
    EhrTable
        Missing markers ("Not Collected", "N/A", ...) are missing; weights are in kg; checkboxes are 0 and 1.

    Raises
    ------
    DataError
        Naming patient, column and value where a number or a known category was expected; on two columns that mean
        the same.
    """
    features, meta, left_out = {}, {}, []
    keys = {column: header_key(column) for column in table.columns}
    for column, key in keys.items():
        cells = clean_cells(table[column])
        if key in SITE_HEADERS:
            meta["site"] = cells
        elif allow_leaky and (name := _TNM.get(key)):
            features[name] = cells.str.strip()
        elif rule := _RULES.get(key):
            name, convert = rule
            if name in features:
                raise DataError("two columns mean the same", file=file, column=column, got=name, hint="keep one")
            features[name] = convert(cells, column, file)
        elif key == "quit smoking year":
            features["years_since_quit"] = _years_since_quit(cells, table, keys, column, file)
        elif gives_stage_away(column):
            left_out.append(str(column))
        else:
            features[str(column).strip()] = guess_column(cells, column, file)
    index = table.index
    return EhrTable(pd.DataFrame(features, index=index), pd.DataFrame(meta, index=index), tuple(left_out))


def gives_stage_away(column: object) -> bool:
    """Whether a column's header says that it tells the stage, follows it, or is a date."""
    return bool(_LEAKS.search(header_key(column)))


def is_known_header(column: object) -> bool:
    """Whether a header is one of those that `canonical_ehr` gives a canonical name."""
    return header_key(column) in _RULES


def clean_cells(column: pd.Series) -> pd.Series:
    """A column as stripped text, the markers in `MISSING` made missing."""
    text = column.astype("str").str.strip()
    return text.mask(text.str.lower().isin(MISSING))


def to_numbers(cells: pd.Series, column: object, file: object = None, hint: str | None = None) -> pd.Series:
    """Float64 of a column of text; raises `DataError` with the first patient whose cell is no finite number."""
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    bad = (numbers.isna() & cells.notna()) | np.isinf(numbers)
    if bad.any():
        patient = cells.index[bad.to_numpy()][0]
        hint = hint or "leave the cell empty where the value is unknown"
        raise DataError(
            "not a number",
            patient=patient,
            file=file,
            column=column,
            expected="a number",
            got=repr(cells[bad].iloc[0]),
            hint=hint,
        )
    return numbers


def _measure(
    low: float, high: float, unit: str, *, factor: float = 1.0, hint: str | None = None
) -> Callable[[pd.Series, object, object], pd.Series]:
    """Numbers that a patient can have, `low` to `high` in `unit`, after multiplying by `factor`."""

    def convert(cells: pd.Series, column: object, file: object) -> pd.Series:
        numbers = to_numbers(cells, column, file, hint) * factor
        bad = numbers.notna() & ~numbers.between(low, high)
        if bad.any():
            raise DataError(
                "not a value that a patient can have",
                patient=cells.index[bad.to_numpy()][0],
                file=file,
                column=column,
                expected=f"{low / factor:.0f} to {high / factor:.0f} {unit}",
                got=repr(cells[bad].iloc[0]),
                hint="leave the cell empty where the value is unknown",
            )
        return numbers

    return convert


def _text(cells: pd.Series, column: object, file: object) -> pd.Series:
    return cells


def _checkbox(cells: pd.Series, column: object, file: object) -> pd.Series:
    return _choose(
        {"unchecked": 0.0, "checked": 1.0, "no": 0.0, "yes": 1.0, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
    )(cells, column, file).astype("float64")


def _choose(words: Mapping[str, object]) -> Callable[[pd.Series, object, object], pd.Series]:
    def convert(cells: pd.Series, column: object, file: object) -> pd.Series:
        known = cells.str.lower().map(words)
        bad = known.isna() & cells.notna()
        if bad.any():
            patient, got = cells.index[bad.to_numpy()][0], repr(cells[bad].iloc[0])
            raise DataError(
                "unknown category", patient=patient, file=file, column=column, expected=", ".join(words), got=got
            )
        return known.astype("float64" if isinstance(next(iter(words.values())), float) else "str")

    return convert


def _histology(cells: pd.Series, column: object, file: object) -> pd.Series:
    short = {
        "squamous": "squamous cell",
        "adeno": "adenocarcinoma",
        "large": "large cell",
        "nos": "nos",
        "nsclc nos": "nos",
    }

    def name(text: str) -> str:
        return next((short[k] for k in short if text.lower().startswith(k)), text.lower())

    return cells.map(name, na_action="ignore")


def _years_since_quit(cells: pd.Series, table: pd.DataFrame, keys: Mapping, column: object, file: object) -> pd.Series:
    """Years from quitting to the CT (dates are shifted alike); the year of the CT is all that is read of the date."""
    when = next((c for c, key in keys.items() if key == "ct date"), None)
    if when is None:
        return pd.Series(np.nan, index=cells.index)
    taken = pd.to_datetime(clean_cells(table[when]), format="%m/%d/%Y", errors="coerce").dt.year
    return (taken - to_numbers(cells, column, file)).clip(lower=0).astype("float64")


def guess_column(cells: pd.Series, column: object, file: object = None) -> pd.Series:
    """A column without a known name, as `clean_cells` gives it: numbers if most of its cells are, else text."""
    numeric = pd.to_numeric(cells, errors="coerce").notna()
    if numeric.sum() > (cells.notna() & ~numeric).sum() or not cells.notna().any():
        return to_numbers(cells, column, file)
    return cells


_AGE = _measure(0, 120, "years")
_PACK_YEARS = _measure(0, 400, "pack years")
_KILOGRAMS = _measure(10, 400, "kg", hint="give weight in kg as a plain number, or head the column 'Weight (lbs)'")
_POUNDS = _measure(10, 400, "pounds", factor=POUND, hint="give weight in pounds as a plain number")
_SEX = _choose({"male": "male", "female": "female", "m": "male", "f": "female"})
_SMOKING = _choose(
    {w: w for w in ("never", "former", "current")}
    | {"nonsmoker": "never", "non-smoker": "never", "ex-smoker": "former"}
)
_MUTATION = _choose({"wildtype": "wildtype", "wild type": "wildtype", "mutant": "mutant", "mutated": "mutant"})
_ALK = _choose(
    {"wildtype": "wildtype", "wild type": "wildtype", "translocated": "translocated", "mutant": "translocated"}
)

_RULES: dict[str, tuple[str, Callable]] = {
    "age": ("age", _AGE),
    "age at histological diagnosis": ("age", _AGE),
    "age at initial pathologic diagnosis": ("age", _AGE),
    "sex": ("sex", _SEX),
    "gender": ("sex", _SEX),
    "ethnicity": ("ethnicity", _text),
    "race": ("ethnicity", _text),
    "weight": ("weight", _KILOGRAMS),
    "weight (kg)": ("weight", _KILOGRAMS),
    "weight (lbs)": ("weight", _POUNDS),
    "smoking status": ("smoking_status", _SMOKING),
    "pack years": ("pack_years", _PACK_YEARS),
    "number pack years smoked": ("pack_years", _PACK_YEARS),
    "years since quit": ("years_since_quit", _measure(0, 100, "years")),
    "%gg": ("ground_glass", _text),
    "ground glass": ("ground_glass", _text),
    "histology": ("histology", _histology),
    "histological type": ("histology", _histology),
    "egfr": ("egfr", _MUTATION),
    "egfr mutation status": ("egfr", _MUTATION),
    "kras": ("kras", _MUTATION),
    "kras mutation status": ("kras", _MUTATION),
    "alk": ("alk", _ALK),
    "alk translocation status": ("alk", _ALK),
}
for _lobe in LOBES:
    _official = {"lingula": "l lingula"}.get(_lobe, _lobe)
    _RULES[f"lobe {_lobe}"] = _RULES[f"tumor location (choice={_official})"] = (f"lobe_{_lobe}", _checkbox)
_TNM = {f"{kind} {letter} stage": f"{letter}_stage" for kind in ("pathological", "clinical") for letter in "tnm"}
