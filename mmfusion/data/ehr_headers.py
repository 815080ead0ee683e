"""Headers of health records that are known, and how the cells below each are converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from mmfusion.data.cells import clean_cells, to_numbers
from mmfusion.data.files import header_key
from mmfusion.errors import DataError

POUND = 0.45359237  # kg
LOBES = ("rul", "rml", "rll", "lul", "lll", "lingula", "unknown")
SITE_HEADERS = ("site", "patient affiliation", "hospital", "institution", "centre", "center", "tissue source site")


def is_known_header(column: object) -> bool:
    """Whether a header is one of those that `canonical_ehr` gives a canonical name."""
    return header_key(column) in RULES


def _measure(
    low: float, high: float, unit: str, *, factor: float = 1.0, hint: str | None = None
) -> Callable[[pd.Series, object, object], pd.Series]:
    """Numbers in a plausible range, `low` to `high` in `unit`, after multiplying by `factor`."""

    def convert(cells: pd.Series, column: object, file: object) -> pd.Series:
        numbers = to_numbers(cells, column, file, hint) * factor
        bad = numbers.notna() & ~numbers.between(low, high)
        if bad.any():
            raise DataError(
                "out of the plausible range",
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


def years_since_quit(
    cells: pd.Series, table: pd.DataFrame, keys: Mapping[object, str], column: object, file: object
) -> pd.Series:
    """Years from quitting to the CT (dates are shifted alike); the year of the CT is all that is read of the date."""
    when = next((c for c, key in keys.items() if key == "ct date"), None)
    if when is None:
        return pd.Series(np.nan, index=cells.index)
    taken = pd.to_datetime(clean_cells(table[when]), format="%m/%d/%Y", errors="coerce").dt.year
    return (taken - to_numbers(cells, column, file)).clip(lower=0).astype("float64")


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

RULES: dict[str, tuple[str, Callable]] = {
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
    RULES[f"lobe {_lobe}"] = RULES[f"tumor location (choice={_official})"] = (f"lobe_{_lobe}", _checkbox)
TNM_HEADERS = {f"{kind} {letter} stage": f"{letter}_stage" for kind in ("pathological", "clinical") for letter in "tnm"}
