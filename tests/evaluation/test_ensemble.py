"""The models of the folds as one predictor for new patients."""

from dataclasses import replace

import numpy as np
import pytest

from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation import fold_ensemble, nested_cv
from mmfusion.evaluation.ensemble import vote
from mmfusion.evaluation.leakage import probed
from mmfusion.staging import StageClassifier
from tests.cohorts import tiny_cohort


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    model = StageClassifier("concat", n_genes=15, max_epochs=1, n_members=1)
    model.set_params(network__d=8, network__hidden=8)
    options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    with probed():
        return nested_cv(model, tiny_cohort(), out=tmp_path_factory.mktemp("work"), **options)


def test_new_patients_get_the_mean_of_the_folds(result):
    ensemble, X = fold_ensemble(result), tiny_cohort(seed=3).X
    proba = ensemble.predict_proba(X)
    np.testing.assert_allclose(proba, np.mean([m.predict_proba(X) for m in ensemble.models], axis=0))
    assert len(ensemble.models) == 2 and list(ensemble.classes_) == list(result.classes)
    assert set(ensemble.predict(X)) <= set(result.classes)


def test_patients_of_the_folds_are_refused(result):
    X = tiny_cohort().X
    with pytest.raises(LeakageError, match="models of the folds were fitted on 3 of these 3 patients"):
        fold_ensemble(result).predict_proba(X[:3])
    with pytest.raises(LeakageError, match="out-of-fold predictions"):
        fold_ensemble(result).predict(X[:3])


def test_no_saved_models(result):
    unsaved = replace(result, folds=[replace(f, bundle=None) for f in result.folds])
    with pytest.raises(DataError, match="no saved models of 'concat'"):
        fold_ensemble(unsaved)
    with pytest.raises(DataError, match="no saved models of 'ridge'"):
        fold_ensemble(result, "ridge")


def test_the_folds_models_vote_and_ties_go_to_the_more_probable_class():
    decided = np.array([["II", "II"], ["II", "I"]])
    assert vote(decided, np.array([[0.85, 0.15], [0.85, 0.15]]), ["I", "II"]).tolist() == [1, 0]
