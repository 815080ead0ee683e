"""StageClassifier keeps the protocol of scikit-learn, learns, and refuses what it cannot use."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import mmfusion as mf
from mmfusion.errors import DataError, LeakageError, TableWarning
from mmfusion.staging.presets import PRESETS
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK


@pytest.mark.parametrize("modalities", [None, ["rna", "ehr"]])
def test_a_modality_that_is_missing_for_everybody_is_said(cohort, modalities):
    X = cohort.X.copy()
    X.loc[:, X.columns.get_level_values(0) == "rna"] = np.nan
    with pytest.warns(TableWarning, match="none of the 60 patients has rna: nothing is learned from it"):
        model = mf.StageClassifier(**QUICK | {"max_epochs": 1}, modalities=modalities).fit(X, cohort.y)
    assert "rna" not in [spec.name for spec in model.transformer_.specs_]


def test_probabilities_in_the_order_of_severity(cohort, fitted):
    proba = fitted.predict_proba(cohort.X)
    assert list(fitted.classes_) == ["I", "II", "III"]
    assert proba.shape == (len(cohort.X), 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert set(fitted.predict(cohort.X)) <= set(fitted.classes_)


def test_scikit_learn_protocol(cohort):
    model = mf.StageClassifier(**QUICK, random_state=3)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.predict(cohort.X)
    scores = cross_val_score(model, cohort.X, cohort.y, cv=2, error_score="raise")
    assert scores.shape == (2,)


def test_learns_what_is_there():
    cohort = tiny_cohort(240, seed=1, signal=3.0, missing=0.1)
    train, test = cohort.X.index[:180], cohort.X.index[180:]
    model = mf.StageClassifier(n_genes=24, max_epochs=25, random_state=1).set_params(
        preprocessing__graph_k=4, network__d=16, network__hidden=32
    )
    model.fit(cohort.X.loc[train], cohort.y.loc[train])
    assert model.score(cohort.X.loc[test], cohort.y.loc[test].astype(str)) > 0.55  # majority is about .4


def test_same_seed_same_numbers_and_random_state_untouched(cohort):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one = mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y).predict_proba(cohort.X)
    two = mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y).predict_proba(cohort.X)
    other = mf.StageClassifier(**QUICK, random_state=1).fit(cohort.X, cohort.y).predict_proba(cohort.X)
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-4
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_inputs_are_not_changed(cohort):
    X, y = cohort.X.copy(deep=True), cohort.y.copy(deep=True)
    mf.StageClassifier(**QUICK).fit(X, y).predict_proba(X)
    pd.testing.assert_frame_equal(X, cohort.X)
    pd.testing.assert_series_equal(y, cohort.y)


def test_prediction_does_not_depend_on_company(cohort, fitted):
    together = fitted.predict_proba(cohort.X)
    alone = np.vstack([fitted.predict_proba(cohort.X.iloc[[i]]) for i in range(8)])
    np.testing.assert_allclose(alone, together[:8], atol=1e-6)
    shuffled = cohort.X.iloc[::-1]
    np.testing.assert_allclose(fitted.predict_proba(shuffled)[::-1], together, atol=1e-6)


def test_any_subset_of_modalities(cohort, fitted):
    X = cohort.complete().X.iloc[:4].copy()
    for hidden in (["rna"], ["ct"], ["rna", "ct"], ["ehr", "ct"]):
        some = X.copy()
        some.loc[:, hidden] = np.nan
        dropped = X.drop(columns=hidden, level=0)
        dropped.attrs = dict(X.attrs)
        np.testing.assert_allclose(fitted.predict_proba(some), fitted.predict_proba(dropped), atol=1e-6)


def test_held_out_rows_cannot_change_what_is_fitted(cohort):
    train = cohort.X.index[:40]
    poisoned = cohort.table.copy()
    numeric = poisoned.select_dtypes("number").columns
    poisoned.loc[~poisoned.index.isin(train), numeric] = 1e6
    a = mf.StageClassifier(**QUICK).fit(cohort.X.loc[train], cohort.y.loc[train])
    X = poisoned.loc[train]
    X.attrs = dict(cohort.X.attrs)
    b = mf.StageClassifier(**QUICK).fit(X, cohort.y.loc[train])
    for key, value in a.module_.state_dict().items():
        assert torch.equal(value, b.module_.state_dict()[key]), key


def test_all_modalities_missing_names_the_patient(cohort, fitted):
    X = cohort.X.iloc[:2].copy()
    X.iloc[1] = np.nan
    with pytest.raises(DataError, match=str(X.index[1])):
        fitted.predict_proba(X)


def test_one_class_only(cohort):
    first = cohort.y == "I"
    with pytest.raises(DataError, match="only one class"):
        mf.StageClassifier(**QUICK).fit(cohort.X[first], cohort.y[first])


def test_one_patient_in_a_class(cohort):
    keep = cohort.X.index[cohort.y == "I"].append(cohort.X.index[cohort.y == "II"][:1])
    with pytest.raises(DataError, match="one patient"):
        mf.StageClassifier(**QUICK).fit(cohort.X.loc[keep], cohort.y.loc[keep])


def test_labels_of_other_patients(cohort):
    with pytest.raises(DataError, match="not about the same patients"):
        mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y.iloc[::-1])


def test_a_vector_is_no_class(cohort):
    vector = pd.DataFrame({"EGFR": 1.0, "MET": 2.0}, index=cohort.X.index)
    for y in (vector, vector.to_numpy()):
        with pytest.raises(DataError, match=r"not one class per patient.*list_targets"):
            mf.StageClassifier().fit(cohort.X, y)


def test_no_patients_have_no_probabilities(cohort, fitted):
    with pytest.raises(DataError, match="at least one row"):
        fitted.predict_proba(cohort.X.iloc[:0])


def test_a_patient_without_a_label(cohort):
    y = cohort.y.copy()
    y.iloc[3] = None
    with pytest.raises(DataError, match=f"patient {y.index[3]}: a patient has no label"):
        mf.StageClassifier(**QUICK).fit(cohort.X, y)


def test_loss_that_is_not_finite(cohort):
    with pytest.raises(DataError, match="loss became"), np.errstate(all="ignore"):
        mf.StageClassifier(**QUICK, random_state=0).set_params(
            lr=1e18, training__schedule="constant", max_epochs=20
        ).fit(cohort.X, cohort.y)


def test_stage_among_the_inputs_is_refused(cohort):
    X = cohort.X.copy()
    X[("ehr", "n_stage")] = 1.0
    with pytest.raises(LeakageError, match="n_stage"):
        mf.StageClassifier(**QUICK).fit(X, cohort.y)
    X = cohort.X.copy()
    X[("ehr", "comment")] = cohort.y.astype(str)
    with pytest.raises(LeakageError, match="comment"):
        mf.StageClassifier(**QUICK).fit(X, cohort.y)
    stamped = mf.StageClassifier(**QUICK, allow_leaky=True).fit(X, cohort.y)
    assert any("LEAKY" in w for w in stamped.predict_row(X.iloc[[0]]).warnings)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_parameters_of_the_estimator(name):
    model = mf.StageClassifier.from_preset(name, random_state=7)
    assert model.random_state == 7 and set(PRESETS[name]) <= set(model.get_params())


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("head", ["mixed", "softmax", "ordinal"])
def test_heads_and_losses(cohort, head, loss):
    model = (
        mf.StageClassifier(**QUICK, n_members=2)
        .set_params(network__head=head, training__loss=loss)
        .fit(cohort.X, cohort.y)
    )
    np.testing.assert_allclose(model.predict_proba(cohort.X).sum(axis=1), 1, atol=1e-6)
    assert len(model.history_) == 2


def test_copying_a_fitted_model(cohort, fitted):
    np.testing.assert_array_equal(
        copy.deepcopy(fitted).predict_proba(cohort.X), fitted.predict_proba(cohort.X)
    )


def test_fit_warns_of_nothing(cohort):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y).predict_proba(cohort.X)
