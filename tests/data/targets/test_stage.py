"""AJCC tables, cell by cell, typed here by stage group (the code holds them by T), and the named targets."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.data.targets.ajcc import stage_group
from mmfusion.data.targets.base import get_target, registered_targets
from mmfusion.data.targets.stage import STAGE_GROUPS, StageTarget, normalise_stage, target_labels
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
T = {
    7: ["TX", "T0", "Tis", "T1a", "T1b", "T2a", "T2b", "T3", "T4"],
    8: ["TX", "T0", "Tis", "T1mi", "T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4"],
}
GOLDEN = {
    edition: {tuple(pair.split()): group for group, pairs in table.items() for pair in pairs}
    for edition, table in {7: AJCC7, 8: AJCC8}.items()
}
CELLS = [(e, t, n) for e in (7, 8) for t in T[e] for n in ("N0", "N1", "N2", "N3")]


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
    expected = {7: {"M1a": "IV", "M1b": "IV"}, 8: {"M1a": "IVA", "M1b": "IVA", "M1c": "IVB"}}[edition]
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
def test_what_is_no_category(args, column):
    with pytest.raises(DataError) as raised:
        stage_group(*args)
    assert raised.value.column == column
    assert raised.value.expected


def test_no_such_edition():
    with pytest.raises(DataError, match="edition"):
        stage_group("T1", "N0", "M0", edition=6)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("IIIa", "IIIA"),
        ("Stage IIIB", "IIIB"),
        ("3A", "IIIA"),
        ("2", "II"),
        ("0", "0"),
        ("pIA", "IA"),
        ("stage ia1", "IA1"),
        ("Tis", "0"),
        ("Occult Carcinoma", "occult"),
        ("V", None),
        ("", None),
        ("[Discrepancy]", None),
        ("T2", None),
    ],
)
def test_normalise_stage(text, group):
    assert normalise_stage(text) == group


@given(
    st.sampled_from(STAGE_GROUPS),
    st.sampled_from([t.name for t in registered_targets().values() if isinstance(t, StageTarget)]),
)
def test_a_target_never_reorders(group, target):
    """Classes follow the order of the groups: a later group never has an earlier class."""
    spec = get_target(target)
    rank = {g: spec.classes.index(spec.mapping[g]) for g in STAGE_GROUPS if g in spec.mapping}
    earlier = [rank[g] for g in STAGE_GROUPS[: STAGE_GROUPS.index(group)] if g in rank]
    assert group not in rank or all(r <= rank[group] for r in earlier)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("stage4_lung1", ["I", "I", "II", "IIIA", "IIIB", None, None, None, None, None]),
        ("stage4_ajcc7", ["I", "I", "II", "III", "III", "III", "IV", None, "III", None]),
        ("stage3_ajcc7", ["I", "I", "II", "III", "III", "III", None, None, "III", None]),
        ("stage2", ["I", "I", "II-IV", "II-IV", "II-IV", "II-IV", "II-IV", None, "II-IV", None]),
        (
            "late_vs_early",
            ["I-II", "I-II", "I-II", "III-IV", "III-IV", "III-IV", "III-IV", None, "III-IV", None],
        ),
    ],
)
def test_targets(target, expected):
    stage = pd.Series(["IA", "I", "IIB", "IIIA", "IIIb", "III", "IV", "0", "IIIC", None])
    labels = target_labels(stage, target)
    assert [None if pd.isna(v) else v for v in labels] == expected
    assert labels.cat.ordered
    assert tuple(labels.cat.categories) == get_target(target).classes


def test_what_is_no_stage_names_the_patient():
    with pytest.raises(DataError) as raised:
        target_labels(pd.Series(["I", "grade 2"], index=["a", "b"]), "stage2")
    assert raised.value.patient == "b"
    assert "grade 2" in raised.value.got


def test_unknown_target():
    with pytest.raises(DataError, match="no target"):
        target_labels(pd.Series(["I"]), "stage9")
