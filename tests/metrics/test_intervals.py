import numpy as np
import pytest
from scipy.stats import norm

from mmfusion.errors import DataError
from mmfusion.metrics import bootstrap_metrics, classification_metrics
from mmfusion.metrics.intervals import bootstrap_p, bootstrap_weights, interval
from mmfusion.metrics.weighted import METRICS, Weighted
from tests.metrics.predictions import CLASSES, predictions


def test_every_class_keeps_its_size():
    codes = np.array([0] * 20 + [1] * 5 + [2])
    weights = bootstrap_weights(codes, 300, random_state=1)
    assert (weights[:, 0] == 1).all()
    for code, size in enumerate((20, 5, 1)):
        assert (weights[codes == code].sum(axis=0) == size).all()
    # a patient is left out of a resample with probability (1 - 1/n)^n
    assert (weights[:20, 1:] == 0).mean() == pytest.approx((1 - 1 / 20) ** 20, abs=0.02)


def test_weights_are_repetitions():
    # a weighted metric is the plain metric of the table in which rows stand that often
    table = predictions(n=40)
    proba = table[[f"p_{c}" for c in CLASSES]].to_numpy()
    codes = np.array([CLASSES.index(c) for c in table["y_true"]])
    weights = bootstrap_weights(codes, 5, random_state=3)
    weighted = {name: metric(Weighted(codes, proba, weights)) for name, metric in METRICS.items()}
    for b in range(6):
        rows = np.repeat(np.arange(40), weights[:, b].astype(int))
        plain = classification_metrics(table["y_true"].to_numpy()[rows], proba[rows], CLASSES)
        for name in set(METRICS) - {"ece"}:  # its bins are those of the sample
            assert weighted[name][b] == pytest.approx(plain[name]), name


def test_estimate_lies_in_its_interval_and_the_seed_decides():
    table = predictions(n=120)
    args = table["y_true"], table[[f"p_{c}" for c in CLASSES]], CLASSES
    one = bootstrap_metrics(*args, n_boot=300)
    assert list(one.index) == list(METRICS)
    inside = one.drop(index="ece")  # resampling adds to a calibration error
    assert ((inside["lo"] <= inside["mean"]) & (inside["mean"] <= inside["hi"])).all()
    assert one.equals(bootstrap_metrics(*args, n_boot=300))
    assert not one.equals(bootstrap_metrics(*args, n_boot=300, random_state=1))
    narrow = bootstrap_metrics(*args, n_boot=300, level=0.5)
    assert (narrow["hi"] - narrow["lo"] <= one["hi"] - one["lo"]).drop("ece").all()
    assert one.loc["ece", ["lo", "hi"]].isna().all()


def test_intervals_cover_the_truth():
    # binormal: AUC = Phi(1 / sqrt(2)); of 200 intervals (95 %) at least 176 cover it, except 1 time in 1000
    truth, covered = norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        positive = np.arange(80) < 30
        score = norm.cdf(rng.normal(size=80) + positive)
        row = bootstrap_metrics(
            positive, np.c_[1 - score, score], [False, True], metrics=["macro_auc"], n_boot=400
        )
        covered += row.loc["macro_auc", "lo"] <= truth <= row.loc["macro_auc", "hi"]
    assert covered >= 176


def test_interval_and_p_agree():
    draws = np.random.default_rng(0).normal(0.3, 0.1, 5000)
    lo, hi = interval(draws)
    assert (lo, hi) == pytest.approx((0.3 - 0.196, 0.3 + 0.196), abs=0.02)
    assert bootstrap_p(draws, lo) == pytest.approx(0.05, abs=0.002)
    assert bootstrap_p(draws, 0.3) > 0.9
    assert bootstrap_p(np.full(100, 0.5), 0.5) == 1.0
    assert np.isnan(interval(np.array([np.nan]))).all()


def test_bad_input():
    with pytest.raises(DataError, match="no metric called 'auc'"):
        bootstrap_metrics(["I", "II"], np.eye(2), ["I", "II"], metrics=["auc"])
    with pytest.raises(DataError, match="level"):
        interval(np.zeros(3), 95)
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        bootstrap_metrics(["I", "II"], np.eye(2), ["I", "II"], random_state=-1)


def test_the_shares_of_the_classes_vary_where_a_metric_depends_on_them():
    """A model that is right for one class only: its accuracy is the share of this class."""
    y, p = ["I"] * 68 + ["II"] * 32, np.tile([0.6, 0.4], (100, 1))
    found = bootstrap_metrics(y, p, ["I", "II"], n_boot=500)
    lo, hi = found.loc["accuracy", ["lo", "hi"]]
    assert lo == pytest.approx(0.59, abs=0.02) and hi == pytest.approx(0.77, abs=0.02)  # 0.68 +- 1.96 SE
    assert found.loc["balanced_accuracy"].tolist() == [0.5, 0.5, 0.5]
