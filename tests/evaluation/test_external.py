"""A saved model meets another cohort once, and no patient on whom it was fitted."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.external import FewPatientsWarning, SecondLookWarning
from mmfusion.preprocessing.genes import OutOfRangeWarning
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(90, seed=2)


def test_external_data_are_touched_once(cohort, tmp_path):
    mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y).save(tmp_path / "model")
    other = tiny_cohort(40, seed=11)
    predictions, scores = mf.external_validation(tmp_path / "model", other)
    assert len(predictions) == len(other) and 0 <= scores.loc["external", ("macro_auc", "mean")] <= 1
    with pytest.raises(LeakageError, match="already judged"):
        mf.external_validation(tmp_path / "model", other)
    with pytest.warns(SecondLookWarning, match=r"look 2 of this model at tiny; all looks are in tiny.json"):
        mf.external_validation(tmp_path / "model", other, again=True)
    looks = json.loads((tmp_path / "model.external" / "tiny.json").read_text())
    assert len(looks) == 2


def test_another_name_does_not_hide_a_second_look(cohort, tmp_path):
    mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y).save(tmp_path / "model")
    other = tiny_cohort(40, seed=11)
    mf.external_validation(tmp_path / "model", other)
    some = replace(other.select(patients=list(other.X.index[:30])), name="ext2")
    with pytest.raises(LeakageError, match=r"tiny.json: .*judged on this cohort, or on some of its patients"):
        mf.external_validation(tmp_path / "model", some)
    with pytest.warns(SecondLookWarning, match="look 2 of this model at ext2"):
        mf.external_validation(tmp_path / "model", some, again=True)
    assert len(json.loads((tmp_path / "model.external" / "ext2.json").read_text())) == 1
    new = replace(other, table=other.table.rename(index="N-{}".format), name="ext3")
    new = replace(new, outcomes=other.outcomes.rename(index="N-{}".format), groups=None)
    mf.external_validation(tmp_path / "model", new)  # other patients


def test_one_person_under_two_ids_in_the_external_cohort(cohort, tmp_path):
    mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y).save(tmp_path / "model")
    other = tiny_cohort(40, seed=11, missing=0.0, genes=60)
    again = other.table.rename(index="N-{}".format)
    twice = replace(
        other,
        table=pd.concat([other.table, again]),
        outcomes=pd.concat([other.outcomes, other.outcomes.set_axis(again.index)]),
        groups=None,
    )
    with pytest.raises(LeakageError, match="the same expression profile under two patient ids"):
        mf.external_validation(tmp_path / "model", twice)


def test_few_patients_and_another_unit_are_said(cohort, tmp_path):
    mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y).save(tmp_path / "model")
    other = tiny_cohort(60, seed=11)
    few = other.select(patients=list(other.y.index[:8]))
    with pytest.warns(FewPatientsWarning, match="tiny: fewer than 5 patients in a class"):
        mf.external_validation(tmp_path / "model", few)
    months = other.table.copy()
    months["ehr", "age"] *= 12
    changed = replace(other, table=months, name="months")
    with pytest.warns(OutOfRangeWarning, match=r"months, age: .*another unit"):
        mf.external_validation(tmp_path / "model", changed, again=True, record=tmp_path / "record.json")


def test_a_training_patient_is_no_external_one(cohort, tmp_path):
    half = cohort.X.index[::2]
    mf.StageClassifier(**QUICK).fit(cohort.X.loc[half], cohort.y.loc[half]).save(tmp_path / "model")
    with pytest.raises(
        LeakageError, match=f"patient {half[0]}.*fitted on {len(half)} of {len(cohort)} patients"
    ):
        mf.external_validation(tmp_path / "model", cohort)
    other = tiny_cohort(40, seed=11)
    people = other.groups.assign(patient=np.where(np.arange(40) == 3, half[1], other.table.index))
    with pytest.raises(LeakageError, match=f"patient {other.table.index[3]}.*fitted on 1 of 40 patients"):
        mf.external_validation(tmp_path / "model", replace(other, groups=people))
    assert not (tmp_path / "model.external").exists()  # nothing was seen


def test_classes_that_the_model_does_not_know(cohort, tmp_path):
    known = cohort.y[cohort.y != "III"].index
    mf.StageClassifier(**QUICK).fit(cohort.X.loc[known], cohort.y.loc[known]).save(tmp_path / "model")
    cohort = tiny_cohort(40, seed=11)
    with pytest.raises(DataError, match=r"classes that the model does not know.*III"):
        mf.external_validation(tmp_path / "model", cohort)
    assert not (tmp_path / "model.external").exists()  # nothing was seen
