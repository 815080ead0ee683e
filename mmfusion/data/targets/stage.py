"""Stage of a lung tumour: AJCC stage groups from T, N and M, and the named targets made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from mmfusion.errors import DataError

# every stage group of the 7th and 8th editions, the coarse ones that registries record, and occult carcinoma (TX N0 M0)
_EARLY = ("occult", "0", "I", "IA", "IA1", "IA2", "IA3", "IB", "II", "IIA", "IIB")
STAGE_GROUPS = (*_EARLY, "III", "IIIA", "IIIB", "IIIC", "IV", "IVA", "IVB")


@dataclass(frozen=True)
class Target:
    """What is predicted: ordered classes, and which stage groups fall into each.

    Parameters
    ----------
    classes : tuple of str
        From early to late.
    description : str
        One line for reports.
    mapping : mapping
        Stage group -> class; a group that is not a key has no class and its patients carry no label.
    """

    classes: tuple[str, ...]
    description: str
    mapping: Mapping[str, str]


def _target(description: str, classes: Mapping[str, str]) -> Target:
    """Build a target from class -> the stage groups in it, by prefix: "I" takes IA, IA1, ... but not II."""
    mapping = {
        group: name for name, prefixes in classes.items() for p in prefixes.split() for group in _within(p)
    }
    return Target(tuple(classes), description, MappingProxyType(mapping))


def _within(prefix: str) -> list[str]:
    return [g for g in STAGE_GROUPS if re.fullmatch(rf"{prefix}(?:[A-C]?[123]?)", g)]


TARGETS: dict[str, Target] = {
    "stage4_lung1": _target(
        "I < II < IIIA < IIIB, as LUNG1 records it", {"I": "I", "II": "II", "IIIA": "IIIA", "IIIB": "IIIB"}
    ),
    "stage4_ajcc7": _target(
        "I < II < III < IV; in situ dropped", {"I": "I", "II": "II", "III": "III", "IV": "IV"}
    ),
    "stage3_ajcc7": _target("I < II < III; in situ and IV dropped", {"I": "I", "II": "II", "III": "III"}),
    "stage2": _target("I < II-IV; in situ dropped", {"I": "I", "II-IV": "II III IV"}),
    "late_vs_early": _target("I-II < III-IV; in situ dropped", {"I-II": "I II", "III-IV": "III IV"}),
}


def describe_targets() -> str:
    """The named targets, a line each."""
    return "".join(f"\n  {name}: {target.description}" for name, target in TARGETS.items())


def normalise_stage(text: object) -> str | None:
    """Stage group as written here ("IIIA", "0"), from "Stage IIIa", "pIIIA", "3A"; None for what is no stage group."""
    word = re.sub(r"^(?:stage)?\s*[pc]?", "", str(text).strip(), flags=re.IGNORECASE).strip().upper()
    if word in {"TIS", "IS"}:
        return "0"
    if found := re.fullmatch(r"([1-4])([A-C]?[123]?)", word):
        word = ("I", "II", "III", "IV")[int(found[1]) - 1] + found[2]
    word = word.lower() if word.startswith("OCCULT") else word
    word = "occult" if word in {"occult carcinoma", "occult"} else word
    return word if word in STAGE_GROUPS else None


def target_labels(stage: pd.Series, target: str) -> pd.Series:
    """Classes of a named target.

    Parameters
    ----------
    stage : Series of str, shape (n,)
        Stage group of each patient ("IA", "Stage IIIb", coarse "III"); missing where unknown.
    target : str
        A key of `TARGETS`.

    Returns
    -------
    Series, shape (n,)
        Ordered categorical with the target's classes; missing where the stage is unknown, has no class under the
        target (in situ), or is too coarse to tell (III under I/II/IIIA/IIIB).

    Raises
    ------
    DataError
        If the target is unknown, or a value is no stage group at all.
    """
    if target not in TARGETS:
        raise DataError(f"no target called {target!r}", expected=", ".join(TARGETS))
    spec = TARGETS[target]
    dtype = pd.CategoricalDtype(spec.classes, ordered=True)
    groups = {text: normalise_stage(text) for text in stage.dropna().unique()}
    for text, group in groups.items():
        if group is None:
            patient = stage.index[(stage == text).to_numpy()][0]
            hint = "leave the cell empty where the stage is unknown"
            raise DataError(
                "not a stage group",
                patient=patient,
                column="stage",
                expected=", ".join(STAGE_GROUPS),
                got=repr(text),
                hint=hint,
            )
    labels = [None if pd.isna(text) else spec.mapping.get(groups[text]) for text in stage]
    return pd.Series(pd.Categorical(labels, dtype=dtype), index=stage.index, name=target)


# --- T, N, M -> stage group -------------------------------------------------------------------------------------------

_N = {"N0": 0, "N1": 1, "N2": 2, "N3": 3}
# rows: T category; columns: N0 N1 N2 N3, all M0; "-" = the edition lists no group
_TABLES: dict[int, dict[str, str]] = {
    7: {
        "TX": "occult - - IIIB",
        "T0": "- - - IIIB",
        "Tis": "0 - - -",
        "T1": "IA IIA IIIA IIIB",
        "T1a": "IA IIA IIIA IIIB",
        "T1b": "IA IIA IIIA IIIB",
        "T2": "IB IIA IIIA IIIB",  # "T2a ... if size cannot be determined"
        "T2a": "IB IIA IIIA IIIB",
        "T2b": "IIA IIB IIIA IIIB",
        "T3": "IIB IIIA IIIA IIIB",
        "T4": "IIIA IIIA IIIB IIIB",
    },
    8: {
        "TX": "occult - - -",
        "T0": "- - - -",
        "Tis": "0 - - -",
        "T1": "IA IIB IIIA IIIB",
        "T1mi": "IA1 - - -",
        "T1a": "IA1 IIB IIIA IIIB",
        "T1b": "IA2 IIB IIIA IIIB",
        "T1c": "IA3 IIB IIIA IIIB",
        "T2": "IB IIB IIIA IIIB",  # "T2a ... if size cannot be determined"
        "T2a": "IB IIB IIIA IIIB",
        "T2b": "IIA IIB IIIA IIIB",
        "T3": "IIB IIIA IIIB IIIC",
        "T4": "IIIA IIIA IIIB IIIC",
    },
}
_M1 = {7: {"M1": "IV", "M1a": "IV", "M1b": "IV"}, 8: {"M1": "IV", "M1a": "IVA", "M1b": "IVA", "M1c": "IVB"}}


def stage_group(t: object, n: object, m: object, edition: int = 7) -> str:
    """AJCC stage group of a lung cancer from its T, N and M categories.

    Parameters
    ----------
    t, n, m : str or int
        Categories, in any common spelling: "T2a", "pT2a", "2a", 2, "Tis", "T1a(mi)", "M1b".
    edition : {7, 8}
        Edition of the AJCC Cancer Staging Manual. T1 and T2 without a letter are read as the manuals do (T2 of
        unknown size is T2a; T1 alone is IA).

    Returns
    -------
    str
        One of `STAGE_GROUPS`; "occult" for TX N0 M0.

    Raises
    ------
    DataError
        If a category is not one of the edition's, or the edition gives the combination no stage group.

    References
    ----------
    AJCC Cancer Staging Manual, 7th ed. (2010), chapter 25; 8th ed. (2017), chapter 36.
    """
    if edition not in _TABLES:
        raise DataError("no such AJCC edition here", expected="7 or 8", got=edition)
    table, metastatic = _TABLES[edition], _M1[edition]
    t = _category(t, "T", table, edition)
    n = _category(n, "N", ["NX", *_N], edition)
    m = _category(m, "M", ["M0", *metastatic], edition)
    if m != "M0":
        return metastatic[m]
    group = "-" if n == "NX" else table[t].split()[_N[n]]
    if group == "-":
        raise DataError(
            f"AJCC {edition} gives {t} {n} {m} no stage group", hint="leave the stage empty for this patient"
        )
    return group


def _category(value: object, letter: str, known: Mapping | list[str], edition: int) -> str:
    word = re.sub(r"[\s()]", "", str(value)).lower()
    word = re.sub(r"\.0$", "", word)  # a column of numbers read as floats
    word = re.sub(rf"^[pcyra]*{letter.lower()}", "", word)
    word = {"1ami": "1mi", "isais": "is", "isscis": "is"}.get(word, word)
    name = letter + (word.upper() if word == "x" else word)
    if name not in known:
        hint = "the editions know no MX: M0 is meant where no metastasis is known" if name == "MX" else None
        raise DataError(
            f"not a {letter} category of AJCC {edition}",
            column=letter,
            expected=", ".join(known),
            got=repr(value),
            hint=hint,
        )
    return name
