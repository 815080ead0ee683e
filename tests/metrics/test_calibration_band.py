"""The band of ECE under perfect calibration."""

import numpy as np
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics import classification_metrics, ece_band

CLASSES = ("I", "II", "III")


def drawn(seed, n=300, temperature=1.0):
    """Classes drawn from probabilities, and the probabilities of a model with a wrong temperature."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet([1, 1, 1], n)
    y = np.array(CLASSES)[[rng.choice(3, p=p) for p in true]]
    stated = true ** (1 / temperature)
    return y, stated / stated.sum(axis=1, keepdims=True)


def test_calibrated_models_are_inside_as_often_as_the_level_says():
    inside = [ece_band(*drawn(seed), CLASSES, n_draws=400).inside for seed in range(200)]
    assert 0.90 <= np.mean(inside) <= 0.99  # 0.95, with a standard error of 0.015


def test_a_model_that_is_too_sure_is_above():
    y, proba = drawn(0, temperature=0.4)
    band = ece_band(y, proba, CLASSES)
    assert band.ece > band.hi and not band.inside and "above the 95% band" in str(band)


def test_the_error_is_the_metric_and_the_band_narrows_with_patients():
    y, proba = drawn(1)
    band = ece_band(y, proba, CLASSES, n_draws=200)
    assert band.ece == pytest.approx(classification_metrics(y, proba, CLASSES)["ece"])
    assert 0 < band.lo < band.hi and band.n == 300
    assert ece_band(*drawn(1, n=3000), CLASSES, n_draws=200).hi < band.hi / 2
    assert ece_band(y, proba, CLASSES, n_draws=200) == band  # the same seed
    assert ece_band(y, proba, CLASSES, n_draws=200, random_state=1) != band


@pytest.mark.parametrize(("name", "value"), [("bins", 0), ("n_draws", 0)])
def test_bad_numbers(name, value):
    with pytest.raises(DataError, match=f"parameter {name}"):
        ece_band(*drawn(0, n=20), CLASSES, **{name: value})
    with pytest.raises(DataError, match="no predictions"):
        ece_band([], np.empty((0, 3)), CLASSES)


def test_the_order_of_the_rows_does_not_matter():
    y, proba = drawn(2)
    assert ece_band(y[::-1], proba[::-1], CLASSES, n_draws=50) == ece_band(y, proba, CLASSES, n_draws=50)


def test_a_seed_that_is_no_number():
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        ece_band(*drawn(0), CLASSES, random_state="a")
