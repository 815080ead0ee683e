from dataclasses import replace

import pandas as pd

from mmfusion.errors import DataError
from mmfusion.staging import StagePrediction
from mmfusion.staging.report.patients import choose_patients, prediction_table, tally
from tests.cohorts import tiny_cohort


def test_held_out_patients_are_not_learnt_from():
    cohort = tiny_cohort()
    patients, rest = choose_patients(cohort, 6, fitted=False, seed=3)
    assert len(patients) == 6 and not patients.index.isin(rest.table.index).any()
    assert len(rest.table) + 6 == len(cohort.table)
    again, _ = choose_patients(cohort, 6, fitted=False, seed=3)
    assert again.index.equals(patients.index)
    first, _ = choose_patients(cohort, 4, fitted=True)
    assert list(first.index) == list(cohort.table.index[:4])


def test_nor_is_another_row_of_theirs():
    cohort = tiny_cohort()
    people = pd.Series([f"person {i // 2}" for i in range(len(cohort.table))], cohort.table.index)
    cohort = replace(cohort, groups=cohort.groups.assign(patient=people))
    patients, rest = choose_patients(cohort, 6, fitted=False, seed=3)
    assert set(people[patients.index]).isdisjoint(people[rest.table.index])


def test_a_failure_is_a_row():
    cohort = tiny_cohort()
    good = StagePrediction(
        "P000", "II", {"I": 0.25, "II": 0.75}, used=("rna",), missing=("ct",), warnings=("odd",)
    )
    table = prediction_table({"P000": good, "P001": DataError("no such scan", patient="P001")}, cohort)
    assert list(table.columns[-2:]) == ["warnings", "error"]
    assert table.loc[0, "p_II"] == 0.75 and table.loc[0, "recorded"] == str(cohort.y["P000"])
    assert "no such scan" in table.loc[1, "error"] and pd.isna(table.loc[1, "stage"])


def test_a_prediction_is_a_row():
    made = StagePrediction(
        "P0", "II", {"I": 1 / 3, "II": 2 / 3}, used=("rna", "ehr"), missing=("ct",), warnings=("a", "b")
    )
    assert made.to_row() == {
        "patient_id": "P0", "stage": "II", "most_probable": "II", "stage_set": "",
        "p_I": 1 / 3, "p_II": 2 / 3,
        "used": "rna ehr", "missing": "ct", "warnings": "a; b", "error": "",
    }  # fmt: skip
    assert prediction_table({"P000": made}, tiny_cohort()).loc[0, "p_I"] == 1 / 3


def test_patients_of_the_training_count_for_nothing():
    cohort = tiny_cohort()
    ids = [str(p) for p in cohort.y.index[:4]]
    right = {p: StagePrediction(p, str(cohort.y[p]), {"I": 1.0}, used=("ehr",)) for p in ids[:3]}
    results = right | {ids[3]: DataError("no such scan")}
    assert tally(results, cohort, []) == "3 of 4 staged; 3 of 3 with a label correct"
    assert tally(results, cohort, ids[:1]).endswith(
        "2 of 2 with a label correct; 1 not counted: the model was fitted on them"
    )
    assert tally(results, cohort, ids[:3]) == "3 of 4 staged; 3 not counted: the model was fitted on them"
