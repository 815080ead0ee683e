"""AJCC stage groups of lung cancer from T, N and M, by the 7th, 8th and 9th editions.

Sources: AJCC Cancer Staging Manual, 7th ed. (2010), chapter 25, and 8th ed. (2017), chapter 36; AJCC Cancer
Staging System Version 9: Lung, in force since 2025-01-01, as proposed by Rami-Porta et al. 2024, J Thorac
Oncol 19(7):1007-1027. Changes from the 7th to the 8th edition: Goldstraw et al. 2016, J Thorac Oncol
11(1):39-51.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import product

from mmfusion.errors import DataError

EDITIONS = (7, 8, 9)
NEW_IN_8 = frozenset(("IA1", "IA2", "IA3", "IIIC", "IVA", "IVB"))  # stage groups that AJCC 7 lacks
_AFTER = r"(?:\s*\((?:mi|i[+-]|mol[+-]|sn|f|m|ais|scis)\))?"  # what may follow a category in brackets
_TNM = re.compile(
    rf"[ypcra]{{0,3}}(T(?:x|is|[0-4][a-d]?(?:mi)?){_AFTER})[\s,;/]*[ypcra]{{0,3}}(N(?:x|[0-3][ab]?){_AFTER})"
    rf"[\s,;/]*[ypcra]{{0,3}}(M(?:x|[01][a-d]?[12]?){_AFTER})",
    re.IGNORECASE,
)
_N = {7: ("N0", "N1", "N2", "N3"), 8: ("N0", "N1", "N2", "N3"), 9: ("N0", "N1", "N2a", "N2b", "N3")}
# Rows: T category. Columns: the N categories of `_N`, all with M0. "-": the edition lists no group.
# T2 is T2a "if size cannot be determined"; T1 without a letter is IA.
_TABLES: dict[int, dict[str, str]] = {
    7: {
        "TX": "occult - - IIIB",
        "T0": "- - - IIIB",
        "Tis": "0 - - -",
        "T1": "IA IIA IIIA IIIB",
        "T1a": "IA IIA IIIA IIIB",
        "T1b": "IA IIA IIIA IIIB",
        "T2": "IB IIA IIIA IIIB",
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
        "T2": "IB IIB IIIA IIIB",
        "T2a": "IB IIB IIIA IIIB",
        "T2b": "IIA IIB IIIA IIIB",
        "T3": "IIB IIIA IIIB IIIC",
        "T4": "IIIA IIIA IIIB IIIC",
    },
    9: {
        "TX": "occult - - - -",
        "T0": "- - - - -",
        "Tis": "0 - - - -",
        "T1": "IA IIA IIB IIIA IIIB",
        "T1mi": "IA1 - - - -",
        "T1a": "IA1 IIA IIB IIIA IIIB",
        "T1b": "IA2 IIA IIB IIIA IIIB",
        "T1c": "IA3 IIA IIB IIIA IIIB",
        "T2": "IB IIB IIIA IIIB IIIB",
        "T2a": "IB IIB IIIA IIIB IIIB",
        "T2b": "IIA IIB IIIA IIIB IIIB",
        "T3": "IIB IIIA IIIA IIIB IIIC",
        "T4": "IIIA IIIA IIIB IIIB IIIC",
    },
}
_M1 = {
    7: {"M1": "IV", "M1a": "IV", "M1b": "IV"},
    8: {"M1": "IV", "M1a": "IVA", "M1b": "IVA", "M1c": "IVB"},
    9: {"M1": "IV", "M1a": "IVA", "M1b": "IVA", "M1c": "IVB", "M1c1": "IVB", "M1c2": "IVB"},
}
_UNSPECIFIC = {9: {"N2": ("N2a", "N2b")}}  # one station or several stations

# (edition, next or previous edition) -> category -> the categories that it may become. Categories that are
# not listed stay the same. Sizes of T in cm: 7th edition T1a <= 2 < T1b <= 3 < T2a <= 5 < T2b <= 7 < T3; 8th
# edition T1a <= 1 < T1b <= 2 < T1c <= 3 < T2a <= 4 < T2b <= 5 < T3 <= 7 < T4. A T3 of the 7th edition is T2
# in the 8th if the reason was a main bronchus near the carina or a collapsed lung, and T4 if it was an
# invaded diaphragm. An invaded mediastinal pleura alone is no reason in the 8th edition.
_STEPS: dict[tuple[int, int], dict[str, tuple[str, ...]]] = {
    (7, 8): {
        "T1a": ("T1a", "T1b"),
        "T1b": ("T1c",),
        "T2": ("T2a", "T2b", "T3"),
        "T2a": ("T2a", "T2b"),
        "T2b": ("T3",),
        "T3": ("T1", "T2a", "T2b", "T3", "T4"),
        "M1b": ("M1b", "M1c"),
    },
    (8, 7): {
        "T1mi": ("T1a",),
        "T1b": ("T1a",),
        "T1c": ("T1b",),
        "T2": ("T2a", "T3"),
        "T2a": ("T2a", "T3"),
        "T2b": ("T2a", "T3"),
        "T3": ("T2b", "T3"),
        "T4": ("T3", "T4"),
        "M1c": ("M1b",),
    },
    (8, 9): {},
    (9, 8): {"N2a": ("N2",), "N2b": ("N2",), "M1c1": ("M1c",), "M1c2": ("M1c",)},
}


def stage_group(t: object, n: object, m: object, edition: int = 7) -> str:
    """Return the AJCC stage group of a lung cancer from its T, N and M categories.

    Parameters
    ----------
    t, n, m : str or int
        Categories, in any common spelling: "T2a", "pT2a", "2a", 2, "Tis", "T1a(mi)", "M1b", "N2b".
    edition : {7, 8, 9}
        Edition of the AJCC staging system. T1 and T2 without a letter are read as in the manuals: T2 of
        unknown size is T2a, and T1 alone is IA. The 9th edition has N2a (one station) and N2b (several
        stations). If N2 has no letter and N2a and N2b have one coarse group in common, that group is returned
        ("III" for T3 N2).

    Returns
    -------
    str
        One of `mmfusion.data.targets.stage.STAGE_GROUPS`; "occult" for TX N0 M0.

    Raises
    ------
    DataError
        If a category is not part of the edition, if the edition lists no stage group for the combination, or
        if N2 has no letter and the stage is therefore not clear (T1 N2 in the 9th edition is IIB or IIIA).

    References
    ----------
    AJCC Cancer Staging Manual, 7th ed. (2010), chapter 25; 8th ed. (2017), chapter 36; AJCC Cancer Staging
    System Version 9: Lung (2025); Rami-Porta et al. 2024, J Thorac Oncol 19(7):1007-1027.

    Examples
    --------
    >>> stage_group("T1c", "N1", "M0", edition=8), stage_group("T1c", "N1", "M0", edition=9)
    ('IIB', 'IIA')
    """
    t, n, m = categories(t, n, m, edition)
    groups = _groups(t, n, m, edition)
    if not groups:
        hint = "leave the stage empty for this patient"
        raise DataError(f"AJCC {edition} lists no stage group for {t} {n} {m}", hint=hint)
    if len(groups) == 1:
        return groups[0]
    coarse = {re.sub("[A-C].*", "", group) for group in groups}
    if len(coarse) == 1:
        return coarse.pop()
    raise DataError(
        f"AJCC {edition} gives more than one stage for {t} {n} {m}",
        column="N",
        expected="N2a (one station) or N2b (several stations)",
        got=f"{n}, which may be {' or '.join(groups)}",
        hint="write N2a or N2b, or leave the stage empty for this patient",
    )


@lru_cache(maxsize=4096)
def possible_groups(t: str, n: str, m: str, assigned: int, edition: int) -> tuple[str, ...]:
    """Return the stage groups that a tumour may have in another edition than that of its T, N and M.

    The T categories of the editions have different limits of size, and a category does not give the exact
    size. For example, a T2a of the 7th edition (3 to 5 cm) is T2a or T2b in the 8th, and with N0 it is stage
    IB or IIA. Adenocarcinoma in situ, which the 7th edition did not have, is not considered.

    Parameters
    ----------
    t, n, m : str
        Categories of the edition `assigned`, in any spelling that `stage_group` reads.
    assigned : {7, 8, 9}
        Edition under which the categories were assigned.
    edition : {7, 8, 9}
        Edition of the stage groups.

    Returns
    -------
    tuple of str
        Stage groups from early to late; empty if the edition lists no group.

    Raises
    ------
    DataError
        If a category is not part of the edition `assigned`.

    Examples
    --------
    >>> possible_groups("T2a", "N0", "M0", 7, 8)
    ('IB', 'IIA')
    >>> possible_groups("T2b", "N0", "M0", 7, 8)
    ('IIB',)
    """
    found = {categories(t, n, m, assigned)}
    _check_edition(edition)
    step = 1 if edition > assigned else -1
    for before in range(assigned, edition, step):
        changed = _STEPS[before, before + step]
        found = {now for was in found for now in product(*(changed.get(c, (c,)) for c in was))}
    return tuple(sorted({group for tnm in found for group in _groups(*tnm, edition)}))


def split_tnm(text: object) -> tuple[str, str, str] | None:
    """Return T, N and M of a text such as "pT2aN0M0", or None if the text is not all three.

    Examples
    --------
    >>> split_tnm("pT2a N0 cM0"), split_tnm("T1a(mi), N0, M0"), split_tnm("T2aN0")
    (('T2a', 'N0', 'M0'), ('T1a(mi)', 'N0', 'M0'), None)
    """
    found = _TNM.fullmatch(unicodedata.normalize("NFKC", str(text)).strip())
    return None if found is None else (found[1], found[2], found[3])


def categories(t: object, n: object, m: object, edition: int) -> tuple[str, str, str]:
    """Return T, N and M in the spelling of the edition ("T1mi", "N2a", "M1c1").

    Raises
    ------
    DataError
        If a category is not part of the edition, or there is no such edition.

    Examples
    --------
    >>> categories("pT1a(mi)", "2a", 0, 9)
    ('T1mi', 'N2a', 'M0')
    """
    _check_edition(edition)
    nodes = ("NX", *_N[edition], *_UNSPECIFIC.get(edition, {}))
    return (
        _category(t, "T", tuple(_TABLES[edition]), edition),
        _category(n, "N", nodes, edition),
        _category(m, "M", ("M0", *_M1[edition]), edition),
    )


def _groups(t: str, n: str, m: str, edition: int) -> tuple[str, ...]:
    """Return the stage groups of T, N and M; more than one if N2 has no letter."""
    if m != "M0":
        return (_M1[edition][m],)
    nodes = _UNSPECIFIC.get(edition, {}).get(n, (n,))
    row = dict(zip(_N[edition], _TABLES[edition][t].split(), strict=True))
    return tuple(sorted({row.get(node, "-") for node in nodes} - {"-"}))


def _check_edition(edition: object) -> None:
    if edition not in EDITIONS:
        raise DataError("no such AJCC edition", expected="7, 8 or 9", got=edition)


def _category(value: object, letter: str, known: tuple[str, ...], edition: int) -> str:
    word = re.sub(r"\s", "", unicodedata.normalize("NFKC", str(value))).lower()
    word = re.sub(r"\((i|mol)[+-]\)|\((sn|f|m)\)", "", word)  # isolated cells, sentinel node, several tumours
    word = re.sub(r"[()]", "", word)
    word = re.sub(r"\.0+$", "", word)  # a column of numbers read as floats
    word = re.sub(rf"^[pcyra]*{letter.lower()}", "", word)
    word = {"1ami": "1mi", "isais": "is", "isscis": "is"}.get(word, word)
    name = letter + (word.upper() if word == "x" else word)
    if name not in known:
        hint = "AJCC has no MX: write M0 if no metastasis is known" if name == "MX" else None
        raise DataError(
            f"not a {letter} category of AJCC {edition}",
            column=letter,
            expected=", ".join(known),
            got=repr(value),
            hint=hint,
        )
    return name
