"""nested_cv on targets that are vectors of numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmfusion as mf
import mmfusion.evaluation
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError
from mmfusion.evaluation.regression_baselines import MeanOfTraining, MeanWhereAbsent, RidgePerTarget
from tests.evaluation.toys import GENES, QUIET, ToyRegressor, vector_cohort


def test_values_and_metrics_of_vectors(vectors):
    result = mf.nested_cv(ToyRegressor(), vectors, **QUIET)
    rows = result.of(["ToyRegressor"])
    by_fold = []
    for _, fold in rows.groupby("fold"):
        for gene in GENES:
            known = fold[f"true_{gene}"].notna()
            by_fold.append(
                stats.pearsonr(fold.loc[known, f"true_{gene}"], fold.loc[known, f"pred_{gene}"])[0]
            )
    assert result.scores.loc["ToyRegressor", ("pearson", "mean")] == pytest.approx(np.mean(by_fold))
    assert rows["true_EGFR"].isna().sum() == vectors.y["EGFR"].isna().sum() > 0
    assert {"mean", "ridge", "clinical ridge", "ct ridge"} < set(result.models)
    assert result.inputs()["mean"] == () and result.inputs()["ct ridge"] == ("ct",)
    assert result.scores.loc["mean", ("pearson", "mean")] == 0
    assert result.paired().loc["mean", "hi"] < 0
    assert result.detectable_difference() > 0
    assert result.to_metrics()["primary"] == {
        "metric": "pearson",
        "model": "ToyRegressor",
        "reference": "ridge",
    }


def test_learning_curve_of_vectors(vectors):
    curve = mf.nested_cv(ToyRegressor(), vectors, learning_curve=[0.5], **QUIET).learning_curve()
    assert set(curve["model"]) == {"ToyRegressor", "ridge"} and len(curve) == 4


def test_permuted_vectors_give_chance():
    means = []
    for seed in range(4):
        cohort = vector_cohort(80, seed=7)
        order = np.random.default_rng(seed).permutation(len(cohort.labels))
        shuffled = pd.DataFrame(cohort.labels.to_numpy()[order], cohort.labels.index, list(GENES))
        null = replace(cohort, labels=shuffled)
        result = mf.nested_cv(ToyRegressor(), null, random_state=seed, **QUIET)
        means += result.scores.loc[["ToyRegressor", "ridge"], ("pearson", "mean")].tolist()
    assert abs(np.mean(means)) < 0.12  # SD of one is about .07


def test_baselines_use_the_rows_where_a_value_is_known():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = pd.DataFrame(X @ [[1.0, 0.0], [0.0, 2.0]] + 5, columns=["a", "b"])
    holes = y.mask(rng.random(y.shape) < 0.4)
    predicted = RidgePerTarget(alphas=[1e-6]).fit(X, holes).predict(X)
    np.testing.assert_allclose(predicted, y, atol=1e-3)
    np.testing.assert_allclose(MeanOfTraining().fit(X, holes).predict(X[:2]), [holes.mean()] * 2)
    with pytest.raises(DataError, match="column b: a target has no known value"):
        RidgePerTarget().fit(X, holes.assign(b=np.nan))


def test_the_mean_stands_for_what_cannot_be_read(vectors):
    X, y = vectors.X.copy(), vectors.y
    lacking = X.index[:20]
    X.loc[lacking, "ct"] = np.nan
    model = MeanWhereAbsent(ToyRegressor(), ["ct"]).fit(X, y)
    np.testing.assert_allclose(model.predict(X.loc[lacking]), np.tile(y.mean(), (20, 1)))
    own = ToyRegressor().fit(X.iloc[20:], y.iloc[20:]).predict(X.iloc[20:])
    np.testing.assert_allclose(model.predict(X.iloc[20:]), own)


def test_predictions_that_do_not_fit(vectors, monkeypatch):
    monkeypatch.setattr(ToyRegressor, "predict", lambda self, X: np.zeros((len(X), 2)))
    with pytest.raises(DataError, match="wrong shape"):
        mf.nested_cv(ToyRegressor(), vectors, baselines=False, **QUIET)
    monkeypatch.setattr(ToyRegressor, "predict", lambda self, X: np.full((len(X), 3), np.nan))
    with pytest.raises(DataError, match=r"patient P.*not finite"):
        mf.nested_cv(ToyRegressor(), vectors, baselines=False, **QUIET)


def test_folds_without_classes_cover_everybody_and_need_enough(vectors):
    splits = Splits.make(vectors.y, n_splits=4, n_repeats=2, random_state=1)
    sizes = [len(fold) for fold in splits.test]
    assert splits.n_repeats == 2 and len(sizes) == 8 and max(sizes) - min(sizes) <= 1
    assert splits.hash == Splits.make(vectors.y, n_splits=4, n_repeats=2, random_state=1).hash
    assert splits.hash != Splits.make(vectors.y, n_splits=4, n_repeats=2, random_state=2).hash
    with pytest.raises(DataError, match="too few patients for the folds"):
        Splits.make(vectors.y[:3], n_splits=4)
    with pytest.raises(DataError, match="2 or more"):
        Splits.make(vectors.y, n_splits=1)
