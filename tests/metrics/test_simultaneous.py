import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics import holm_intervals, score_table
from tests.metrics.predictions import CLASSES, predictions


@pytest.fixture(scope="module")
def table():
    return pd.concat(
        [predictions("better", seed=1, signal=2.5), predictions("ridge", seed=2), predictions("same", seed=3)]
    )


def test_holm_intervals_reject_what_holm_rejects(table):
    noise = [predictions(f"noise {i}", seed=10 + i, signal=0) for i in range(4)]
    out = holm_intervals(pd.concat([table, *noise]), CLASSES, n_boot=1000)
    excludes = (out["lo"] > 0.5) | (out["hi"] < 0.5)
    np.testing.assert_array_equal(excludes, out["p_holm"] <= 0.05)
    assert excludes[["better", "ridge", "same"]].all() and not excludes.filter(like="noise").any()
    plain = score_table(table, CLASSES, metrics=["macro_auc"], n_boot=1000)["macro_auc"].loc["ridge"]
    assert out.loc["ridge", "lo"] < plain["lo"] and out.loc["ridge", "hi"] > plain["hi"]
    differences = holm_intervals(table, CLASSES, "ridge", n_boot=500)
    assert list(differences.index) == ["better", "same"] and differences.loc["better", "lo"] > 0


def test_constant_model_covers_chance():
    flat = predictions("majority").assign(p_I=0.5, p_II=0.25, p_III=0.25)
    out = holm_intervals(flat, CLASSES, n_boot=100).loc["majority"]
    assert out["lo"] == out["hi"] == 0.5 and out["p"] == 1.0


def test_other_metrics_need_their_value_without_signal(table):
    with pytest.raises(DataError, match=r"parameter null.*without signal is not known .*macro_f1"):
        holm_intervals(table, CLASSES, metric="macro_f1")
    found = holm_intervals(table, CLASSES, metric="balanced_accuracy", null=1 / 3, n_boot=50)
    assert found.notna().all(axis=None)


@pytest.mark.slow
def test_a_family_without_signal_is_rarely_found():
    found = 0
    for seed in range(200):
        models = [predictions(f"m{i}", n=120, signal=0, seed=100 * seed + i, patients=seed) for i in range(5)]
        out = holm_intervals(pd.concat(models), CLASSES, n_boot=1000)
        found += ((out["lo"] > 0.5) | (out["hi"] < 0.5)).any()
    assert found <= 22  # 5 % of 200 is 10; more than 22 happens less than 1 time in 2000
