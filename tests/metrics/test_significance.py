import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from mmfusion.errors import DataError
from mmfusion.metrics import corrected_t_test, delong, holm, wilcoxon


def test_holm_by_hand():
    # sorted .005 .01 .03 .04: times 4, 3, 2, 1, and never falling
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.7, 0.9]), [1.0, 1.0])
    assert holm([0.04]) == [0.04]


def test_corrected_t_by_hand():
    d = np.array([0.02, 0.05, -0.01, 0.04, 0.03])  # mean .026, variance .00053
    out = corrected_t_test(d, 1 / 4)
    assert out["t"] == pytest.approx(0.026 / np.sqrt((1 / 5 + 1 / 4) * 0.00053))
    assert out["p"] == pytest.approx(2 * stats.t.sf(out["t"], 4))
    assert out["hi"] - out["diff"] == pytest.approx(2.776445 * 0.026 / out["t"])
    plain = stats.ttest_1samp(d, 0)
    assert corrected_t_test(d, 0.0)["p"] == pytest.approx(plain.pvalue)
    assert out["p"] > plain.pvalue
    assert corrected_t_test([0.0, 0.0, 0.0], 0.25)["p"] == 1.0
    with pytest.raises(DataError, match="too few folds"):
        corrected_t_test([0.1, np.nan], 0.25)


def delong_brute(y, a, b):
    """Equations 3 to 6 of the paper, pair by pair."""
    components = []
    for s in (a, b):
        wins = (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])
        components.append((wins.mean(axis=1), wins.mean(axis=0)))
    v10, v01 = np.cov([c[0] for c in components]), np.cov([c[1] for c in components])
    s = v10 / (y == 1).sum() + v01 / (y == 0).sum()
    return np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@pytest.mark.parametrize("seed", range(3))
def test_delong_is_the_paper(seed):
    rng = np.random.default_rng(seed)
    y = (np.arange(60) < 22).astype(int)
    a = np.round(rng.normal(size=60) + y, 1)  # with ties
    b = np.round(a + rng.normal(size=60), 1)
    out = delong(y, a, b)
    assert out["auc_a"] == pytest.approx(roc_auc_score(y, a))
    assert out["auc_b"] == pytest.approx(roc_auc_score(y, b))
    se = delong_brute(y, a, b)
    assert out["z"] == pytest.approx(out["diff"] / se)
    assert out["hi"] - out["lo"] == pytest.approx(2 * 1.959964 * se)
    swapped = delong(y, b, a)
    assert swapped["p"] == pytest.approx(out["p"]) and swapped["diff"] == pytest.approx(-out["diff"])


def test_delong_of_perfect_and_perfectly_wrong():
    y, a = [0, 0, 0, 1, 1, 1], np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    out = delong(y, a, -a)
    assert (out["auc_a"], out["auc_b"], out["diff"]) == (1, 0, 1)
    assert all(np.isnan(out[name]) for name in ("lo", "hi", "z", "p"))  # no variance: not estimable


def test_a_difference_that_is_equal_in_all_folds_has_no_p_value():
    out = corrected_t_test([-0.5] * 5, 0.25)
    assert out["diff"] == -0.5 and all(np.isnan(out[name]) for name in ("lo", "hi", "t", "p"))
    assert corrected_t_test([0.0] * 5, 0.25)["p"] == 1.0


def test_holm_does_not_count_what_is_not_estimable():
    found = holm([0.01, np.nan, 0.04])
    assert found[[0, 2]].tolist() == [0.02, 0.04] and np.isnan(found[1])


def test_delong_of_a_model_with_itself():
    y, a = [0, 0, 1, 1, 0], [0.1, 0.4, 0.3, 0.8, 0.2]
    assert delong(y, a, a)["p"] == 1.0
    with pytest.raises(DataError, match="2 of each class"):
        delong([0, 0, 1], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    with pytest.raises(DataError, match="differ in length"):
        delong(y, a[:4], a[:4])


def test_wilcoxon_pairs_by_patient():
    rng = np.random.default_rng(0)
    a = pd.Series(rng.random(20), index=[f"P{i}" for i in range(20)])
    b = a + rng.normal(0.05, 0.1, 20)
    out = wilcoxon(a, b.sample(frac=1, random_state=1))
    assert out["p"] == pytest.approx(stats.wilcoxon(a - b).pvalue) and out["n"] == 20
    assert wilcoxon(a, a)["p"] == 1.0
    with pytest.raises(DataError, match="P19"):
        wilcoxon(a, b.iloc[:19])
    with pytest.raises(DataError, match="P3: a value is missing"):
        wilcoxon(a, b.where(b.index != "P3"))
