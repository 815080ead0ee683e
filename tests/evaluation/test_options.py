"""Options that nested cross-validation cannot use are refused before anything is fitted."""

import pytest
from sklearn.dummy import DummyClassifier

import mmfusion as mf
from mmfusion.errors import DataError
from tests.cohorts import tiny_cohort


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"outer": 2.5}, "outer"),
        ({"repeats": 0}, "repeats"),
        ({"inner": 1, "search": {"strategy": ["prior"]}}, "inner"),
        ({"n_trials": 0, "search": {"strategy": ["prior"]}}, "n_trials"),
        ({"random_state": None}, "random_state"),
        ({"random_state": -1}, "random_state"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"n_jobs": -2}, "n_jobs"),
        ({"search": {"strategy": "prior"}}, "search strategy"),
        ({"search": {"strategy": []}}, "search strategy"),
        ({"search": ["strategy"]}, "search"),
        ({"baselines": "ridge"}, "baselines"),
        ({"learning_curve": 0.5}, "learning_curve"),
        ({"learning_curve": [0]}, "learning_curve"),
        ({"learning_curve": [1.5]}, "learning_curve"),
        ({"learning_curve": [50]}, "learning_curve"),
    ],
)
def test_unusable_options(bad, named):
    options = {"outer": 2, "baselines": False, "where": "serial", "progress": False} | bad
    with pytest.raises(DataError, match=f"parameter {named}:"):
        mf.nested_cv(DummyClassifier(), tiny_cohort(30), **options)


def test_a_patient_without_inputs_of_the_target_can_be_left_out():
    cohort = mf.phantom(30, modalities=("rna", "ehr"))[0].with_target("expression")
    with pytest.raises(DataError, match=r"expression may have.*at least one of ehr.*cohort\.select"):
        mf.nested_cv(DummyClassifier(), cohort, outer=2, where="serial", progress=False)
