"""The named stage targets, and the AJCC edition that a cohort's stage is of."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.data.cohort import Cohort
from mmfusion.data.targets.base import get_target, registered_targets
from mmfusion.data.targets.stage import STAGE_GROUPS, StageTarget, normalise_stage, target_labels
from mmfusion.errors import DataError


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
        ("stage4_ajcc8", ["I", "I", "II", "III", "III", "III", "IV", None, "III", None]),
        ("stage3_ajcc9", ["I", "I", "II", "III", "III", "III", None, None, "III", None]),
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


def test_an_unreadable_stage_names_the_patient():
    with pytest.raises(DataError) as raised:
        target_labels(pd.Series(["I", "grade 2"], index=["a", "b"]), "stage2")
    assert raised.value.patient == "b"
    assert "grade 2" in raised.value.got


def test_unknown_target():
    with pytest.raises(DataError, match="no stage target"):
        target_labels(pd.Series(["I"]), "stage9")


IDS = pd.Index(["a", "b", "c", "d"], name="patient_id")


def cohort(target, edition=None, **outcomes):
    table = pd.DataFrame({("ehr", "age"): [60.0, 61, 62, 63]}, index=IDS)
    provenance = {} if edition is None else {"ajcc_edition": edition}
    return Cohort("t", table, pd.DataFrame(outcomes, index=IDS), target, provenance=provenance)


TNM = {"t": ["T2a", "T2a", "T2b", None], "n": ["N0", "N1", "N2", "N0"], "m": ["M0", "M0", "M0", "M0"]}


def test_a_stage_of_the_targets_edition_is_taken_as_it_is():
    stage = ["IB", "IIB", "IIIB", None]
    got = cohort("stage3_ajcc8", 8, stage=stage)
    assert got.y.tolist() == ["I", "II", "III"] and got.notes == ()
    assert got.y.name == "stage3_ajcc8"
    assert cohort("stage3_ajcc9", "7, 8 and 9", stage=stage).y.tolist() == ["I", "II", "III"]


def test_a_stage_of_another_edition_is_derived_from_t_n_m():
    """Between 3 and 5 cm with N0, stage I or II in the 8th edition: no label, but a note."""
    got = cohort("stage3_ajcc8", 7, stage=["IB", "IIA", "IIIA", None], **TNM)
    assert got.y.astype(str).to_dict() == {"b": "II", "c": "III"}
    [note] = got.notes
    assert "AJCC 8 is derived from T, N and M of AJCC 7" in note
    assert "1 of 3 patients" in note and note.endswith("have no label: a")
    assert got.with_target("stage3_ajcc7").y.astype(str).to_dict() == {"a": "I", "b": "II", "c": "III"}
    assert got.with_target("stage3_ajcc7").notes == ()


@pytest.mark.parametrize(
    ("edition", "target"), [(8, "stage3_ajcc7"), (7, "stage3_ajcc9"), (None, "stage3_ajcc8")]
)
def test_a_stage_of_another_edition_without_t_n_m(edition, target):
    with pytest.raises(DataError, match=f"cannot have the target '{target}'") as raised:
        cohort(target, edition, stage=["IB", "IIB", "IIIB", None])
    assert "no T, N and M" in raised.value.got and "stage2" in raised.value.expected
    assert raised.value.hint


def test_t_n_m_of_an_unknown_edition():
    with pytest.raises(DataError, match="AJCC edition of its T, N and M is not stated"):
        cohort("stage3_ajcc8", stage=["IB", "IIA", "IIIA", None], **TNM)


def test_an_unreadable_category_names_the_patient():
    bad = cohort(
        "stage3_ajcc7", 7, stage=["IB", "IIA", "IIIA", None], **{**TNM, "t": ["T2a", "T9", "T2b", None]}
    )
    assert "stage3_ajcc8" not in bad.targets and "stage3_ajcc7" in bad.targets
    with pytest.raises(DataError, match="not a T category") as raised:
        len(bad.with_target("stage3_ajcc8"))
    assert raised.value.patient == "b"
