"""p and q of genes against permuted labels: they hold their level, and find what is there."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.explain.permuted_labels import compare_with_refits, null_attribution

GENES = [f"G{i}" for i in range(100)]


def importance(seed, signal=0):
    values = np.random.default_rng(seed).random(100)
    values[:signal] += 1
    return pd.Series(values, index=GENES)


def fits(seed, n, *, spread=0.0, signal=0):
    """Importances of n models; the scale of each differs, and so does the mean of each gene."""
    rng = np.random.default_rng(seed)
    usual = rng.gamma(20, 1, 100)
    values = rng.gamma(8, usual, (n, 100)) * np.exp(spread * rng.normal(size=(n, 1)))
    values[0, :signal] *= 6
    return [pd.Series(row, GENES) for row in values]


def test_labels_are_permuted_and_planted_genes_found():
    y = np.array(["I", "II"] * 50)
    seen = []

    def refit(labels, seed):
        seen.append((tuple(labels), seed))
        return importance(seed)

    out = null_attribution(refit, y, importance(999, signal=5), n_permutations=20)
    assert len({labels for labels, _ in seen}) == len({seed for _, seed in seen}) == 20
    assert all(sorted(labels) == sorted(y) for labels, _ in seen)
    assert sorted(out.index[:5]) == ["G0", "G1", "G2", "G3", "G4"]
    assert (out["q"][:5] < 0.1).all() and (out["q"][5:] > 0.1).all()
    assert (out["p_list"] == 1 / 21).all() and out["p"].min() == 1 / 2001
    again = null_attribution(refit, y, importance(999, signal=5), n_permutations=20)
    pd.testing.assert_frame_equal(out, again)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_level_holds_without_signal(spread):
    """Of 60 lists without signal, at most 10 % have a gene with q < 0.1, also if models differ in scale."""
    tables = [compare_with_refits(one[0], one[1:]) for one in (fits(s, 21, spread=spread) for s in range(60))]
    found = np.mean([(t["q"] < 0.1).any() for t in tables])
    assert found < 0.1 + 2 * np.sqrt(0.1 * 0.9 / 60)
    assert np.mean([(t["p"] < 0.05).mean() for t in tables]) == pytest.approx(0.05, abs=0.01)


def test_models_of_other_scale_do_not_hide_the_signal():
    plain, spread = (
        [compare_with_refits(one[0], one[1:]) for one in (fits(s, 21, spread=k, signal=8) for s in range(10))]
        for k in (0.0, 1.0)
    )
    for tables in (plain, spread):
        assert np.mean([(t.loc[GENES[:8], "q"] < 0.1).mean() for t in tables]) > 0.8
        assert np.mean([(t["q"] < 0.1).sum() - (t.loc[GENES[:8], "q"] < 0.1).sum() for t in tables]) < 1
    for a, b in zip(plain, spread, strict=True):  # the scale of a model changes nothing
        pd.testing.assert_series_equal(a["p"].sort_index(), b["p"].sort_index())


def test_by_hand():
    null = [pd.Series({"A": 1.0 + 0.1 * i, "B": 1.0}) for i in range(9)]
    out = compare_with_refits(pd.Series({"A": 30.0, "B": 1.0}), null)
    assert out.loc["A", ["observed", "null_mean"]].tolist() == pytest.approx([30, 1.4])
    assert out.loc["A", "null_sd"] == pytest.approx(0.1 * np.std(range(9), ddof=1))
    assert out.loc["A", "p"] == pytest.approx(1 / 19)  # none of the 2 genes of 9 refits stands out as much
    assert out.loc["A", "p_list"] == pytest.approx(1 / 10)
    assert out.loc["A", "q"] == pytest.approx(max(2 / 19, 1 / 10))


def test_genes_and_models_without_importance():
    null = [pd.Series({"A": 1.0 + 0.1 * i}) for i in range(9)]  # B was not selected in any refit
    out = compare_with_refits(pd.Series({"A": 0.0, "B": 0.0}), null)
    assert (out["p"] == 1).all() and (out["q"] == 1).all()
    same = compare_with_refits(pd.Series({"A": 1.0, "B": 1.0}), [pd.Series({"A": 1.0, "B": 1.0})] * 9)
    assert (same["p"] == 1).all() and (same["q"] == 1).all()


def test_few_refits_are_not_estimable():
    out = compare_with_refits(importance(0), [importance(1), importance(2)])
    assert out[["p", "q", "p_list"]].isna().all(axis=None) and out["null_mean"].notna().all()


@pytest.mark.parametrize(
    ("observed", "null", "match"),
    [
        (importance(0), [], "nothing to compare"),
        (pd.Series(dtype=float), [importance(1)] * 5, "nothing to compare"),
        (importance(0) - 0.5, [importance(1)] * 5, "negative or not a number"),
        (
            importance(0).replace(importance(0).iloc[3], np.nan),
            [importance(1)] * 5,
            "negative or not a number",
        ),
    ],
)
def test_what_cannot_be_compared(observed, null, match):
    with pytest.raises(DataError, match=match):
        compare_with_refits(observed, null)
