"""What nested_cv refuses, with one clear error."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import mmfusion as mf
from mmfusion.errors import DataError, LeakageError
from mmfusion.preprocessing.flat import FlatTransformer
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK

ESTIMATOR = make_pipeline(FlatTransformer(), LogisticRegression(max_iter=500))


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(90, seed=2)


def test_fewer_patients_than_folds(cohort):
    with pytest.raises(DataError, match="fold"):
        mf.nested_cv(ESTIMATOR, cohort.select(patients=list(cohort.X.index[:8])), outer=5, progress=False)


def test_patient_without_any_modality(cohort):
    table = cohort.table.copy()
    patient = cohort.X.index[4]
    table.loc[patient, cohort.modalities] = np.nan
    bare = mf.Cohort("bare", table, cohort.outcomes, cohort.target, units=cohort.units)
    with pytest.raises(DataError, match=rf"patient {patient}.*no modality at all"):
        mf.nested_cv(ESTIMATOR, bare, progress=False)


def test_no_label_in_the_target(cohort):
    unknown = mf.Cohort("unknown", cohort.table, cohort.outcomes.assign(stage=None), cohort.target)
    with pytest.raises(DataError, match=r"no patient has a label of .*with_target"):
        mf.nested_cv(ESTIMATOR, unknown, progress=False)


def test_label_among_the_inputs(cohort):
    table = cohort.table.copy()
    table[("ehr", "note")] = cohort.outcomes["stage"].map({"I": 1.0, "II": 2.0, "III": 3.0})
    leaky = mf.Cohort("leaky", table, cohort.outcomes, cohort.target, units=cohort.units)
    with pytest.raises(LeakageError, match="note"):
        mf.nested_cv(ESTIMATOR, leaky, progress=False)


def test_an_error_in_an_inner_fold_keeps_its_words(cohort):
    with pytest.raises(DataError, match="loss became"):
        mf.nested_cv(
            mf.StageClassifier(**QUICK).set_params(training__schedule="constant"),
            cohort,
            search={"lr": [1e18]},
            n_trials=1,
            outer=2,
            inner=2,
            baselines=False,
            where="serial",
            progress=False,
        )


def test_a_search_over_nothing_known(cohort):
    with pytest.raises(DataError, match="zzz"):
        mf.nested_cv(
            ESTIMATOR, cohort, search={"zzz": [1]}, outer=2, baselines=False, where="serial", progress=False
        )


def test_one_fold_is_no_cross_validation(cohort):
    with pytest.raises(DataError, match="2 or more"):
        mf.nested_cv(ESTIMATOR, cohort, outer=1, baselines=False, progress=False)


def test_two_models_of_one_name(cohort):
    with pytest.raises(DataError, match=r"two models have the same name .*ridge"):
        mf.nested_cv(ESTIMATOR, cohort, name="ridge", progress=False)


def test_a_name_that_a_variant_has(cohort):
    model = mf.StageClassifier(fusion="concat", modalities=("rna", "ehr"), max_epochs=1)
    with pytest.raises(DataError, match=r"two models have the same name \(got gmu\)"):
        mf.nested_cv(model, cohort, name="gmu", fusions=["gmu"], progress=False)


def test_not_a_cohort(cohort):
    with pytest.raises(DataError, match=r"parameter cohort: not a cohort .*got DataFrame"):
        mf.nested_cv(ESTIMATOR, cohort.X, progress=False)
