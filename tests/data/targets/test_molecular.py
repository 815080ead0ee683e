"""Mutation status: the labels, and the columns that reveal them."""

import pandas as pd
import pytest

from mmfusion.data.cohort import Cohort
from mmfusion.data.targets import get_target
from mmfusion.data.targets.molecular import tells_molecular_status
from mmfusion.errors import DataError

TOLD = [
    ("ehr", "egfr"), ("ehr", "kras"), ("ehr", "alk"), ("ehr", "EGFR mutation status"),
    ("ehr", "KRAS status"),
    ("ehr", "ALK translocation status"), ("ehr", "ROS1 rearrangement"), ("ehr", "MET exon 14"),
    ("ehr", "BRAF V600 mutation"),
    ("ehr", "status of KRAS"), ("ehr", "TP53 mutation"), ("ehr", "L858R"), ("ehr", "Erlotinib"),
    ("ehr", "TKI"), ("ehr", "wild_type"), ("ct", "egfr"),
    ("rna", "EGFR mutation status"), ("ehr", "HER2 amplification"),
]  # fmt: skip
NOT_TOLD = [
    ("ehr", "age"), ("ehr", "smoking_status"), ("ehr", "histology"), ("ct", "sphericity"), ("rna", "EGFR"),
    ("rna", "KRAS"),
    ("rna", "MET"), ("meta", "egfr"), ("ehr", "retired"), ("ehr", "metabolic rate"), ("ct", "pred_1"),
    ("ehr", "grade"), ("ehr", "metformin"),
]  # fmt: skip


@pytest.mark.parametrize(("modality", "feature"), TOLD)
def test_headers_that_reveal_the_status(modality, feature):
    for name in ("egfr", "kras"):
        assert tells_molecular_status(modality, feature) and get_target(name).forbids(modality, feature)
        assert get_target(name).withholds(modality, feature)


@pytest.mark.parametrize(("modality", "feature"), NOT_TOLD)
def test_headers_that_do_not_reveal_the_status(modality, feature):
    assert not get_target("egfr").forbids(modality, feature)
    assert not get_target("egfr").withholds(modality, feature)


def cohort(status, target="egfr", **table):
    index = pd.Index(list("abcdefg")[: len(status)], name="patient_id")
    columns = {("ehr", "age"): 60.0, ("rna", "EGFR"): 1.0, **{("ehr", k): v for k, v in table.items()}}
    frame = pd.DataFrame(columns, index=index)
    return Cohort("t", frame, pd.DataFrame({"egfr": status}, index=index), target, units={"rna": "log"})


def test_spellings_and_unknown_status():
    got = cohort(["Wildtype", "WT", "Mutant", "exon 19 deletion", "L858R", "Unknown", "Not collected"])
    assert got.y.astype(str).to_dict() == {
        "a": "wildtype", "b": "wildtype", "c": "mutant", "d": "mutant", "e": "mutant",
    }  # fmt: skip
    assert got.y.name == "egfr" and list(got.y.cat.categories) == ["wildtype", "mutant"]
    assert cohort([0, 1, None]).y.tolist() == ["wildtype", "mutant"]


def test_an_unreadable_status_names_the_patient():
    with pytest.raises(DataError, match="not a mutation status") as raised:
        len(cohort(["WT", "perhaps"]))
    assert raised.value.patient == "b" and raised.value.column == "egfr"


def test_other_results_of_the_test_are_no_inputs():
    got = cohort(["WT", "Mutant"], kras=["mutant", "wildtype"], egfr=["wildtype", "mutant"])
    assert got.X.columns.tolist() == [("ehr", "age"), ("rna", "EGFR")]
    assert got.withheld == [("ehr", "kras"), ("ehr", "egfr")]
    assert "not among the inputs of egfr: 2 columns (ehr kras, ehr egfr)" in repr(got)
    assert got.table.shape[1] == 4  # they stay in the table
    assert got.X.attrs == {"units": {"rna": "log"}}


def test_read_from_the_records_where_the_outcomes_have_none():
    full = cohort(["WT", "Mutant"])
    bare = Cohort("t", full.table, pd.DataFrame({"stage": ["IA", "IB"]}, index=full.table.index), "stage2")
    with pytest.raises(DataError, match="no column egfr"):
        bare.with_target("egfr")
    records = Cohort("t", cohort(["WT", "WT"], egfr=["mutant", None]).table, bare.outcomes, "stage2")
    got = records.with_target("egfr")
    assert got.y.astype(str).to_dict() == {"a": "mutant"}
    assert got.select(modalities=["rna"]).y.astype(str).to_dict() == {"a": "mutant"}
