"""Columns of a table that hold the stage: the stage group, or T, N and M."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

import pandas as pd

from mmfusion.data.tables.files import header_key

# in order of preference
STAGE_HEADERS = (
    "stage",
    "stage group",
    "overall stage",
    "ajcc stage",
    "pathologic stage",
    "pathological stage",
    "ajcc pathologic tumor stage",
    "ajcc pathologic stage",
    "clinical stage",
)
ACCEPTED = (
    "stage, pStage, cStage, stage group, overall stage, AJCC stage, pathologic stage, clinical stage, "
    "with an edition or 'at diagnosis' after it; or t, n and m"
)
_EDITION = r"[6-9](?:th)?|v[6-9]|ed|edn|edition|(?:ajcc|uicc|tnm)[6-9]?"
_KIND = (
    rf"overall|clinical|clin|pathologic|pathological|path|p|c|final|initial|tumou?r|cancer|disease|{_EDITION}"
)
_STAGE = re.compile(
    rf"(?:(?:{_KIND}) )*[pc]?stag(?:e|ing)(?: (?:group|grouping|at|diagnosis|presentation|{_KIND}))*"
)
_KINDS = [
    f"{kind} {{}}{end}"
    for kind in ("pathological", "pathologic", "path", "ajcc pathologic", "clinical", "ajcc clinical")
    for end in ("", " stage")
]
_TNM_HEADERS = {
    x: [
        pattern.format(x)
        for pattern in ("{}", "p{}", "c{}", *_KINDS, "{} stage", "{} category", "{} descriptor")
    ]
    for x in "tnm"
}


def stage_columns(table: pd.DataFrame) -> list[str]:
    """Return the column of stage groups in a list, or the three columns of T, N and M, or an empty list.

    Pathological columns are preferred to clinical ones.

    >>> stage_columns(pd.DataFrame(columns=["age", "cT", "cN", "cM"]))
    ['cT', 'cN', 'cM']
    >>> stage_columns(pd.DataFrame(columns=["age", "cStage", "pStage"]))
    ['pStage']
    """
    keys = {header_key(c): c for c in table.columns}
    for header in STAGE_HEADERS:
        if header in keys:
            return [keys[header]]
    alike = sorted(
        (k for k in keys if _STAGE.fullmatch(k)), key=lambda k: (not k.startswith("p"), k.startswith("c"))
    )
    if alike:  # pathological before clinical
        return [keys[alike[0]]]
    return tnm_columns(table)


def tnm_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of T, N and M; empty unless the table has all three.

    Examples
    --------
    >>> tnm_columns(pd.DataFrame(columns=["pT", "pN", "pM"])), tnm_columns(pd.DataFrame(columns=["pT", "pN"]))
    (['pT', 'pN', 'pM'], [])
    """
    keys = {header_key(c): c for c in table.columns}
    found = [next((keys[h] for h in _TNM_HEADERS[letter] if h in keys), None) for letter in "tnm"]
    return [] if None in found else found


def closest_stage_header(columns: Iterable[object]) -> str:
    """Return the header that most resembles a stage header, or "" if none does.

    Used for a hint if `stage_columns` finds nothing.

    >>> closest_stage_header(["age", "Tumour staging (UICC)"])
    'Tumour staging (UICC)'
    """
    keys = {header_key(c): str(c) for c in columns}
    alike = [k for k in keys if "stag" in k] or [
        k for k in keys if get_close_matches(k, STAGE_HEADERS, 1, 0.8)
    ]
    return keys[alike[0]] if alike else ""
