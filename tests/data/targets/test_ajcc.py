"""AJCC tables, cell by cell, written here by stage group (in the code they are ordered by T)."""

import pytest

from mmfusion.data.targets.ajcc import possible_groups, stage_group
from mmfusion.errors import DataError

# AJCC Cancer Staging Manual, 7th ed., table 25.2: group -> the (T, N) pairs with M0
AJCC7 = {
    "occult": ["TX N0"],
    "0": ["Tis N0"],
    "IA": ["T1a N0", "T1b N0"],
    "IB": ["T2a N0"],
    "IIA": ["T2b N0", "T1a N1", "T1b N1", "T2a N1"],
    "IIB": ["T2b N1", "T3 N0"],
    "IIIA": ["T1a N2", "T1b N2", "T2a N2", "T2b N2", "T3 N1", "T3 N2", "T4 N0", "T4 N1"],
    "IIIB": ["TX N3", "T0 N3", "T1a N3", "T1b N3", "T2a N3", "T2b N3", "T3 N3", "T4 N2", "T4 N3"],
}
# 8th ed., chapter 36
AJCC8 = {
    "occult": ["TX N0"],
    "0": ["Tis N0"],
    "IA1": ["T1mi N0", "T1a N0"],
    "IA2": ["T1b N0"],
    "IA3": ["T1c N0"],
    "IB": ["T2a N0"],
    "IIA": ["T2b N0"],
    "IIB": ["T1a N1", "T1b N1", "T1c N1", "T2a N1", "T2b N1", "T3 N0"],
    "IIIA": ["T1a N2", "T1b N2", "T1c N2", "T2a N2", "T2b N2", "T3 N1", "T4 N0", "T4 N1"],
    "IIIB": ["T1a N3", "T1b N3", "T1c N3", "T2a N3", "T2b N3", "T3 N2", "T4 N2"],
    "IIIC": ["T3 N3", "T4 N3"],
}
# Version 9: Lung (2025), and Rami-Porta et al. 2024, J Thorac Oncol 19(7):1007-1027, table of stage groups
AJCC9 = {
    "occult": ["TX N0"],
    "0": ["Tis N0"],
    "IA1": ["T1mi N0", "T1a N0"],
    "IA2": ["T1b N0"],
    "IA3": ["T1c N0"],
    "IB": ["T2a N0"],
    "IIA": ["T2b N0", "T1a N1", "T1b N1", "T1c N1"],
    "IIB": ["T1a N2a", "T1b N2a", "T1c N2a", "T2a N1", "T2b N1", "T3 N0"],
    "IIIA": ["T1a N2b", "T1b N2b", "T1c N2b", "T2a N2a", "T2b N2a", "T3 N1", "T3 N2a", "T4 N0", "T4 N1"],
    "IIIB": [
        "T1a N3", "T1b N3", "T1c N3", "T2a N2b", "T2b N2b", "T2a N3", "T2b N3", "T3 N2b", "T4 N2a", "T4 N2b",
    ],
    "IIIC": ["T3 N3", "T4 N3"],
}  # fmt: skip
T = {
    7: ["TX", "T0", "Tis", "T1a", "T1b", "T2a", "T2b", "T3", "T4"],
    8: ["TX", "T0", "Tis", "T1mi", "T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4"],
}
T[9] = T[8]
N = {7: ["N0", "N1", "N2", "N3"], 8: ["N0", "N1", "N2", "N3"], 9: ["N0", "N1", "N2a", "N2b", "N3"]}
M1 = {
    7: {"M1a": "IV", "M1b": "IV"},
    8: {"M1a": "IVA", "M1b": "IVA", "M1c": "IVB"},
    9: {"M1a": "IVA", "M1b": "IVA", "M1c1": "IVB", "M1c2": "IVB"},
}
GOLDEN = {
    edition: {tuple(pair.split()): group for group, pairs in table.items() for pair in pairs}
    for edition, table in {7: AJCC7, 8: AJCC8, 9: AJCC9}.items()
}
CELLS = [(e, t, n) for e in T for t in T[e] for n in N[e]]


@pytest.mark.parametrize(("edition", "t", "n"), CELLS)
def test_every_cell_without_metastasis(edition, t, n):
    expected = GOLDEN[edition].get((t, n))
    if expected is None:
        with pytest.raises(DataError, match="no stage group"):
            stage_group(t, n, "M0", edition)
    else:
        assert stage_group(t, n, "M0", edition) == expected


@pytest.mark.parametrize(("edition", "t", "n"), CELLS)
def test_every_cell_with_metastasis(edition, t, n):
    expected = M1[edition]
    assert {m: stage_group(t, n, m, edition) for m in expected} == expected


@pytest.mark.parametrize(
    ("spelled", "group"),
    [
        (("T2a", "N0", "M0"), "IB"),
        (("pT2a", "pN0", "cM0"), "IB"),
        (("2a", "0", "0"), "IB"),
        ((2, 0, 0), "IB"),  # of unknown size: T2a
        ((2.0, 3.0, 0.0), "IIIB"),
        ((" t1B ", "n1", "m0"), "IIA"),
        (("Tis", "N0", "M0"), "0"),
        (("T4", "NX", "M1b"), "IV"),
    ],
)
def test_spellings(spelled, group):
    assert stage_group(*spelled) == group


