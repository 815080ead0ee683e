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
_NAMED = re.compile(
    r"\b(?:(?:ajcc|uicc|tnm|version|edition|ed|v) ?)*[6-9](?:th)?(?: ?(?:ajcc|uicc|tnm|edition|edn|ed))*\b"
)
_NUMBERS = {"sixth": "6th", "seventh": "7th", "eighth": "8th", "ninth": "9th"}
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


def _key(column: object) -> str:
    """Return the `header_key` of a column, with numbers for the words of editions."""
    return re.sub(r"\b(sixth|seventh|eighth|ninth)\b", lambda m: _NUMBERS[m[0]], header_key(column))


def stage_columns(table: pd.DataFrame, edition: int | None = None) -> list[str]:
    """Return the column of stage groups in a list, or the three columns of T, N and M, or an empty list.

    Pathological columns are preferred to clinical ones. Of columns that name AJCC editions, those of
    `edition` are preferred.

    >>> stage_columns(pd.DataFrame(columns=["age", "cT", "cN", "cM"]))
    ['cT', 'cN', 'cM']
    >>> stage_columns(pd.DataFrame(columns=["age", "cStage", "pStage"]))
    ['pStage']
    >>> stage_columns(pd.DataFrame(columns=["Stage (7th ed.)", "Stage (8th ed.)"]), 8)
    ['Stage (8th ed.)']
    """
    found = stage_group_columns(table)
    fits = [c for c in found if edition is not None and named_edition(c) == edition]
    return fits[:1] or found[:1] or tnm_columns(table)


def stage_group_columns(table: pd.DataFrame) -> list[str]:
    """Return all columns of stage groups, the preferred one first.

    >>> stage_group_columns(pd.DataFrame(columns=["cStage", "age", "pStage", "stage"]))
    ['stage', 'pStage', 'cStage']
    """
    keys = {_key(c): c for c in table.columns}
    known = [h for h in STAGE_HEADERS if h in keys]
    alike = [k for k in keys if k not in known and _STAGE.fullmatch(k)]
    alike.sort(key=lambda k: (not k.startswith("p"), k.startswith("c")))  # pathological before clinical
    return [keys[k] for k in (*known, *alike)]


def tnm_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of T, N and M; empty unless the table has all three.

    Examples
    --------
    >>> tnm_columns(pd.DataFrame(columns=["pT", "pN", "pM"])), tnm_columns(pd.DataFrame(columns=["pT", "pN"]))
    (['pT', 'pN', 'pM'], [])
    >>> tnm_columns(pd.DataFrame(columns=["T (AJCC 8)", "N (AJCC 8)", "M (AJCC 8)"]))
    ['T (AJCC 8)', 'N (AJCC 8)', 'M (AJCC 8)']
    """
    keys = {_key(c): c for c in table.columns}
    keys = {" ".join(_NAMED.sub(" ", k).split()): c for k, c in keys.items() if _NAMED.search(k)} | keys
    found = [next((keys[h] for h in _TNM_HEADERS[letter] if h in keys), None) for letter in "tnm"]
    return [] if None in found else found


def named_edition(column: object) -> int | None:
    """Return the AJCC edition that the header of a stage, T, N or M names; None if it names none.

    Examples
    --------
    >>> named_edition("AJCC 9 stage"), named_edition("Stage (8th ed.)"), named_edition("pStage")
    (9, 8, None)
    """
    found = _NAMED.search(_key(column))
    return None if found is None else int(re.sub(r"\D", "", found[0]))


def closest_stage_header(columns: Iterable[object]) -> str:
    """Return the header that most resembles a stage header, or "" if none does.

    Used for a hint if `stage_columns` finds nothing.

    >>> closest_stage_header(["age", "Tumour staging (UICC)"])
    'Tumour staging (UICC)'
    """
    keys = {_key(c): str(c) for c in columns}
    alike = [k for k in keys if "stag" in k] or [
        k for k in keys if get_close_matches(k, STAGE_HEADERS, 1, 0.8)
    ]
    return keys[alike[0]] if alike else ""
