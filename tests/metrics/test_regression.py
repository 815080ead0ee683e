import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, r2_score

from mmfusion.errors import DataError
from mmfusion.metrics.intervals import bootstrap_weights
from mmfusion.metrics.moments import Pairs, concordance, pearson, spearman
from mmfusion.metrics.regression import (
    REGRESSION_METRICS,
    regression_differences,
    regression_metrics,
    regression_table,
    target_table,
)

GENES = ("EGFR", "MET", "ROS1")


def values(n=40, seed=0, unknown=0.0):
    rng = np.random.default_rng(seed)
    true = rng.normal(5, 2, (n, 3))
    pred = np.round(true + rng.normal(0, [0.5, 2, 5], (n, 3)), 1)  # with ties
    true[rng.random(true.shape) < unknown] = np.nan
    return true, pred


def lin(a, b):
    """Lin 1989, equation 2, with variances divided by n."""
    return 2 * np.cov(a, b, bias=True)[0, 1] / (np.var(a) + np.var(b) + (np.mean(a) - np.mean(b)) ** 2)


@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_as_scipy_and_scikit_learn_have_it(unknown):
    true, pred = values(unknown=unknown)
    table = regression_metrics(true, pred, GENES)
    for j, gene in enumerate(GENES):
        known = ~np.isnan(true[:, j])
        a, b = true[known, j], pred[known, j]
        expected = {
            "n": known.sum(),
            "pearson": stats.pearsonr(a, b).statistic,
            "spearman": stats.spearmanr(a, b).statistic,
            "concordance": lin(a, b),
            "mae": mean_absolute_error(a, b),
            "r2": r2_score(a, b),
        }
        assert table.loc[gene].to_dict() == pytest.approx(expected, rel=1e-10)


def test_concordance_by_hand():
    # means 2 and 3, variances 2/3 and 2/3, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7
    assert regression_metrics([1, 2, 3], [2, 3, 4])["concordance"][0] == pytest.approx(4 / 7)


@pytest.mark.parametrize("metric", [pearson, spearman, concordance])
def test_weights_count_patients_as_often_as_they_say(metric):
    true, pred = values(25, unknown=0.2)
    weights = bootstrap_weights(np.zeros(25, int), 20, 0)
    got = metric(Pairs(true, pred, weights))
    for b in range(weights.shape[1]):
        again = np.repeat(np.arange(25), weights[:, b].astype(int))
        plain = metric(Pairs(true[again], pred[again], np.ones((25, 1))))
        np.testing.assert_allclose(got[:, b], plain[:, 0], rtol=1e-9)


def test_a_constant_prediction_has_no_correlation_and_a_constant_truth_has_none_to_give():
    true = np.column_stack([np.arange(10.0), np.full(10, 3.3), np.full(10, np.nan)])
    table = regression_metrics(true, np.full((10, 3), 1 / 3))
    assert table.loc[0, ["pearson", "spearman", "concordance"]].tolist() == [0, 0, 0]
    assert table.loc[1, ["pearson", "spearman", "concordance", "r2"]].isna().all()
    assert table.loc[1, "mae"] == pytest.approx(3.3 - 1 / 3) and table.loc[2].drop("n").isna().all()


def test_large_offsets_do_not_drown_the_correlation():
    true, pred = values()
    pd.testing.assert_series_equal(
        regression_metrics(true, pred)["pearson"],
        regression_metrics(true + 1e7, pred - 1e7)["pearson"],
        rtol=1e-6,
    )


def predictions(n=60, folds=3, seed=0, **noise):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 3))
    parts = []
    for model, sd in noise.items():
        pred = true + sd * rng.normal(size=true.shape)
        table = {
            "model": model,
            "repeat": 0,
            "fold": np.arange(n) % folds,
            "patient_id": [f"P{i}" for i in range(n)],
        }
        for j, gene in enumerate(GENES):
            table |= {f"true_{gene}": true[:, j], f"pred_{gene}": pred[:, j]}
        parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True)


def test_scores_are_means_over_folds_and_targets():
    table = predictions(model=1.0)
    by_fold = [
        regression_metrics(rows[[f"true_{g}" for g in GENES]], rows[[f"pred_{g}" for g in GENES]])
        for _, rows in table.groupby("fold")
    ]
    scores = regression_table(table, GENES, n_boot=200)
    genes = target_table(table, GENES, n_boot=200)
    for metric in REGRESSION_METRICS:
        mean = np.mean([t[metric] for t in by_fold], axis=0)
        assert genes.xs("model")[metric, "mean"].to_list() == pytest.approx(mean)
        row = scores.loc["model", metric]
        assert row["mean"] == pytest.approx(mean.mean()) and row["lo"] < row["mean"] < row["hi"]


def test_the_better_model_is_found_better():
    table = predictions(good=0.5, bad=2.0)
    row = regression_differences(table, GENES, "bad", n_boot=300).loc["good"]
    assert row["lo"] > 0.2 and row["p"] < 0.02 and row["corrected_lo"] < row["diff"] < row["corrected_hi"]
    assert regression_differences(table, GENES, "bad", metric="mae", n_boot=300).loc["good", "hi"] < 0


def test_intervals_cover_as_often_as_they_say():
    """95 % intervals of a correlation, r = 0.6, n = 80, 150 draws; SD of the share: 2 %."""
    hits, rng = 0, np.random.default_rng(1)
    for _ in range(150):
        a = rng.normal(size=(80, 1))
        b = 0.6 * a + 0.8 * rng.normal(size=(80, 1))
        keys = {"model": "m", "repeat": 0, "fold": 0, "patient_id": [f"P{i}" for i in range(80)]}
        table = pd.DataFrame(keys | {"true_g": a[:, 0], "pred_g": b[:, 0]})
        row = regression_table(table, ["g"], n_boot=300).loc["m", "pearson"]
        hits += row["lo"] <= 0.6 <= row["hi"]
    assert 0.88 <= hits / 150 <= 0.99


def test_a_second_row_of_a_person_does_not_narrow_the_interval():
    once = predictions(model=1.0).assign(person=lambda t: t["patient_id"])
    both = pd.concat([once, once.assign(patient_id=once["patient_id"] + "-again")])
    pd.testing.assert_frame_equal(*(regression_table(t, GENES, n_boot=100) for t in (once, both)))


def test_errors():
    with pytest.raises(DataError, match="differ in shape"):
        regression_metrics(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(DataError, match="not a number"):
        regression_metrics([1.0, 2.0], [1.0, np.nan])
    with pytest.raises(DataError, match="true_X, pred_X: predictions lack a column"):
        regression_table(predictions(model=1.0), ["X"])