def test_spellings_of_the_8th_edition():
    assert stage_group("T1a(mi)", "N0", "M0", 8) == "IA1"
    assert stage_group("Tis(AIS)", "N0", "M0", edition=8) == "0"
    assert stage_group("T1", "N0", "M0", 8) == "IA"


@pytest.mark.parametrize(
    ("args", "column"),
    [
        (("5", "0", "0"), "T"),
        (("T1c", "N0", "M0"), "T"),  # 8th edition only
        (("T1a", "4", "0"), "N"),
        (("T1a", "N0", "MX"), "M"),
        (("T1a", "N0", "M1c"), "M"),
        (("Not Collected", "N0", "M0"), "T"),
    ],
)
def test_unknown_categories(args, column):
    with pytest.raises(DataError) as raised:
        stage_group(*args)
    assert raised.value.column == column
    assert raised.value.expected


def test_no_such_edition():
    with pytest.raises(DataError, match="edition"):
        stage_group("T1", "N0", "M0", edition=6)


def test_spellings_of_the_9th_edition():
    assert stage_group("pT3", "pN2A", "cM0", 9) == "IIIA"
    assert stage_group("2a", "2b", 0, edition=9) == "IIIB"
    assert stage_group("T1", "N1", "M1C2", 9) == "IVB"
    assert stage_group("T1", "N1", "M1c", 9) == "IVB"


@pytest.mark.parametrize(
    ("t", "group"),
    [("T2a", "III"), ("T2b", "III"), ("T3", "III"), ("T4", "IIIB")],
)
def test_n2_without_a_letter_where_it_does_not_matter(t, group):
    """In the 9th edition T4 N2 is IIIB either way; others are IIIA or IIIB, thus III."""
    assert stage_group(t, "N2", "M0", 9) == group


@pytest.mark.parametrize("t", ["T1", "T1a", "T1b", "T1c"])
def test_n2_without_a_letter_where_it_matters(t):
    with pytest.raises(DataError, match=rf"AJCC 9 gives more than one stage for {t} N2 M0") as raised:
        stage_group(t, "N2", "M0", 9)
    assert raised.value.got == "N2, which may be IIB or IIIA"
    assert "N2a (one station)" in raised.value.expected


@pytest.mark.parametrize("edition", [7, 8])
def test_categories_of_the_9th_edition_only(edition):
    for args in (("T1a", "N2a", "M0"), ("T1a", "N0", "M1c1")):
        with pytest.raises(DataError, match=f"category of AJCC {edition}"):
            stage_group(*args, edition)


@pytest.mark.parametrize(("edition", "t", "n"), CELLS)
def test_within_an_edition_there_is_one_group(edition, t, n):
    expected = GOLDEN[edition].get((t, n))
    assert possible_groups(t, n, "M0", edition, edition) == ((expected,) if expected else ())


@pytest.mark.parametrize(
    ("tnm", "assigned", "edition", "groups"),
    [
        # by the sizes of T in the two editions (Goldstraw et al. 2016, J Thorac Oncol 11(1):39-51)
        (("T1a", "N0", "M0"), 7, 8, ("IA1", "IA2")),  # up to 2 cm
        (("T1b", "N0", "M0"), 7, 8, ("IA3",)),  # 2 to 3 cm
        (("T2a", "N0", "M0"), 7, 8, ("IB", "IIA")),  # 3 to 5 cm: T2a up to 4 cm, then T2b
        (("T2a", "N1", "M0"), 7, 8, ("IIB",)),
        (("T2b", "N0", "M0"), 7, 8, ("IIB",)),  # 5 to 7 cm: T3
        (("T2b", "N2", "M0"), 7, 8, ("IIIB",)),
        (
            ("T3", "N0", "M0"),
            7,
            8,
            ("IA", "IB", "IIA", "IIB", "IIIA"),
        ),  # size, chest wall, bronchus, diaphragm
        (("T3", "N2", "M0"), 7, 8, ("IIIA", "IIIB")),
        (("T4", "N0", "M0"), 7, 8, ("IIIA",)),
        (("T1a", "N0", "M1b"), 7, 8, ("IVA", "IVB")),  # one metastasis outside the chest, or several
        (("T1c", "N1", "M0"), 8, 7, ("IIA",)),
        (("T3", "N0", "M0"), 8, 7, ("IIA", "IIB")),
        # the 9th edition keeps T, and parts N2 and M1c
        (("T1c", "N1", "M0"), 8, 9, ("IIA",)),
        (("T1c", "N2", "M0"), 8, 9, ("IIB", "IIIA")),
        (("T4", "N2", "M0"), 8, 9, ("IIIB",)),
        (("T1c", "N0", "M1c"), 8, 9, ("IVB",)),
        (("T1c", "N2a", "M0"), 9, 8, ("IIIA",)),
        (("T3", "N0", "M1c2"), 9, 8, ("IVB",)),
        (("T2b", "N2", "M0"), 7, 9, ("IIIA", "IIIB")),  # T3 N2a or N2b
        (("T1c", "N2b", "M0"), 9, 7, ("IIIA",)),
    ],
)
def test_stage_of_another_edition(tnm, assigned, edition, groups):
    assert possible_groups(*tnm, assigned, edition) == groups


@pytest.mark.parametrize("edition", [6, 10, "8th"])
def test_no_such_other_edition(edition):
    with pytest.raises(DataError, match="edition"):
        possible_groups("T1a", "N0", "M0", 7, edition)
