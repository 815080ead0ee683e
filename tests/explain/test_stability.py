import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.explain.attributions import GeneAttribution
from mmfusion.explain.stability import mean_over_folds, over_resamples, top_k_stability

GENES = [f"G{i}" for i in range(100)]


def importance(seed, signal=0):
    values = np.random.default_rng(seed).random(100)
    values[:signal] += 1
    return pd.Series(values, index=GENES)


def test_by_hand():
    a = pd.Series([5, 4, 3, 2, 1.0], index=list("ABCDE"))
    b = pd.Series([5, 3, 4, 2, 1.0], index=list("ABCDE"))
    out = top_k_stability([a, b], k=[2, 3, 5])
    assert list(out.index) == [2, 3]
    assert out.loc[2, "jaccard"] == pytest.approx(1 / 3)  # A shared; A B C in all
    assert out.loc[2, "kuncheva"] == pytest.approx((1 * 5 - 4) / (2 * 3))
    assert out.loc[3].tolist() == pytest.approx([1, 1.8 / 4.2, 1])


def test_chance_and_signal():
    noise = top_k_stability([importance(i) for i in range(40)])
    assert abs(noise.loc[10, "kuncheva"]) < 0.03
    assert noise.loc[20, "jaccard"] == pytest.approx(noise.loc[20, "jaccard_chance"], abs=0.02)
    assert top_k_stability([importance(i, 10) for i in range(5)]).loc[10, "kuncheva"] == 1.0
    with pytest.raises(DataError, match="2 or more"):
        top_k_stability([importance(0)])


def test_few_genes_give_no_rows():
    few = importance(0)[:10]
    for out in (top_k_stability([few, few]), top_k_stability([importance(0), importance(1)], k=[100])):
        assert (
            out.empty
            and list(out.columns) == ["jaccard", "jaccard_chance", "kuncheva"]
            and out.index.name == "k"
        )
        assert out.round(3).to_dict("index") == {}


def test_genes_that_a_fold_did_not_select_count_nothing_there():
    out = mean_over_folds([pd.Series([1.0, 2.0], index=["A", "B"]), pd.Series([3.0], index=["A"])])
    assert out.loc["A"].tolist() == pytest.approx([2, np.sqrt(2), 2])
    assert out.loc["B", ["mean", "folds"]].tolist() == [1, 1]


def test_genes_that_are_not_ranked_have_no_stability():
    one, same = pd.Series({"a": 3.0, "b": 2.0, "c": 1.0}), pd.Series(0.0, ["a", "b", "c"])
    for other in (same, one.where(one > 1)):
        found = top_k_stability([one, other], k=(2,)).loc[2]
        assert found[["jaccard", "kuncheva"]].isna().all() and found["jaccard_chance"] > 0
    for k in (0, -2, 1.5):
        with pytest.raises(DataError, match="parameter k: out of range"):
            top_k_stability([one, one], k=(k,))
    with pytest.raises(DataError, match="no importances of genes"):
        mean_over_folds([])


def test_resamples_of_patients_who_agree_and_who_do_not():
    rng = np.random.default_rng(0)
    leading = np.where(np.arange(100) < 10, 2.0, 1.0)

    def contributions(each):
        patients, half = tuple(f"P{i}" for i in range(len(each))), np.full((len(each), 1), 0.5)
        return GeneAttribution(each[:, :, None], each, half, half, patients, tuple(GENES), ("I",))

    agreed = top_k_stability(over_resamples(contributions(leading + 0.1 * rng.random((30, 100)))), k=[10])
    assert agreed.loc[10, "kuncheva"] == 1.0
    noise = rng.standard_normal((30, 100))
    found = over_resamples(contributions(noise), 40, random_state=1)
    assert 0.1 < top_k_stability(found, k=[10]).loc[10, "kuncheva"] < 0.9
    assert np.mean(found, axis=0) == pytest.approx(np.abs(noise).mean(axis=0), abs=0.15)
    again = over_resamples(contributions(noise), 40, random_state=1)
    assert all(a.equals(b) for a, b in zip(found, again, strict=True))
    with pytest.raises(DataError, match="n_boot"):
        over_resamples(contributions(noise), 1)
