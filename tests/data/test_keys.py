"""Patient ids of several tables: matched where the spelling alone differs, and never two patients as one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmfusion.data.id_rules import RULES
from mmfusion.data.keys import IdTable, unify

PAIRS = [
    ("TCGA-05-4000", "TCGA-05-4000-01A-11R-1107-07", "by the patient's part of a TCGA barcode"),
    ("TCGA-05-4000", "TCGA-05-4000-01", "by the patient's part of a TCGA barcode"),
    ("TCGA-05-4000", "tcga.05.4000.01A.11R.1107.07", "by the patient's part of a TCGA barcode"),
    ("TCGA-05-4000-01A", "TCGA-05-4000-01A-11R-1107-07", "by the patient's part of a TCGA barcode"),
    ("101", "X101", "ignoring the X and the dots of R's names"),
    ("R01-001", "R01.001", "ignoring the X and the dots of R's names"),
    ("101-A", "X101.A", "ignoring the X and the dots of R's names"),
    ("101", "101.0", "ignoring .0 after whole numbers"),
    ("101", "X101.0", "ignoring the X and the dots of R's names"),
    ("LUNG1-001", "lung1-001", "ignoring upper case and spaces"),
    ("P 7", " p  7 ", "ignoring upper case and spaces"),
    ("P\u00a07", "P 7", "ignoring upper case and spaces"),
    ("7", "007", "ignoring leading zeros and separators"),
    ("P-007", "P7", "ignoring leading zeros and separators"),
    ("sub-007", "7", "ignoring a word such as patient or sub before the number"),
    ("Patient 12", "12", "ignoring a word such as patient or sub before the number"),
]


@pytest.mark.parametrize(("clinical", "other", "rule"), PAIRS)
def test_two_spellings_of_one_patient(clinical, other, rule):
    found = unify([IdTable("labels", "clinical.csv", (clinical,)), IdTable("rna", "rna.csv", (other,))])
    assert dict(found.names) == {other: clinical}
    assert found.notes == (f"rna.csv: 1 id was matched {rule} ({other} is {clinical})",)
    assert not found.problems and not found.conflicts


@pytest.mark.parametrize(
    ("clinical", "other"),
    [("P1-0", "P10"), ("1-10", "1-1"), ("R01-001", "R01-001-B"), ("TCGA-05-4000", "TCGA-05-4001-01A"),
     ("101", "101.5"), ("101", "Y101"), ("7", "70"), ("A7", "B7")],
)  # fmt: skip
def test_different_patients_stay_apart(clinical, other):
    found = unify([IdTable("labels", "clinical.csv", (clinical,)), IdTable("rna", "rna.csv", (other,))])
    assert not found.names and not found.problems


def test_what_fits_two_is_said_and_not_matched():
    found = unify([IdTable("labels", "clinical.csv", ("7", "007")), IdTable("rna", "rna.csv", ("07",))])
    assert not found.names
    (problem,) = found.problems
    assert problem.startswith(
        "1 patient: clinical.csv writes 007, rna.csv 07: make the ids equal if they are"
    )


def test_a_strict_rule_goes_before_a_tolerant_one():
    labels = IdTable("labels", "clinical.csv", ("7", "007"))
    found = unify([labels, IdTable("rna", "rna.csv", ("X7", "X007"))])
    assert dict(found.names) == {"X7": "7", "X007": "007"} and not found.problems


def test_two_tables_of_labels_are_never_joined():
    found = unify([IdTable("labels", "north.csv", ("P1", "P2")), IdTable("labels", "south.csv", ("P-1",))])
    assert not found.names
    assert found.problems[0].startswith("1 patient: north.csv writes P1, south.csv P-1: make the ids equal")


def test_normal_tissue_is_left_out():
    rna = ("TCGA-05-4000-01A-11R", "TCGA-05-4000-11A-11R", "TCGA-05-4001-11A-11R", "TCGA-05-4009-11A-11R")
    labels = IdTable("labels", "clinical.csv", ("TCGA-05-4000", "TCGA-05-4001"))
    found = unify([labels, IdTable("rna", "rna.csv", rna)])
    assert dict(found.names) == {rna[0]: "TCGA-05-4000"}
    assert found.dropped == set(rna[1:])
    assert found.notes[0] == f"rna.csv: 3 ids were left out as normal tissue ({rna[1]})"


def test_the_primary_tumour_is_chosen():
    rna = ("TCGA-05-4000-01A-11R", "TCGA-05-4000-02A-11R", "TCGA-05-4001-06A-11R")
    labels = IdTable("labels", "clinical.csv", ("TCGA-05-4000", "TCGA-05-4001"))
    found = unify([labels, IdTable("rna", "rna.csv", rna)])
    assert dict(found.names) == {rna[0]: "TCGA-05-4000", rna[2]: "TCGA-05-4001"}
    assert "a further tumour of the patient" in found.notes[0] and found.dropped == {rna[1]}


@pytest.mark.parametrize("other", ["TCGA-05-4000-01B-11R", "TCGA-05-4000-01A-21R", "TCGA-05-4000"])
def test_two_tumour_samples_of_one_patient_are_an_error(other):
    rna = ("TCGA-05-4000-01A-11R", other)
    labels = IdTable("labels", "clinical.csv", ("TCGA-05-4000",))
    (error,) = unify([labels, IdTable("rna", "rna.csv", rna)]).conflicts
    assert error.patient == "TCGA-05-4000" and error.file == "rna.csv"
    assert all(name in error.got for name in rna) and "keep one" in error.hint


def test_many_patients_with_two_samples_are_one_error():
    patients = [f"TCGA-05-40{k:02d}" for k in range(30)]
    rna = tuple(f"{p}-01{vial}" for p in patients for vial in "AB")
    (error,) = unify([IdTable("labels", "c.csv", tuple(patients)), IdTable("rna", "rna.csv", rna)]).conflicts
    assert error.patient.endswith("TCGA-05-4004 and 25 more")


def test_samples_in_both_tables_are_left_as_they_are():
    ids = ("TCGA-05-4000-01A", "TCGA-05-4000-11A")
    found = unify([IdTable("labels", "clinical.csv", ids), IdTable("rna", "rna.csv", ids)])
    assert not found.names and not found.dropped and not found.conflicts


IDS = st.one_of(
    st.sampled_from([name for pair in PAIRS for name in pair[:2]]),
    st.text("0Xxp1-._ ", min_size=1, max_size=5),
    st.builds(
        "TCGA-05-400{}{}".format, st.integers(0, 2), st.sampled_from(["", "-01A", "-01B", "-11A", "-06"])
    ),
)
COLUMN = st.lists(IDS, max_size=6, unique=True).map(tuple)
TABLES = st.tuples(COLUMN, COLUMN, COLUMN, COLUMN).map(
    lambda ids: [
        IdTable("labels", "clinical.csv", ids[0]),
        IdTable("rna", "rna.csv", ids[1]),
        IdTable("ct volume", "scans", ids[2]),
        IdTable("labels", "more.csv", tuple(i for i in ids[3] if i not in ids[0])),
    ]
)


def _applied(tables, found):
    return [
        IdTable(t.what, t.file, tuple(found.of(i) for i in t.ids if i not in found.dropped)) for t in tables
    ]


@settings(deadline=None, max_examples=200)
@given(TABLES)
@example([IdTable("labels", "a", ("P1", "P01")), IdTable("rna", "b", ("p1", "p001"))])
def test_two_rows_of_a_table_are_never_joined(tables):
    found = unify(tables)
    for kind in {t.what for t in tables}:
        before = [i for t in tables if t.what == kind for i in t.ids if i not in found.dropped]
        assert len({found.of(i) for i in before}) == len(set(before))


@settings(deadline=None, max_examples=200)
@given(TABLES, st.randoms())
def test_the_order_does_not_matter(tables, random):
    shuffled = [IdTable(t.what, t.file, tuple(random.sample(t.ids, len(t.ids)))) for t in tables]
    random.shuffle(shuffled)
    a, b = unify(tables), unify(shuffled)
    assert (a.names, a.dropped, a.notes, a.problems) == (b.names, b.dropped, b.notes, b.problems)
    assert list(map(str, a.conflicts)) == list(map(str, b.conflicts))


@settings(deadline=None, max_examples=200)
@given(TABLES)
def test_a_second_time_changes_nothing(tables):
    found = unify(tables)
    again = unify(_applied(tables, found))
    assert not again.names and not again.dropped


@settings(deadline=None, max_examples=200)
@given(TABLES)
def test_joined_ids_are_alike_and_spelled_as_in_a_table(tables):
    found = unify(tables)
    every = {i for t in tables for i in t.ids}
    loosest = list(RULES.values())[-1]
    for old, new in found.names.items():
        assert new in every and loosest(old) == loosest(new)
