"""Expression from features: the known best correlation is recovered, and permuted expression gives none."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.metrics.regression import regression_metrics
from mmfusion.radiogenomics import ExpressionRegressor, expression_null
from mmfusion.radiogenomics.permuted_expression import MEAN
from mmfusion.synthetic import radiomics_phantom
from tests.radiogenomics.fakes import LOG, Recorder

COHORT = radiomics_phantom(80, 1, n_features=100, target="expression")
X, Y = COHORT.X, COHORT.y
SERIAL = {"where": "serial", "progress": False}


@pytest.fixture(autouse=True)
def empty_log():
    LOG.clear()


@pytest.mark.parametrize("signal", ["planted", "null"])
def test_nested_cv_recovers_the_known_correlation(signal):
    """The penalty costs about .03 of the correlation with 240 patients, and less with 400.

    The mean of six null genes has a standard deviation of .03 over phantoms of 400 patients. The interval
    over patients of one run is narrower, as it does not count that other patients would give another model.
    """
    cohort = radiomics_phantom(400, 7, signal, n_features=120, target="expression")
    result = mf.nested_cv(ExpressionRegressor(), cohort, name="radiomics", baselines=False, **SERIAL)
    best = np.mean(list(cohort.provenance["optimum"]["expression_r"].values()))
    row = result.scores["pearson"].loc["radiomics"]
    if signal == "planted":
        assert row["lo"] < best < row["hi"]
    else:
        assert row["mean"] == pytest.approx(best, abs=3 * 0.03)
    found = expression_null(ExpressionRegressor(), cohort, result, n_permutations=40)
    table = found.table()
    assert table.loc[MEAN, "pearson"] == pytest.approx(row["mean"])  # the same folds and the same model
    assert abs(table.loc[MEAN, "null_mean"]) < 0.03
    p = table.loc[MEAN, "p"]
    assert p == pytest.approx(1 / 41) if signal == "planted" else p > 1 / 41


def test_permutations_are_of_patients():
    """The genes of a patient stay together, and each permutation is the refit of the last layer."""
    result = mf.nested_cv(ExpressionRegressor(), COHORT, outer=2, baselines=False, **SERIAL)
    found = expression_null(ExpressionRegressor(), COHORT, result, n_permutations=2, random_state=3)
    assert found.null.shape == (2, 7) and list(found.null)[-1] == MEAN
    order = np.random.default_rng(3).permutation(len(Y))
    y, scores = Y.iloc[order].set_axis(Y.index), []
    for _, fold in result.predictions.groupby("fold"):
        test = X.index.isin(fold["patient_id"])
        model = ExpressionRegressor().fit(X[~test], y[~test])
        scores.append(regression_metrics(y[test], model.predict(X[test]))["pearson"].to_numpy())
    np.testing.assert_allclose(found.null.iloc[0, :-1], np.mean(scores, axis=0), atol=1e-8)
    again = expression_null(ExpressionRegressor(), COHORT, result, n_permutations=2, random_state=3)
    pd.testing.assert_frame_equal(again.null, found.null)


def test_the_extractor_is_fitted_once_per_fold_and_on_training_patients_only():
    model = ExpressionRegressor(extractor=Recorder())
    result = mf.nested_cv(model, COHORT, outer=2, baselines=False, **SERIAL)
    LOG.clear()
    expression_null(model, COHORT, result, n_permutations=4)
    assert sum(kind == "fit" for kind, _ in LOG) == 2
    held_out = [pair for kind, pair in LOG if kind == "transform" and not pair[0] & pair[1]]
    assert len(held_out) == 2


def test_protocol_and_unknown_values():
    model = ExpressionRegressor()
    with pytest.raises(NotFittedError):
        model.predict(X)
    y = Y.copy()
    y.iloc[:30, 2] = np.nan
    assert model.fit(X, y) is model and model.genes_ == list(Y)
    known = clone(model).fit(X.iloc[30:], Y.iloc[30:])
    assert np.corrcoef(model.predict(X)[:, 2], known.predict(X)[:, 2])[0, 1] > 0.95
    np.testing.assert_allclose(model.predict(X.iloc[[4]])[0], model.predict(X)[4], rtol=1e-9)


def test_bad_input():
    with pytest.raises(DataError, match="not the expression of these patients"):
        ExpressionRegressor().fit(X, Y.to_numpy())
    with pytest.raises(DataError, match="got other patients"):
        ExpressionRegressor().fit(X, Y[::-1])
    with pytest.raises(DataError, match="column KRAS: a target has no known value"):
        ExpressionRegressor().fit(X, Y.assign(KRAS=np.nan))
    with pytest.raises(DataError, match="parameter modalities"):
        ExpressionRegressor("ct").fit(X, Y)
    with pytest.raises(DataError, match="none of the panel's genes"):
        COHORT.with_target("expression:TTN,ABC1")
    result = mf.nested_cv(ExpressionRegressor(), COHORT, outer=2, baselines=False, **SERIAL)
    with pytest.raises(DataError, match="the result is of other patients"):
        expression_null(ExpressionRegressor(), COHORT.select(patients=list(X.index[:40])), result)
    with pytest.raises(DataError, match="parameter n_permutations"):
        expression_null(ExpressionRegressor(), COHORT, result, n_permutations=0)
