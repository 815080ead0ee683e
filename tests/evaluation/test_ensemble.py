"""The models of the folds as one predictor for new patients."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation import FoldEnsemble, fold_ensemble, nested_cv
from mmfusion.evaluation.ensemble import vote
from mmfusion.evaluation.leakage import probed
from mmfusion.staging import StageClassifier
from mmfusion.staging.prediction import StagePrediction
from mmfusion.storage.hashing import hash_each_id
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


def prediction(stage, p, stage_set, genes=(), warnings=()):
    shares = {"I": 0.5, "II": 0.25, "III": 0.25}
    probabilities = dict(zip(("I", "II", "III"), p, strict=True))
    return StagePrediction(
        "p9", stage, probabilities, ("rna",), ("ct",), genes, warnings, shares=shares, stage_set=stage_set,
        coverage=0.95,
    )  # fmt: skip


def ensemble_of(*predictions, patients=()):
    models = [SimpleNamespace(predict_patient=lambda one=one: one, patients_=patients) for one in predictions]
    return FoldEnsemble(models, np.array(["I", "II", "III"]))


def test_one_patient_gets_means_votes_and_the_sets_of_the_majority():
    found = ensemble_of(
        prediction("I", (0.5, 0.25, 0.25), ("I", "II"), (("A", 0.4), ("B", -0.1)), ("no seed",)),
        prediction("I", (0.5, 0.5, 0.0), ("I", "III"), (("A", 0.2), ("C", -0.5)), ("no seed", "age 140")),
        prediction("III", (0.2, 0.0, 0.8), ("III",), (("D", 0.9),)),
    ).predict_patient()
    assert found.stage == "I" and found.stage_set == ("I", "III")
    assert list(found.probabilities.values()) == pytest.approx([0.4, 0.25, 0.35])
    assert found.top_genes == (("A", pytest.approx(0.3)), ("C", -0.25))  # D is not a gene for stage I
    assert found.warnings == ("no seed", "age 140")
    assert found.decision == "The stage that most of the 3 models name."


def test_one_patient_of_the_folds_is_refused():
    one = prediction("I", (0.5, 0.25, 0.25), ())
    with pytest.raises(LeakageError, match="1 of these 1 patients"):
        ensemble_of(one, patients=hash_each_id(["p9"])).predict_patient()


def test_one_patient_from_tables(result):
    X = tiny_cohort(seed=3).X
    new = X["rna"].dropna().iloc[[0]].set_axis(["new"])
    ensemble = fold_ensemble(result)
    found = ensemble.predict_patient(rna=new)
    each = [m.predict_patient(rna=new).probabilities for m in ensemble.models]
    assert found.patient == "new" and found.used == ("rna",)
    assert found.probabilities == pytest.approx(pd.DataFrame(each).mean().to_dict())


def test_a_model_without_a_set_leaves_no_set():
    one = prediction("I", (0.5, 0.25, 0.25), ("I", "II"))
    with_set = [replace(one, coverage=0.9)] * 3
    found = ensemble_of(*with_set).predict_patient()
    assert found.stage_set == ("I", "II") and found.coverage == 0.8  # 1 - 2 x 0.1
    found = ensemble_of(*with_set, replace(one, stage_set=(), coverage=None)).predict_patient()
    assert found.stage_set == () and found.coverage is None


def test_models_that_are_no_ensemble_are_refused(result):
    with pytest.raises(DataError, match="parameter models: no models"):
        FoldEnsemble([], np.array(["I", "II"]))
    models = fold_ensemble(result).models
    with pytest.raises(DataError, match=r"a model with other classes \(expected I, II; got I, II, III"):
        FoldEnsemble(models, np.array(["I", "II"]))
    with pytest.raises(DataError, match="X is not a cohort's frame"):
        fold_ensemble(result).predict_proba(None)
