"""Known headers of health records, and the conversion of their cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from mmfusion.data.tables.cells import clean_cells, to_numbers
from mmfusion.data.tables.files import header_key
from mmfusion.data.tables.mutations import MUTANT, WILD_TYPE, mutation_status
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
    """Return True if `canonical_ehr` gives the column a canonical name.

    >>> is_known_header("Age (yrs)"), is_known_header("CRP (mg/l)")
    (True, False)
    """
    return known_column(column) is not None or header_key(column) == "quit smoking year"


def known_column(column: object) -> tuple[str, Callable] | None:
    """Return the canonical name of a column and the function that converts its cells.

    Text in brackets is a unit, as in "Age (yrs)", or a remark, as in "Gender (M/F)". An unknown unit is an
    error, which the conversion raises.

    Parameters
    ----------
    column : object
        Header of the column.

    Returns
    -------
    tuple of (str, callable), or None
        Canonical name, and a function of `(cells, column, file)` that returns the converted Series. None if
        the header is not known.

    Examples
    --------
    >>> name, convert = known_column("Age [months]")
    >>> name, convert(pd.Series(["732"]), "Age [months]", None).tolist()
    ('age', [61.0])
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
    """Return a conversion that multiplies by `factor` and checks the result against `low` to `high`.

    `unit` is the unit of the cells; the error gives the range in this unit.
    """

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
                hint="leave the cell empty where the value is unknown" + (f"; {hint}" if hint else ""),
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
            raise DataError(
                "unknown category",
                patient=cells.index[bad.to_numpy()][0],
                file=file,
                column=column,
                expected=", ".join(words),
                got=repr(cells[bad].iloc[0]),
                hint="use one of the expected words; or rename the column, and its cells are read unchanged",
            )
        return known.astype("float64" if isinstance(next(iter(words.values())), float) else "str")

    return convert


def _mutation(cells: pd.Series, column: object, file: object) -> pd.Series:
    found = {text.lower(): mutation_status(text) for text in cells.dropna().unique()}
    known = {word: status for word, status in found.items() if status}
    return _choose({"wildtype": "wildtype", "mutant": "mutant", **known})(cells, column, file)


# the first words of a histology -> its name here; other tumours keep their own name, such as "adenosquamous"
_HISTOLOGY = {
    re.compile(r"squamous\b.*|squamouscell\b.*"): "squamous cell",
    re.compile(r"adeno(ca|carcinoma)?\b(?![ -](cystic|squamous)).*"): "adenocarcinoma",
    re.compile(r"large( cell)?( carcinoma)?(?!.*neuroendocrine)\b.*"): "large cell",
    re.compile(r"(nsclc )?nos\b.*"): "nos",
}


def _histology(cells: pd.Series, column: object, file: object) -> pd.Series:
    def name(text: str) -> str:
        word = text.lower()
        return next((short for pattern, short in _HISTOLOGY.items() if pattern.fullmatch(word)), word)

    return cells.map(name, na_action="ignore")


def years_since_quit(
    cells: pd.Series, table: pd.DataFrame, keys: Mapping[object, str], column: object, file: object
) -> pd.Series:
    """Return the years between quitting smoking and the CT.

    Only the year of the CT date is read. The data set shifts both dates by the same amount, so the difference
    holds.

    Parameters
    ----------
    cells : Series of str, shape (n_patients,)
        Years in which the patients quit.
    table : DataFrame of str, shape (n_patients, n_columns)
        Whole table, which may have a column "CT Date" (month/day/year).
    keys : mapping
        Column of `table` -> its `header_key`.
    column, file : object
        Named in errors.

    Returns
    -------
    Series of float64, shape (n_patients,)
        0 or more; all missing if the table has no CT date.

    Raises
    ------
    DataError
        If a year is not a number.

    Examples
    --------
    >>> table = pd.DataFrame({"Quit Smoking Year": ["1980"], "CT Date": ["1/2/1991"]}, ["p1"])
    >>> keys = {c: header_key(c) for c in table}
    >>> years_since_quit(table["Quit Smoking Year"], table, keys, "Quit Smoking Year", None).tolist()
    [11.0]
    """
    when = next((c for c, key in keys.items() if key == "ct date"), None)
    if when is None:
        return pd.Series(np.nan, index=cells.index)
    taken = pd.to_datetime(clean_cells(table[when]), format="%m/%d/%Y", errors="coerce").dt.year
    return (taken - to_numbers(cells, column, file)).clip(lower=0).astype("float64")


_REARRANGED = ("translocated", "rearranged", *MUTANT)
_FORMER = ("former", "former smoker", "ex", "ex smoker", "ex-smoker", "quit")
_NEVER = ("never", "never smoker", "nonsmoker", "non-smoker", "non smoker")
_CURRENT = ("current", "current smoker", "active", "active smoker")
_SMOKING = _choose({w: words[0] for words in (_NEVER, _FORMER, _CURRENT) for w in words})
_SEX = _choose({"male": "male", "female": "female", "m": "male", "f": "female"})
_ALK = _choose({w: words[0] for words in (WILD_TYPE, _REARRANGED) for w in words})

# canonical name -> unit in the header -> factor for the cells; a header without a unit means the first unit
UNITS = {
    "age": dict.fromkeys(("years", "year", "yrs", "yr", "y"), 1) | {"months": 1 / 12, "days": 1 / 365.25},
    "weight": dict.fromkeys(("kg", "kgs", "kilograms"), 1) | dict.fromkeys(("lbs", "lb", "pounds"), POUND),
    "pack_years": {"pack years": 1, "years": 1, "py": 1},
}
_RANGES = {"age": (0, 120), "weight": (10, 400), "pack_years": (0, 400)}
_NUMBERS = {
    "age": (
        "age",
        "age at diagnosis",
        "age at dx",
        "age at histological diagnosis",
        "age at surgery",
        "patient age",
        "age at initial pathologic diagnosis",
        "age at initial diagnosis",
    ),
    "weight": ("weight", "body weight", "weight at diagnosis"),
    "pack_years": ("pack years", "packyears", "number pack years smoked", "smoking pack years"),
}
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
    "egfr": (_mutation, ("egfr", "egfr status", "egfr mutation", "egfr mutation status")),
    "kras": (_mutation, ("kras", "kras status", "kras mutation", "kras mutation status")),
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
    headers = ", ".join(f"{title} ({unit})" for unit in first.values())
    return f"write plain numbers, and the unit in the header: {headers}"


RULES = _rules()  # `header_key` of a header -> canonical name, conversion
TNM_HEADERS = {
    f"{kind} {letter} stage": f"{letter}_stage" for kind in ("pathological", "clinical") for letter in "tnm"
}
