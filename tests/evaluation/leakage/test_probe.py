import numpy as np
import pandas as pd
import pytest

from mmfusion.data.sources.lung1 import lung1
from mmfusion.data.sources.radiogenomics import radiogenomics
from mmfusion.data.sources.tcga_luad import tcga_luad
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation.leakage.probe import assert_no_leak, probe_leaks
from tests.cohorts import tiny_cohort


def table(rng, n, p=40):
    """Mixed columns that know nothing, an identifier among them."""
    out = {f"n{j}": rng.normal(size=n) for j in range(p)}
    out |= {f"c{j}": rng.choice(list("abcdef"[: 2 + j % 5]), n) for j in range(p // 4)}
    out["id"] = [f"x{i}" for i in range(n)]
    out["pairs"] = np.arange(n) // 2
    out["gaps"] = np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n))
    return pd.DataFrame(out)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n", [12, 30, 120])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.65, 0.2, 0.15)])
def test_silent_on_the_null(seed, n, shares):
    rng = np.random.default_rng(seed)
    y = np.repeat(range(len(shares)), np.ceil(np.array(shares) * n).astype(int))[:n]
    X = table(rng, n)
    assert probe_leaks(X, rng.permutation(y)).empty
    assert_no_leak(X, rng.permutation(y))


def noisy_copy(y, rng, noise=0.05):
    return np.where(rng.random(len(y)) < noise, rng.permutation(y), y)


def leak(kind, y, rng):
    code = pd.factorize(y, sort=True)[0]
    return {
        "copy": y,
        "noisy": noisy_copy(y, rng),
        "number": code + rng.normal(0, 0.1, len(y)),
        "bool": code > 0 if len(set(y)) == 2 else y,
        "missing": np.where(code == 0, np.nan, code),
        "fine": [f"{label}-{i % 9}" for i, label in enumerate(y)],
    }[kind]


@pytest.mark.parametrize("kind", ["copy", "noisy", "number", "bool", "missing", "fine"])
@pytest.mark.parametrize("classes", [["I", "II"], ["I", "II", "III"]])
def test_fires_on_one_column(kind, classes):
    rng = np.random.default_rng(1)
    y = rng.choice(classes, 120, p=[0.6, *[0.4 / (len(classes) - 1)] * (len(classes) - 1)])
    X = table(rng, 120).assign(leak=leak(kind, y, rng))
    suspects = probe_leaks(X, y)
    assert list(suspects["columns"]) == ["leak"] and suspects["balanced_accuracy"][0] > 0.9
    with pytest.raises(LeakageError, match=r"column leak.*allow_leaky=True"):
        assert_no_leak(X, y)
    assert_no_leak(X, y, allow_leaky=True)


def test_fires_on_a_pair_neither_of_which_tells():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 2, 150), rng.integers(0, 2, 150)
    X = table(rng, 150).assign(a=a, b=b)
    suspects = probe_leaks(X, a ^ b)
    assert list(suspects["columns"]) == ["a + b"] and list(suspects["kind"]) == ["pair"]


def test_mapping_with_many_levels_half_of_them_seen_once():
    rng = np.random.default_rng(3)
    y = rng.choice(["I", "II"], 100)
    code = np.where(np.arange(100) < 60, np.arange(100) // 4, np.arange(100))  # 15 levels of four, 40 of one
    X = table(rng, 100).assign(code=[f"{label}{c}" for label, c in zip(y, code)])
    suspects = probe_leaks(X, y)
    assert suspects.loc[suspects["columns"] == "code", "kind"].tolist() == ["mapping"]


def test_a_good_predictor_is_no_leak():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 300)
    X = table(rng, 300).assign(good=y * 2 + rng.normal(0, 1, 300))  # balanced accuracy .84
    assert probe_leaks(X, y).empty


def test_reads_what_a_model_would_read():
    cohort = tiny_cohort()
    X = cohort.X.copy()
    X[("meta", "stage")] = cohort.y.astype(str)
    X[("ct", "volume")] = cohort.y.astype(str) + ".nii"
    assert probe_leaks(X, cohort.y).empty
    X[("ct", "note")] = cohort.y.astype(str)
    assert list(probe_leaks(X, cohort.y)["columns"]) == ["ct: note"]


def test_same_whatever_the_order_of_patients_and_unlabelled_left_out():
    rng = np.random.default_rng(5)
    y = pd.Series(rng.choice(["I", "II"], 90))
    X = table(rng, 90).assign(leak=noisy_copy(y, rng))
    order = rng.permutation(90)
    first = probe_leaks(X, y)
    pd.testing.assert_frame_equal(first, probe_leaks(X.iloc[order], y.iloc[order]))
    more = pd.concat([X, X.iloc[:5].assign(leak="?")], ignore_index=True)
    pd.testing.assert_frame_equal(
        first, probe_leaks(more, pd.concat([y, pd.Series([None] * 5)], ignore_index=True))
    )


def test_lengths_differ():
    with pytest.raises(DataError, match="differ in length"):
        probe_leaks(pd.DataFrame({"a": [1, 2]}), [1, 2, 3])


@pytest.mark.parametrize("target", ["stage3_ajcc7", "stage4_ajcc7", "stage2", "late_vs_early"])
def test_real_radiogenomics(shared_data, target):
    folder = shared_data / "nsclc_radiogenomics"
    honest = radiogenomics(folder, aim="all", aim_spread=True).with_target(target)
    assert probe_leaks(honest.X, honest.y).empty
    leaky = radiogenomics(folder, allow_leaky=True).with_target(target)
    suspects = probe_leaks(leaky.X, leaky.y)
    assert {"ehr: t_stage", "ehr: n_stage"} <= set(suspects["columns"][0].split(" + "))


def test_real_lung1_and_tcga(shared_data):
    honest = lung1(shared_data / "lung1")
    assert probe_leaks(honest.X, honest.y).empty
    leaky = lung1(shared_data / "lung1", allow_leaky=True)
    assert probe_leaks(leaky.X, leaky.y)["columns"].tolist() == ["ehr: t_stage + ehr: n_stage"]
    tcga = tcga_luad(shared_data / "tcga")
    assert probe_leaks(tcga.X, tcga.y).empty
