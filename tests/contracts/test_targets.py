"""What is registered is tested: the contract of every target."""

import pickle

import pandas as pd
import pytest

from mmfusion.data.cohort import Cohort, presence
from mmfusion.data.targets import Target, get_target, list_targets, register_target
from mmfusion.data.targets.base import KINDS, find_target, is_labelled
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.leakage.guards import check_forbidden
from mmfusion.evaluation.leakage.rules import get_rule, rule_for
from mmfusion.modalities import META

NAMES = list(list_targets().index)
IDS = pd.Index([f"p{i}" for i in range(8)], name="patient_id")
AFTER = [
    "Adjuvant Treatment",
    "Recurrence",
    "Survival Status",
    "Date of Death",
    "Chemotherapy",
    "follow_up",
    "os",
]


def everything(target):
    """A cohort that every target can be asked of; the last patient has no outcome and no scan."""
    table = pd.DataFrame(
        {
            ("rna", "EGFR"): [1.0, 2, 3, 4, 5, 6, 7, None],
            ("rna", "OS9"): [1.0, 3, 5, 7, 2, 4, 6, None],
            ("ct", "volume"): [f"{p}.nii" for p in IDS[:-1]] + [None],
            ("ct", "mask"): [f"{p}-mask.nii" for p in IDS[:-1]] + [None],
            ("ehr", "age"): 60.0,
            ("ehr", "egfr"): ["mutant", "wildtype"] * 4,
            ("meta", "site"): "A",
        },
        index=IDS,
    )
    outcomes = pd.DataFrame(
        {
            "signature_hypoxia": [0.1, -0.2, 0.3, 0.0, 0.2, 0.1, -0.1, None],
            "stage": ["IA", "IIA", "IIIA", "IIIB", "IA", "IIA", "IIIB", None],
            "egfr": [*(["mutant", "WT"] * 4)[:-1], None],
            "kras": [*(["WT", "mutant"] * 4)[:-1], None],
        },
        index=IDS,
    )
    provenance = {"ajcc_edition": "7, 8 and 9"}
    return Cohort("all", table, outcomes, target, units={"rna": "log"}, provenance=provenance)


@pytest.mark.parametrize("name", NAMES)
def test_labels(name):
    cohort, target = everything(name), get_target(name)
    assert cohort.target == name and cohort.target_spec == target and name in cohort.targets
    labels = target.labels(cohort)
    assert labels.index.equals(cohort.table.index) and not is_labelled(labels)["p7"]
    y = cohort.y
    assert y.index.equals(cohort.X.index) and len(y) == len(cohort) == 7
    if target.kind == "vector":
        assert isinstance(y, pd.DataFrame) and (y.dtypes == "float64").all()
        return
    assert isinstance(y, pd.Series) and y.name == name
    if target.kind == "mask":
        assert y.map(type).eq(str).all() and target.classes == ()
        return
    assert tuple(y.cat.categories) == target.classes and y.cat.ordered == (target.kind == "ordinal")
    assert target.kind != "binary" or len(target.classes) == 2


@pytest.mark.parametrize("name", NAMES)
def test_what_is_withheld_is_forbidden_and_no_input(name):
    cohort, target = everything(name), get_target(name)
    assert all(target.forbids(*column) for column in cohort.withheld)
    assert cohort.X.columns.tolist() == [c for c in cohort.table.columns if c not in cohort.withheld]
    assert cohort.modalities == [m for m in cohort.X.columns.unique(0) if m != META]
    assert list(presence(cohort.X).columns) == cohort.modalities
    read = [c for c in cohort.X.columns if c[1] not in ("volume", "mask")]
    check_forbidden(read, name)  # nothing that is left is refused


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("column", AFTER)
def test_what_follows_the_diagnosis_is_forbidden(name, column):
    assert get_target(name).forbids("ehr", column)
    with pytest.raises(LeakageError, match="allow_leaky=True") as raised:
        check_forbidden(["age", column], name)
    assert raised.value.column == column
    assert get_target(name).kind == "vector" or not get_target(name).forbids("rna", "OS9")
    assert not get_target(name).forbids("meta", column)


@pytest.mark.parametrize("name", NAMES)
def test_its_own_name_is_forbidden(name):
    assert get_target(name).forbids("ehr", name.upper())


@pytest.mark.parametrize("name", NAMES)
def test_it_names_a_rule(name):
    target = get_target(name)
    assert rule_for(everything(name).y, target) == get_rule(target.probe)
    assert target.probe == {"vector": "correlation", "mask": "none"}.get(target.kind, "lookup")


@pytest.mark.parametrize("name", NAMES)
def test_it_survives_a_process_and_a_change_of_target(name):
    cohort = everything(name)
    again = pickle.loads(pickle.dumps(cohort))
    assert again.y.equals(cohort.y) and again.target_spec == get_target(name)
    assert pickle.loads(pickle.dumps(get_target(name))) == get_target(name)
    back = cohort.with_target("stage2").with_target(name)
    assert back.y.equals(cohort.y) and back.X.equals(cohort.X)
    assert cohort.summary().index.tolist() == cohort.modalities and name in repr(cohort)
    assert "<table" in cohort._repr_html_()


def test_the_table_of_targets():
    table = list_targets()
    assert list(table.columns) == ["kind", "classes", "probe", "description"]
    assert set(table["kind"]) <= set(KINDS) and table["description"].str.len().gt(0).all()
    assert {"stage4_lung1", "stage4_ajcc7", "stage3_ajcc7", "stage2", "late_vs_early"} <= set(table.index)
    assert {f"stage{k}_ajcc{e}" for k in (3, 4) for e in (7, 8, 9)} <= set(table.index)


class Histology(Target):
    """A nominal target of a user's own."""

    def labels(self, cohort):
        dtype = pd.CategoricalDtype(self.classes)
        return cohort.outcomes[self.name].astype(dtype)


def test_a_target_of_ones_own(monkeypatch):
    monkeypatch.setattr("mmfusion.data.targets.base._TARGETS", {})
    target = register_target(
        Histology(name="type", kind="nominal", description="histology", classes=("adeno", "squamous"))
    )
    assert get_target("type") is target and find_target("nothing") is None
    outcomes = pd.DataFrame({"type": ["adeno", None, "squamous"]}, index=IDS[:3])
    cohort = Cohort("own", everything_table(), outcomes, "type")
    assert cohort.y.tolist() == ["adeno", "squamous"] and not cohort.y.cat.ordered
    with pytest.raises(DataError, match="two targets"):
        register_target(Histology(name="type", kind="binary", description="another"))
    with pytest.raises(DataError, match="no such kind"):
        Histology(name="other", kind="ranked", description="")
    with pytest.raises(DataError, match="colon"):
        register_target(Histology(name="a:b", kind="nominal", description=""))
    with pytest.raises(DataError, match="no target called 'stage9'"):
        get_target("stage9")


def everything_table():
    return pd.DataFrame({("ehr", "age"): [60.0, 61, 62]}, index=IDS[:3])
