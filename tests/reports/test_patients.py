from dataclasses import replace

import pandas as pd

from mmfusion.errors import DataError
from mmfusion.reports.patients import choose_patients, prediction_table
from mmfusion.staging import StagePrediction
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
    good = StagePrediction("P000", "II", {"I": 0.25, "II": 0.75}, used=("rna",), missing=("ct",), warnings=("odd",))
    table = prediction_table({"P000": good, "P001": DataError("no such scan", patient="P001")}, cohort)
    assert list(table.columns[-2:]) == ["warnings", "error"]
    assert table.loc[0, "p_II"] == 0.75 and table.loc[0, "recorded"] == str(cohort.y["P000"])
    assert "no such scan" in table.loc[1, "error"] and pd.isna(table.loc[1, "stage"])
