"""The table of ranked genes: intervals, refits on the training rows, bad input."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError, gathered
from mmfusion.explain import gene_shap
from tests.explain.models import linear_model, rows

COLUMNS = ["gene", "mean_abs_shap", "lower", "upper", "p", "q"]


@pytest.fixture(scope="module")
def fitted():
    cohort, _ = mf.phantom(90, 1, modalities=("rna",), missing=0.0, n_genes=20, n_planted=4)
    train, test = cohort.X[:70], cohort.X[70:]
    model = mf.StageClassifier(max_epochs=2, n_members=1, encoders={"rna": "gene_mlp"}, network={"d": 8})
    return model.fit(train, cohort.y[:70]), train, cohort.y[:70], test


def test_ranked_with_intervals_and_without_refits():
    X = rows(30, scan=False)
    table = mf.explain.genes(linear_model(), X)
    assert list(table.columns) == COLUMNS and list(table["gene"]) == list(table.index)
    assert list(table.index[:2]) == ["G0", "G1"] and table["mean_abs_shap"].is_monotonic_decreasing
    assert table[["p", "q"]].isna().all(axis=None)
    assert table.attrs == {"n_patients": 30, "n_null": 0}
    leading = table.loc["G0"]
    assert leading["lower"] < leading["mean_abs_shap"] < leading["upper"]
    each = np.abs(gene_shap(linear_model(), X, n_samples=50).values).mean(axis=2)[:, 0]
    half = 1.96 * each.std(ddof=1) / np.sqrt(len(each))  # the normal interval of the mean
    assert leading["upper"] - leading["lower"] == pytest.approx(2 * half, rel=0.15)
    pd.testing.assert_frame_equal(table, mf.explain.genes(linear_model(), X))
    mean = mf.explain.genes(linear_model(), X, conditioning="mean")
    assert set(mean.index[:2]) == {"G0", "G1"} and not mean.equals(table)


def test_one_patient_has_no_interval():
    table = mf.explain.genes(linear_model(), rows(1, scan=False))
    assert table[["lower", "upper"]].isna().all(axis=None) and table["mean_abs_shap"].notna().all()


def test_refits_use_the_training_rows_and_the_same_patients(fitted):
    model, train, y, test = fitted
    before = train.copy(), y.copy(), model.module_.members[0].head.state_dict()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    table = mf.explain.genes(model, test, null=(train, y), n_null=3, n_samples=5)
    assert table["p"].between(1 / 61, 1).all() and table["q"].between(0.25, 1).all()  # at least 1 / (1 + 3)
    assert table.attrs["n_null"] == 3
    pd.testing.assert_frame_equal(train, before[0])
    pd.testing.assert_series_equal(y, before[1])
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    plain = mf.explain.genes(model, test, n_samples=5)
    pd.testing.assert_frame_equal(table[COLUMNS[:4]], plain[COLUMNS[:4]])
    pd.testing.assert_frame_equal(
        table, mf.explain.genes(model, test, null=(train, y), n_null=3, n_samples=5)
    )


def test_labels_of_the_training_rows_are_enough(fitted):
    model, train, y, _ = fitted
    given = mf.explain.genes(model, train, y, n_null=3, n_samples=2, n_boot=10)
    named = mf.explain.genes(model, train, null=(train, y), n_null=3, n_samples=2, n_boot=10)
    pd.testing.assert_frame_equal(given, named)


def test_bad_input(fitted):
    model, train, y, test = fitted
    with pytest.raises(DataError, match=r"not the rows on which the model was fitted.*60 patients: 0"):
        mf.explain.genes(model, test, null=(train[:60], y[:60]), n_null=3)
    with pytest.raises(DataError, match="need the rows and labels"):
        mf.explain.genes(model, test, n_null=3)
    with pytest.raises(DataError, match="not the rows on which the model was fitted"):
        mf.explain.genes(model, test, y[:20].set_axis(test.index), n_null=3)
    with pytest.raises(DataError, match="differ in length"):
        mf.explain.genes(model, test, null=(train, y[:60]), n_null=3)
    with pytest.raises(DataError, match="training rows are a table"):
        mf.explain.genes(model, test, null=(train.to_numpy(), y), n_null=3)
    for wrong in ({"n_null": -1}, {"n_boot": 0}, {"conditioning": "none"}):
        with pytest.raises(DataError):
            mf.explain.genes(model, test, **wrong)


@pytest.mark.slow
def test_planted_genes_are_found():
    """At least half of the planted genes have q < 0.1, and 9 of the first 10 are planted."""
    cohort, _ = mf.phantom(240, 1, modalities=("rna", "ehr"), missing=0.0, n_genes=200)
    train, test = cohort.X[:200], cohort.X[200:]
    model = mf.StageClassifier.from_preset("demo", max_epochs=12)
    with gathered():
        model.fit(train, cohort.y[:200])
        table = mf.explain.genes(model, test, null=(train, cohort.y[:200]), n_null=20, n_samples=20)
    planted = set(cohort.provenance["planted_genes"])
    assert len(planted & set(table.index[table["q"] < 0.1])) >= len(planted) / 2
    assert len(planted & set(table.index[:10])) >= 9


def test_the_order_of_the_patients_does_not_matter():
    X, order = rows(10, scan=False), [3, 1, 2, 0, 9, 8, 7, 6, 5, 4]
    pd.testing.assert_frame_equal(
        mf.explain.genes(linear_model(), X, n_samples=5),
        mf.explain.genes(linear_model(), X.rows(order), n_samples=5),
    )


def test_other_labels_than_those_of_the_fit_are_refused(fitted):
    model, train, _, test = fitted
    with pytest.raises(DataError, match=r"not the labels on which the model was fitted.*got early, late"):
        mf.explain.genes(model, test, null=(train, ["early", "late"] * 35), n_null=3)


@pytest.mark.parametrize("null", [(1,), (1, 2, 3), pd.DataFrame({"a": [1]})])
def test_null_is_a_pair(fitted, null):
    with pytest.raises(DataError, match=r"parameter null: not rows and labels.*\(X_train, y_train\)"):
        mf.explain.genes(fitted[0], fitted[3], null=null, n_null=3)


@pytest.mark.parametrize("wrong", [{"n_null": 2.5}, {"n_boot": "a"}, {"n_samples": 0}, {"random_state": -1}])
def test_numbers_that_are_not_whole(wrong):
    with pytest.raises(DataError, match=f"parameter {next(iter(wrong))}: out of range"):
        mf.explain.genes(linear_model(), rows(2, scan=False), **wrong)


def test_a_model_that_is_not_fitted_is_refused(fitted):
    with pytest.raises(DataError, match=r"parameter model: not a fitted model.*got StageClassifier"):
        mf.explain.genes(mf.StageClassifier(), fitted[3])
