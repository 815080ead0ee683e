"""Permutation test of predictions: exact where it must be, and without an effect where there is none."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics.regression import regression_table
from mmfusion.radiogenomics import prediction_null
from mmfusion.radiogenomics.permuted_expression import MEAN


def predictions(r: float, n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Predictions of two genes in three folds; only those of the first depend on the truth."""
    rng = np.random.default_rng(seed)
    true, other = rng.normal(size=(2, n, 2))
    pred = np.array([r, 0.0]) * true + np.sqrt(1 - r**2) * other
    keys = {"model": "m", "repeat": 0, "fold": np.arange(n) % 3, "patient_id": [f"P{k}" for k in range(n)]}
    table = pd.DataFrame(keys).assign(person=keys["patient_id"])
    for k, gene in enumerate(("A", "B")):
        table[f"true_{gene}"], table[f"pred_{gene}"] = true[:, k], pred[:, k]
    return table


def test_a_correlation_is_found_and_none_is_not():
    table = predictions(0.7)
    found = prediction_null(table, ["A", "B"], n_permutations=99)
    rows = found.table()
    assert rows.loc["A", "p"] == 0.01 and rows.loc["B", "p"] > 0.05
    assert found.null.shape == (99, 3) and abs(rows["null_mean"]).max() < 0.1
    score = regression_table(table, ["A", "B"], n_boot=10).loc["m", ("pearson", "mean")]
    assert rows.loc[MEAN, "pearson"] == pytest.approx(score)


def test_p_values_are_uniform_without_an_effect():
    p = [prediction_null(predictions(0.0, seed=s), ["A"], n_permutations=39).table().loc["A", "p"]
         for s in range(40)]  # fmt: skip
    assert 0.3 < np.mean(p) < 0.7 and np.mean(np.array(p) <= 0.05) < 0.2


def test_missing_values_and_seeds():
    table = predictions(0.7)
    table.loc[::5, "true_A"] = np.nan
    one, two, other = (prediction_null(table, ["A"], n_permutations=5, random_state=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.null, two.null)
    assert not one.null.equals(other.null) and np.isfinite(one.null).all(axis=None)
    before = table.copy()
    prediction_null(table, ["A"], n_permutations=2)
    pd.testing.assert_frame_equal(table, before)


def test_predictions_of_several_models_are_an_error():
    table = pd.concat([predictions(0.5), predictions(0.5).assign(model="other")])
    with pytest.raises(DataError, match="of one model"):
        prediction_null(table, ["A"])
    with pytest.raises(DataError, match="n_permutations"):
        prediction_null(predictions(0.5), ["A"], n_permutations=0)
    repeated = pd.concat([predictions(0.5), predictions(0.5).assign(repeat=1)])
    with pytest.raises(DataError, match=r"of one repeat .*2 repeats"):
        prediction_null(repeated, ["A"])


def test_a_gene_that_does_not_vary_has_no_p_value():
    table = predictions(0.7).assign(true_B=5.0)
    rows = prediction_null(table, ["A", "B"], n_permutations=19).table()
    assert rows.loc["A", "p"] == 0.05 and np.isnan(rows.loc["B", ["pearson", "p"]].to_numpy(float)).all()


def test_the_null_of_several_folds_is_wider():
    table = predictions(0.0)
    one, three = (
        prediction_null(t, ["A"], n_permutations=99).null["A"] for t in (table.assign(fold=0), table)
    )
    assert three.std() > 1.3 * one.std()  # sqrt(1 + 3/2) = 1.58 of about the same
