"""Headers of health records that are known, and how the cells below each are converted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from mmfusion.data.tables.cells import clean_cells, to_numbers
from mmfusion.data.tables.files import header_key
from mmfusion.errors import DataError

POUND = 0.45359237  # kg
LOBES = ("rul", "rml", "rll", "lul", "lll", "lingula", "unknown")
SITE_HEADERS = (
    "site",
    "patient affiliation",
    "hospital",
    "institution",
    "centre",
    "center",
    "tissue source site",
)


def is_known_header(column: object) -> bool:
    """Whether `canonical_ehr` gives a column a canonical name."""
    return known_column(column) is not None or header_key(column) == "quit smoking year"


def known_column(column: object) -> tuple[str, Callable] | None:
    """Canonical name of a column, and what converts `(cells, column, file)`; None if its header is not known.

    What stands in brackets is a unit ("Age (yrs)") or a remark ("Gender (M/F)"); a unit that is not known is an error
    when the cells are converted.
    """
    if (key := header_key(column)) in RULES:
        return RULES[key]
    plain = header_key(re.sub(r"[(\[].*?[)\]]", " ", str(column)))
    if plain not in RULES or plain == key:
        return None
    name, convert = RULES[plain]
    return name, _unknown_unit(name) if name in UNITS else convert


def _unknown_unit(name: str) -> Callable[[pd.Series, object, object], pd.Series]:
    def convert(cells: pd.Series, column: object, file: object) -> pd.Series:
        expected = ", ".join(UNITS[name])
        raise DataError("unknown unit", file=file, column=column, expected=expected, hint=_how_to_head(name))

    return convert


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
                "unknown category", patient=patient, file=file, column=column, expected=", ".join(words), got=got,
                hint="write it so, or head the column otherwise: it is then taken as it is",
            )  # fmt: skip
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


_NO, _YES = ("wildtype", "wild type", "wt", "negative"), ("mutant", "mutated", "mutation", "positive")
_REARRANGED = ("translocated", "rearranged", *_YES)
_FORMER = ("former", "former smoker", "ex", "ex smoker", "ex-smoker", "quit")
_NEVER = ("never", "never smoker", "nonsmoker", "non-smoker", "non smoker")
_CURRENT = ("current", "current smoker", "active", "active smoker")
_SMOKING = _choose({w: words[0] for words in (_NEVER, _FORMER, _CURRENT) for w in words})
_SEX = _choose({"male": "male", "female": "female", "m": "male", "f": "female"})
_MUTATION = _choose({w: words[0] for words in (_NO, _YES) for w in words})
_ALK = _choose({w: words[0] for words in (_NO, _REARRANGED) for w in words})

# canonical name -> its units in a header -> the cells' factor; the first is that of the column without any
UNITS = {
    "age": dict.fromkeys(("years", "year", "yrs", "yr", "y"), 1) | {"months": 1 / 12, "days": 1 / 365.25},
    "weight": dict.fromkeys(("kg", "kgs", "kilograms"), 1) | dict.fromkeys(("lbs", "lb", "pounds"), POUND),
    "pack_years": {"pack years": 1, "years": 1, "py": 1},
}
_RANGES = {"age": (0, 120), "weight": (10, 400), "pack_years": (0, 400)}
_NUMBERS = {
    "age": ("age", "age at diagnosis", "age at dx", "age at histological diagnosis", "age at surgery", "patient age",
            "age at initial pathologic diagnosis", "age at initial diagnosis"),
    "weight": ("weight", "body weight", "weight at diagnosis"),
    "pack_years": ("pack years", "packyears", "number pack years smoked", "smoking pack years"),
}  # fmt: skip
_OTHERS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    "sex": (_SEX, ("sex", "gender")),
    "ethnicity": (_text, ("ethnicity", "race")),
    "smoking_status": (
        _SMOKING,
        ("smoking status", "smoking history", "smoking hx", "smoker status"),
    ),
    "years_since_quit": (_measure(0, 100, "years"), ("years since quit", "years since quitting")),
    "ground_glass": (_text, ("%gg", "ground glass")),
    "histology": (_histology, ("histology", "histological type", "histologic type")),
    "egfr": (_MUTATION, ("egfr", "egfr status", "egfr mutation", "egfr mutation status")),
    "kras": (_MUTATION, ("kras", "kras status", "kras mutation", "kras mutation status")),
    "alk": (_ALK, ("alk", "alk status", "alk translocation", "alk translocation status")),
}


def _rules() -> dict[str, tuple[str, Callable]]:
    rules = {header: (name, convert) for name, (convert, headers) in _OTHERS.items() for header in headers}
    for name, headers in _NUMBERS.items():
        for unit, factor in {"": 1, **UNITS[name]}.items():
            convert = _measure(
                *_RANGES[name], unit or next(iter(UNITS[name])), factor=factor, hint=_how_to_head(name)
            )
            rules |= {f"{header} {unit}".strip(): (name, convert) for header in headers}
    for lobe in LOBES:
        official = {"lingula": "l lingula"}.get(lobe, lobe)
        rules[f"lobe {lobe}"] = rules[f"tumor location choice={official}"] = (f"lobe_{lobe}", _checkbox)
    return rules


def _how_to_head(name: str) -> str:
    title, first = name.replace("_", " ").capitalize(), {}
    for unit, factor in UNITS[name].items():
        first.setdefault(factor, unit)
    return f"write plain numbers, and the unit in the header: {', '.join(f'{title} ({u})' for u in first.values())}"


RULES = _rules()  # by `header_key`
TNM_HEADERS = {
    f"{kind} {letter} stage": f"{letter}_stage" for kind in ("pathological", "clinical") for letter in "tnm"
}
