import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics import (
    corrected_t_test,
    fold_scores,
    minimum_detectable_difference,
    paired_difference,
    paired_table,
    score_table,
)
from tests.metrics.predictions import CLASSES, predictions


@pytest.fixture(scope="module")
def table():
    return pd.concat(
        [predictions("better", seed=1, signal=2.5), predictions("ridge", seed=2), predictions("same", seed=3)]
    )


def test_differences_are_those_of_the_scores(table):
    out = paired_table(table, CLASSES, n_boot=400)
    auc = score_table(table, CLASSES, metrics=["macro_auc"], n_boot=10)["macro_auc"]["mean"]
    assert list(out.index) == ["better", "same"]
    assert out.loc["better", "diff"] == pytest.approx(auc["better"] - auc["ridge"])
    assert out.loc["better", "lo"] > 0 and out.loc["better", "p_holm"] < 0.05
    assert out.loc["same", "lo"] < 0 < out.loc["same", "hi"]
    folds = fold_scores(table, CLASSES)
    t = corrected_t_test(folds["better"] - folds["ridge"], 1 / 4)
    assert out.loc["better", ["corrected_lo", "corrected_hi", "corrected_p"]].tolist() == pytest.approx(
        [t["lo"], t["hi"], t["p"]]
    )
    pd.testing.assert_series_equal(
        paired_difference(table, CLASSES, "same", "ridge", n_boot=400).drop("p_holm"),
        out.loc["same"].drop("p_holm"),
    )


def test_a_model_does_not_differ_from_itself(table):
    twin = table[table["model"] == "ridge"].assign(model="twin")
    out = paired_difference(pd.concat([table, twin]), CLASSES, "twin", "ridge", n_boot=100)
    assert out[["diff", "lo", "hi"]].tolist() == [0, 0, 0] and out["p"] == 1.0


def test_intervals_are_widened_for_overlapping_training_sets(table):
    plain, wide = (paired_table(table, CLASSES, n_boot=200, overlap=o) for o in (False, True))
    k = table["fold"].nunique()
    factor = np.sqrt(1 + k / (k - 1))
    for end in ("lo", "hi"):
        np.testing.assert_allclose(wide[end] - wide["diff"], factor * (plain[end] - plain["diff"]))
    assert (wide["p"] >= plain["p"]).all()
    one = table.assign(fold=0)  # a single test set
    pd.testing.assert_frame_equal(*(paired_table(one, CLASSES, n_boot=50, overlap=o) for o in (False, True)))


def test_what_is_not_estimable_has_no_p_value(table):
    same = table.assign(y_true="I")
    found = paired_table(same, CLASSES, n_boot=20)
    assert found[["diff", "p", "p_holm"]].isna().all(axis=None)


def test_pairing_helps():
    # two models that err on the same patients: the paired interval is narrower than either model's own
    rng = np.random.default_rng(0)
    one = predictions("ridge", n=120)
    proba = one[[f"p_{c}" for c in CLASSES]] * np.exp(0.1 * rng.normal(size=(120, 3)))
    twin = one.assign(model="twin", **proba.div(proba.sum(axis=1), axis=0))
    both = pd.concat([one, twin])
    auc = score_table(both, CLASSES, metrics=["macro_auc"], n_boot=300)["macro_auc"]
    out = paired_table(both, CLASSES, n_boot=300).loc["twin"]
    assert out["hi"] - out["lo"] < 0.5 * (auc["hi"] - auc["lo"]).min()


def test_other_patients_are_refused_unless_intersected(table):
    fewer = table[~((table["model"] == "same") & (table["patient_id"] == "P007"))]
    with pytest.raises(DataError, match=r"not judged on the same patients.*ridge has 1 more"):
        paired_table(fewer, CLASSES)
    out = paired_table(fewer, CLASSES, intersect=True, n_boot=50)
    expected = paired_table(table[table["patient_id"] != "P007"], CLASSES, n_boot=50)
    pd.testing.assert_frame_equal(out, expected)
    apart = pd.concat(
        [
            table[(table["model"] == "ridge") & (table["fold"] == 0)],
            table[(table["model"] == "same") & (table["fold"] == 1)],
        ]
    )
    with pytest.raises(DataError, match="no patient in common"):
        paired_table(apart, CLASSES, intersect=True)


def test_unknown_models(table):
    with pytest.raises(DataError, match="no predictions of 'svm'"):
        paired_table(table, CLASSES, reference="svm")
    with pytest.raises(DataError, match="no predictions of 'svm'"):
        paired_difference(table, CLASSES, "svm", "ridge")
    with pytest.raises(DataError, match="no predictions of 'svm'"):
        minimum_detectable_difference(table, CLASSES, "svm", "ridge")


def test_one_fold_has_no_corrected_interval(table):
    one = table.assign(fold=0)
    assert paired_table(one, CLASSES, n_boot=50)["corrected_p"].isna().all()


def test_constant_models_have_no_detectable_difference(table):
    flat = table[table["model"] == "ridge"].assign(**{f"p_{c}": 1 / len(CLASSES) for c in CLASSES})
    both = pd.concat([flat, flat.assign(model="flat")])
    assert np.isnan(minimum_detectable_difference(both, CLASSES, "flat", n_boot=50))


def test_detectable_difference_shrinks_with_n():
    sizes = []
    for n in (60, 240):
        both = pd.concat([predictions("a", n=n, seed=1), predictions("ridge", n=n, seed=2)])
        sizes.append(minimum_detectable_difference(both, CLASSES, "a", n_boot=400))
    assert sizes[0] / sizes[1] == pytest.approx(2, rel=0.3)  # 1 / sqrt(n)
