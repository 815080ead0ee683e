"""The genotype from features: every step is fitted inside the fold, and bad input gets one error."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score, roc_auc_score

import mmfusion as mf
from mmfusion.errors import DataError, LeakageError
from mmfusion.radiogenomics import GenotypeClassifier
from mmfusion.radiogenomics.extraction import extractor_of, fit_extractor
from mmfusion.radiogenomics.steps import CLASSIFIERS, REDUCERS
from mmfusion.radiogenomics.threshold import best_threshold
from mmfusion.synthetic import radiomics_phantom
from tests.radiogenomics.fakes import LOG, OfPersons, Recorder

COHORT = radiomics_phantom(60, 3, mutants=0.3, n_features=120)
X, Y = COHORT.X, COHORT.y
QUICK = {"inner": 3, "preset": "demo"}
SINGULAR = {"qda": {"solver": ["svd"], "shrinkage": [None]}}


@pytest.fixture(autouse=True)
def empty_log():
    LOG.clear()


def with_masks(X):
    masks = pd.DataFrame({("ct", "mask"): [f"{p}.nii.gz" for p in X.index]}, index=X.index)
    return pd.concat([X, masks], axis=1)


@pytest.mark.parametrize("reducer", REDUCERS)
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_combination(reducer, classifier):
    """Also with more features than patients, where the covariance of a class is singular."""
    model = GenotypeClassifier(reducer, classifier, **QUICK)
    with pytest.raises(NotFittedError):
        model.predict(X)
    params = model.get_params()
    assert model.fit(X, Y) is model and model.get_params() == params
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-12)
    assert list(model.classes_) == ["wildtype", "mutant"] and set(model.predict(X)) <= {"wildtype", "mutant"}
    np.testing.assert_array_equal(model.predict(X) == "mutant", proba[:, 1] >= model.threshold_)
    assert model.short_name == f"{reducer} + {classifier}" and model.search_["score"].notna().all()
    alone = np.vstack([model.predict_proba(X.iloc[[k]]) for k in (0, 7)])
    np.testing.assert_allclose(alone, proba[[0, 7]], rtol=1e-9)
    assert model.predict_proba(X[:0]).shape == (0, 2)


def test_one_seed_gives_one_model():
    model = GenotypeClassifier("none", "rf", **QUICK).fit(X, Y)
    np.testing.assert_array_equal(clone(model).fit(X, Y).predict_proba(X), model.predict_proba(X))
    other = clone(model).set_params(random_state=1).fit(X, Y)
    assert not np.allclose(other.predict_proba(X), model.predict_proba(X))


def test_inner_folds_choose_and_the_choice_can_be_repeated():
    model = GenotypeClassifier(["none", "pca"], ["qda", "dt"], **QUICK).fit(X, Y)
    assert model.short_name == "chosen + chosen"
    assert set(zip(model.search_["reducer"], model.search_["classifier"])) == {
        ("none", "qda"), ("none", "dt"), ("pca", "qda"), ("pca", "dt")
    }  # fmt: skip
    best = model.search_.loc[model.search_["score"].idxmax()]
    assert (best["reducer"], best["classifier"]) == (model.chosen_["reducer"], model.chosen_["classifier"])
    again = GenotypeClassifier(**QUICK, **{}).set_params(**model.chosen_).fit(X, Y)
    assert len(again.search_) == 1
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_the_full_grid_is_that_of_the_paper():
    model = GenotypeClassifier(["none", "pca", "lda"], list(CLASSIFIERS))
    assert len(model._settings()) == (1 + 2 + 2) * (1 + 12 + 4 + 24)


def test_a_grid_of_ones_own():
    model = GenotypeClassifier("pca", "dt", grid={"pca": {"n_components": [2, 3]}}, **QUICK).fit(X, Y)
    assert len(model.search_) == 2 * 2
    assert model.pipeline_["reduce"].n_components in (2, 3)


def test_the_metric_of_the_inner_folds():
    by_f1 = GenotypeClassifier("pca", "dt", metric="macro_f1", **QUICK).fit(X, Y)
    by_auc = GenotypeClassifier("pca", "dt", **QUICK).fit(X, Y)
    assert not np.allclose(by_f1.search_["score"], by_auc.search_["score"])


def test_the_threshold_has_the_highest_macro_f1():
    rng = np.random.default_rng(0)
    for _ in range(5):
        codes = rng.permutation(np.arange(30) % 4 == 0).astype(int)
        chance = np.round(rng.random(30) * 0.8 + 0.2 * codes, 2)
        threshold, f1 = best_threshold(codes, chance)
        tried = [f1_score(codes, chance >= t, average="macro") for t in np.unique(chance)]
        assert f1 == pytest.approx(max(tried))
        assert f1_score(codes, chance >= threshold, average="macro") == pytest.approx(f1)
    assert best_threshold(np.array([0, 1]), np.array([0.3, 0.3]))[0] == 0.3


# --- features from an extractor


def test_features_of_held_out_patients_come_from_an_extractor_that_never_saw_them():
    """In nested cross-validation, in the outer and in the inner folds."""
    data = mf.Cohort("masked", with_masks(X), COHORT.outcomes, "egfr")
    model = GenotypeClassifier("none", "qda", extractor=Recorder(), **QUICK)
    result = mf.nested_cv(model, data, outer=3, baselines=False, where="serial", progress=False)
    fits = [seen for kind, seen in LOG if kind == "fit"]
    assert len(fits) == 3 * (1 + 3)
    outer = {frozenset(fold["patient_id"]) for _, fold in result.predictions.groupby("fold")}
    predicted = [pair for kind, pair in LOG if kind == "transform" and pair[1] in outer]
    assert len(predicted) == 3 and all(not seen & rows for seen, rows in predicted)
    held_out = [pair for kind, pair in LOG if kind == "transform" and not pair[0] & pair[1]]
    assert len(held_out) == 3 * (1 + 3)  # each outer fold: the test rows, and those of three inner folds
    for seen, rows in held_out:
        assert len(rows) in (20, 13, 14) and len(seen) in (40, 26, 27)


def test_masks_are_there_in_the_fit_of_the_extractor_only():
    masked = with_masks(X)
    before = masked.copy()
    model = GenotypeClassifier("none", "qda", extractor=Recorder(), **QUICK).fit(masked, Y)
    assert model.extractor_.masks_ == len(X)
    np.testing.assert_array_equal(model.predict_proba(masked), model.predict_proba(X))
    pd.testing.assert_frame_equal(masked, before)


def test_inner_folds_may_share_the_extractor():
    GenotypeClassifier("none", "qda", extractor=Recorder(), cross_fit=False, **QUICK).fit(X, Y)
    assert [seen for kind, seen in LOG if kind == "fit"] == [frozenset(X.index)]


def test_an_extractor_may_be_trained_before():
    fitted = fit_extractor(extractor_of(None, ["ct"]), X[:30], X.index[:30])
    model = GenotypeClassifier("pca", "qda", extractor=FrozenEstimator(fitted), **QUICK).fit(X[30:], Y[30:])
    assert model.extractor_.estimator.streams_.n_fitted_ == 30


def test_persons_stay_together_and_reach_the_extractor():
    persons = np.repeat([f"q{k}" for k in range(20)], 3)
    labels = pd.Series(np.repeat(np.resize(["wildtype", "mutant"], 20), 3), X.index, name="egfr")
    model = GenotypeClassifier("none", "qda", extractor=OfPersons(), **QUICK).fit(X, labels, persons)
    told = [names for kind, names in LOG if kind == "persons"]
    assert told[0] == tuple(persons)
    assert all(pd.Series(names).value_counts().eq(3).all() for names in told)
    assert len(model.search_) == 1


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        ("nan", rf"patient {X.index[1]}, column 0: a feature is not finite"),
        ("short", "the features have the wrong shape"),
        ("flat", "no feature differs between the training patients"),
        ("text", "parameter extractor: a feature is not a number"),
    ],
)
def test_features_that_cannot_be_used(spoil, match):
    with pytest.raises(DataError, match=match):
        GenotypeClassifier(extractor=Recorder(spoil=spoil), **QUICK).fit(X, Y)


# --- bad input


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"reducer": "umap"}, r"parameter reducer: unusable setting \(expected one or some of none, pca"),
        ({"reducer": ["pca", "pca"]}, "parameter reducer"),
        ({"reducer": []}, "parameter reducer"),
        ({"classifier": 3}, "parameter classifier"),
        ({"preset": "huge"}, "parameter preset"),
        ({"metric": "accuracy"}, "parameter metric"),
        ({"inner": 1}, "parameter inner"),
        ({"modalities": "ct"}, "parameter modalities"),
        ({"modalities": ["pet"]}, "no such modality in X"),
        ({"grid": [1]}, "parameter grid"),
        ({"grid": {"umap": {}}}, "the grid names steps that do not exist"),
        ({"grid": {"pca": {"colour": [1]}}}, "parameter grid.*got colour"),
        ({"grid": {"pca": {"n_components": 3}}}, "parameter grid.*lists of values"),
        ({"extractor": object()}, r"not an extractor of features.*fit\(X, y=None\) and transform\(X\)"),
        ({"random_state": -1}, "parameter random_state"),
    ],
)
def test_parameters_that_cannot_be_used(params, match):
    with pytest.raises(DataError, match=match):
        GenotypeClassifier(**{**QUICK, **params}).fit(X, Y)


def test_one_class_or_too_few_patients_of_a_class():
    model = GenotypeClassifier("pca", "qda", **QUICK)
    wild, mutant = Y.index[Y == "wildtype"], Y.index[Y == "mutant"]
    with pytest.raises(DataError, match="only one class among the labels"):
        model.fit(X.loc[wild], Y[wild])
    few = [*wild, *mutant[:4]]
    message = r"too few patients of the class 'mutant' for 3 inner folds \(expected 5 or more; got 4\) -> use"
    with pytest.raises(DataError, match=message):
        model.fit(X.loc[few], Y[few])
    enough = [*wild, *mutant[:5]]
    assert model.fit(X.loc[enough], Y[enough]).search_["score"].notna().all()
    three = Y.astype(str).mask(np.arange(len(Y)) < 10, "other")
    with pytest.raises(DataError, match="not two classes"):
        model.fit(X, three)
    with pytest.raises(DataError, match=r"a class has fewer patients|too few|fewer"):
        few_cohort = COHORT.select(patients=few)
        mf.nested_cv(model, few_cohort, outer=5, baselines=False, where="serial", progress=False)


def test_a_setting_that_is_not_estimable_is_left_out():
    """QDA without shrinkage needs more patients of a class than features."""
    with pytest.raises(DataError, match=r"not estimable.*none \+ qda.*use shrinkage"):
        GenotypeClassifier("none", "qda", grid=SINGULAR, **QUICK).fit(X, Y)
    model = GenotypeClassifier("none", ["qda", "dt"], grid=SINGULAR, **QUICK).fit(X, Y)
    scores = model.search_.set_index("classifier")["score"]
    assert scores["qda":"qda"].isna().all() and scores["dt":"dt"].notna().all()
    assert model.chosen_["classifier"] == "dt"


def test_tables_and_labels_that_cannot_be_used():
    model = GenotypeClassifier("pca", "qda", **QUICK)
    with pytest.raises(DataError, match="not a table of patients"):
        model.fit(X["ct"], Y)
    with pytest.raises(DataError, match="two rows of one patient"):
        model.fit(X.iloc[[0, *range(59)]], Y.iloc[[0, *range(59)]])
    with pytest.raises(DataError, match="not about the same patients"):
        model.fit(X, Y[::-1])
    gone = Y.copy()
    gone.iloc[3] = np.nan
    with pytest.raises(DataError, match=f"patient {X.index[3]}: a patient has no label"):
        model.fit(X, gone)
    fitted = model.fit(X, Y)
    without = X.copy()
    without.loc[X.index[2], "ct"] = np.nan
    with pytest.raises(DataError, match=f"patient {X.index[2]}.*none of the model's modalities"):
        fitted.predict(without)


def test_inputs_that_tell_the_genotype_are_refused():
    leaky = pd.concat([X, pd.DataFrame({("ehr", "KRAS mutation status"): "wildtype"}, X.index)], axis=1)
    with pytest.raises(LeakageError, match="KRAS mutation status"):
        GenotypeClassifier("pca", "qda", modalities=["ct", "ehr"], **QUICK).fit(leaky, Y)
    GenotypeClassifier("pca", "qda", **QUICK).fit(leaky, Y)  # it reads the scans only
    telling = X.copy()
    telling["ct", "radiomics_001"] = (Y == "mutant").astype(float)
    with pytest.raises(LeakageError, match="ct: radiomics_001"):
        GenotypeClassifier("pca", "qda", **QUICK).fit(telling, Y)
    accepted = GenotypeClassifier("pca", "qda", allow_leaky=True, **QUICK).fit(telling, Y)
    assert accepted.search_["score"].max() > 0.5


# --- known answers


@pytest.mark.parametrize(("signal", "auc"), [("planted", 0.85), ("null", 0.5)])
def test_nested_cv_recovers_the_planted_auc(signal, auc):
    cohort = radiomics_phantom(160, 2, signal, mutants=0.3)
    model = GenotypeClassifier(["pca", "lda"], "qda", inner=3)
    result = mf.nested_cv(model, cohort, baselines=False, where="serial", progress=False)
    row = result.scores["macro_auc"].loc["chosen + qda"]
    assert row["lo"] < auc < row["hi"]
    chosen = result.params()
    assert list(chosen) == ["reducer", "classifier", "grid"] and len(chosen) == 5
    assert set(chosen["reducer"]) <= {"pca", "lda"}


def test_poisoned_held_out_rows_change_nothing():
    train, test = X.index[:40], X.index[40:]
    model = GenotypeClassifier("pca", "qda", **QUICK).fit(X.loc[train], Y[train])
    poisoned = X.copy()
    poisoned.loc[test, "ct"] = 1e6
    again = clone(model).fit(poisoned.loc[train], Y[train])
    np.testing.assert_array_equal(again.predict_proba(X.loc[test]), model.predict_proba(X.loc[test]))
    assert roc_auc_score(Y[test] == "mutant", model.predict_proba(X.loc[test])[:, 1]) > 0.5
