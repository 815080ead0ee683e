import numpy as np
import pandas as pd
import pytest

from mmfusion.data.targets import get_target
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.leakage.correlation import probe_correlation
from mmfusion.evaluation.leakage.probe import assert_no_leak
from mmfusion.evaluation.leakage.rules import get_rule, rule_for
from tests.cohorts import tiny_cohort


def table(rng, n):
    """Mixed columns that know nothing, an identifier and a constant among them."""
    out = {f"n{j}": rng.normal(size=n) for j in range(20)}
    out |= {f"c{j}": rng.choice(list("abcdef"[: 2 + j % 5]), n) for j in range(8)}
    out |= {
        "id": [f"x{i}" for i in range(n)],
        "same": "a",
        "gaps": np.where(rng.random(n) < 0.5, np.nan, 1.0),
    }
    return pd.DataFrame(out)


def panel(rng, n):
    return pd.DataFrame(
        {"EGFR": rng.gamma(2, 1, n), "MET": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))}
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [4, 12, 120])
def test_silent_on_the_null(seed, n):
    rng = np.random.default_rng(seed)
    X, y = table(rng, n), panel(rng, n)
    assert probe_correlation(X, y).empty
    assert_no_leak(X, y)


@pytest.mark.parametrize(
    "leak",
    [
        lambda v: v,
        lambda v: np.log2(v + 1),
        lambda v: -3 * v + 2,
        lambda v: v.rank(),
        lambda v: np.where(np.arange(len(v)) % 3 == 0, np.nan, v),  # known of some
        lambda v: pd.qcut(v, 20).astype(str),  # categories
    ],
)
def test_fires_on_what_determines_a_gene(leak):
    rng = np.random.default_rng(1)
    X, y = table(rng, 130), panel(rng, 130)
    found = probe_correlation(X.assign(leak=leak(y["EGFR"])), y)
    assert found["columns"].tolist() == ["leak"] and found["kind"].tolist() == ["EGFR"]
    assert found["explained"][0] > 0.9
    with pytest.raises(LeakageError, match="column leak"):
        assert_no_leak(X.assign(leak=leak(y["EGFR"])), y, get_target("expression"))


def test_a_good_predictor_is_no_leak():
    rng = np.random.default_rng(2)
    y = panel(rng, 200)
    X = pd.DataFrame({"good": y["EGFR"] + rng.normal(0, 0.7, 200)})
    assert 0.5 < np.corrcoef(X["good"], y["EGFR"])[0, 1] ** 2 < 0.9
    assert probe_correlation(X, y).empty


def test_the_rule_is_that_of_the_target():
    cohort = tiny_cohort()
    assert rule_for(cohort.y).name == "lookup"
    assert rule_for(cohort.y.to_numpy()).name == "lookup"
    assert rule_for(pd.Series(["a.nii"], name="lesion")).name == "none"
    assert rule_for(pd.DataFrame({"EGFR": [1.0]})).name == "correlation"
    with pytest.raises(DataError, match="no probe rule"):
        get_rule("guess")


def test_a_mask_is_not_probed():
    y = pd.Series(["a.nii", "b.nii"], name="lesion")
    assert_no_leak(pd.DataFrame({"copy": y}), y)


def test_lengths_differ():
    with pytest.raises(DataError, match="differ in length"):
        probe_correlation(pd.DataFrame({"a": [1.0, 2]}), pd.DataFrame({"EGFR": [1.0]}))
