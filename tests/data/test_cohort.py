import numpy as np
import pandas as pd
import pytest

from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.errors import DataError
from tests.cohorts import tiny_cohort

IDS = pd.Index(["a", "b", "c", "d"], name="patient_id")


def table():
    return pd.DataFrame(
        {
            ("rna", "TP53"): [1.0, np.nan, 3, 4],
            ("rna", "EGFR"): [np.nan, np.nan, 3, 4],
            ("ct", "volume"): ["a.nii", None, None, None],
            ("ct", "seed_x"): [1.0, 2, np.nan, np.nan],
            ("ehr", "sex"): ["male", "female", None, "male"],
            ("meta", "site"): ["x", "x", "y", None],
        },
        index=IDS,
    )


def cohort(**changes):
    outcomes = pd.DataFrame({"stage": ["IA", "IIB", None, "IV"]}, index=IDS)
    return Cohort(
        **{
            "name": "t",
            "table": table(),
            "outcomes": outcomes,
            "target": "stage3_ajcc7",
            "units": {"rna": "tpm"},
            **changes,
        }
    )


def test_labelled_patients_only():
    got = cohort()
    assert list(got.X.index) == list(got.y.index) == ["a", "b"]
    assert len(got) == 2
    assert list(got.with_target("stage4_ajcc7").X.index) == ["a", "b", "d"]
    assert got.target == "stage3_ajcc7"


def test_missing_is_a_block_of_missing_values():
    has = presence(cohort().table)
    assert has.to_dict("list") == {
        "ct": [True, False, False, False],  # a seed alone is no scan
        "ehr": [True, True, False, True],
        "rna": [True, False, True, True],
    }
    assert list(cohort().with_target("stage4_ajcc7").complete(["rna", "ehr"]).X.index) == ["a", "d"]


def test_units_travel_with_the_table():
    got = cohort()
    assert got.X.attrs == {"units": {"rna": "tpm"}}
    assert got.select(modalities=["ehr"]).X.attrs == {"units": {}}


def test_select():
    got = cohort().select(["b"], ["rna"])
    assert got.table.columns.unique(0).tolist() == ["meta", "rna"]
    assert list(got.outcomes.index) == list(got.groups.index) == ["b"]
    with pytest.raises(DataError, match="unknown patient"):
        cohort().select(["z"])
    with pytest.raises(DataError, match="unknown modality"):
        cohort().select(modalities=["pet"])


def test_each_row_is_a_person_of_its_own_by_default():
    assert cohort().groups["patient"].tolist() == list("abcd")
    groups = pd.DataFrame({"patient": ["a", "a", "c", "d"]}, index=IDS)
    assert cohort(groups=groups).groups["patient"].tolist() == list("aacd")


def test_reserved_columns_are_no_features():
    assert feature_names(table()["ct"], "ct") == []
    assert feature_names(table()["rna"], "rna") == ["TP53", "EGFR"]


def test_repr_and_summary():
    text = repr(cohort())
    assert "4 patients, 2 with a label (stage3_ajcc7: I 1, II 1, III 0)" in text
    assert "rna [tpm]: 2 features, 1 patients (50%), 50.0% of their cells missing" in text
    assert "ct: 0 features, 1 scans" in text
    assert "<table" in cohort()._repr_html_()


def test_inputs_stay_as_they_are():
    given = table()
    before = given.copy()
    cohort(table=given)
    pd.testing.assert_frame_equal(given, before)
    assert given.attrs == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "stage9"}, "no target"),
        ({"target": "egfr"}, "cannot have the target 'egfr'"),
        ({"outcomes": pd.Series(["IA"] * 4, index=IDS)}, "not a table"),
        ({"outcomes": pd.DataFrame([["IA"] * 2] * 4, index=IDS, columns=["stage"] * 2)}, "not a table"),
        ({"units": {"rna": "rpkm"}}, "unknown unit"),
        ({"table": table()["rna"]}, "two levels"),
        ({"table": table().set_axis(["a", "a", "c", "d"])}, "duplicate patient"),
        ({"table": table().set_axis(["a", None, "c", "d"])}, "no patient id"),
        ({"table": table().set_axis(["a", " ", "c", "d"])}, "no patient id"),
        ({"table": pd.concat([table(), table()[["rna"]]], axis=1)}, "duplicate column"),
    ],
)
def test_bad_tables(change, message):
    with pytest.raises(DataError, match=message):
        cohort(**change)


def test_features_join_a_block():
    cohort = tiny_cohort(10)
    deep = pd.DataFrame({"pred_0": [1.0, 2.0, 3.0]}, index=["P001", "P005", "stranger"])
    joined = cohort.with_features("ct", deep)
    assert list(joined.table["ct"].columns) == [*cohort.table["ct"].columns, "pred_0"]
    assert joined.table["ct", "pred_0"].dropna().to_dict() == {"P001": 1.0, "P005": 2.0}
    assert joined.units == cohort.units
    assert ("ct", "pred_0") not in cohort.table
    alone = cohort.with_features("ct", deep, only=True)
    assert list(alone.table["ct"].columns) == ["pred_0"]
    assert list(alone.table["rna"].columns) == list(cohort.table["rna"].columns)
    assert list(cohort.with_features("pet", deep).modalities) == ["ct", "ehr", "pet", "rna"]


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        (pd.DataFrame({"pred_0": [1.0]}, index=["stranger"]), "none of these patients"),
        (pd.DataFrame({"pred_0": [1.0, 2.0]}, index=["P001", "P001"]), "duplicate patient id"),
        (pd.DataFrame({"sphericity": [1.0]}, index=["P001"]), "duplicate column"),
    ],
)
def test_features_that_do_not_fit(features, problem):
    with pytest.raises(DataError, match=problem):
        tiny_cohort(10).with_features("ct", features)
