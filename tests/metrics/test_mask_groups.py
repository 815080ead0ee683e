"""Scores of masks by groups, Wilcoxon's test between models, and tables of older versions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mmfusion.errors import DataError
from mmfusion.metrics import LOWER_IS_BETTER
from mmfusion.metrics.groups import scores_by, size_groups
from mmfusion.metrics.ranked import wilcoxon_table
from mmfusion.metrics.segmentation import (
    MASK_SCORES,
    SEGMENTATION_LOWER_IS_BETTER,
    SEGMENTATION_METRICS,
    mask_scores,
    segmentation_table,
)
from tests.metrics.test_segmentation import PAIRS, table_of


def scored(model, dice, folds=3, **more):
    n = len(dice)
    keys = {
        "model": model,
        "repeat": 0,
        "fold": np.arange(n) % folds,
        "patient_id": [f"P{i}" for i in range(n)],
    }
    scores = dict.fromkeys(MASK_SCORES, 1.0) | {"dice": dice} | more
    return pd.DataFrame(keys | scores)


def test_both_dice_and_detection_by_hand():
    table = table_of(model=PAIRS)
    row = segmentation_table(table, n_boot=20).loc["model"].xs("mean", level=1)
    # recall of the four patients: 1/2, 1, 0, 1 (both masks empty); folds hold P0 and P2, P1 and P3
    assert row["recall"] == pytest.approx(((1 / 2 + 0) / 2 + (1 + 1) / 2) / 2)
    assert row["precision"] == pytest.approx(((1 + 0) / 2 + (1 + 1) / 2) / 2)
    assert row["lesion_sensitivity_pooled"] == pytest.approx(2 / 3)  # P2's lesion is missed, P3 has none
    assert row["false_lesions"] == 0 and row["fp_ml"] == 0
    assert row["fn_ml"] == pytest.approx(2 / 1000 / 4)  # 2 mm3 in one of 4 scans
    assert row["dice"] != row["dice_pooled"]
    assert set(SEGMENTATION_LOWER_IS_BETTER) == set(SEGMENTATION_METRICS) & set(LOWER_IS_BETTER)


def test_precision_and_recall_of_one_mask():
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[:2], b[1:2] = 1, 1
    scores = mask_scores(a, b, (1, 1))
    assert (scores["precision"], scores["recall"]) == (1, 0.5)
    assert scores["dice"] == pytest.approx(2 / (1 / scores["precision"] + 1 / scores["recall"]))
    none = mask_scores(a, np.zeros((4, 4)), (1, 1))
    assert none["precision"] == none["recall"] == none["dice_slices"] == 0


def test_without_any_lesion_there_is_no_sensitivity():
    table = table_of(model=[([0, 0], [0, 1]), ([0, 0], [0, 0])])
    row = segmentation_table(table, n_boot=5).loc["model"]
    assert np.isnan(row["lesion_sensitivity_pooled", "mean"]) and row["false_lesions", "mean"] == 0.5


def test_tables_of_older_versions_are_read():
    table = table_of(model=PAIRS)
    old = table[["model", "repeat", "fold", "patient_id", *MASK_SCORES[:7]]]
    now, then = segmentation_table(table, n_boot=20), segmentation_table(old, n_boot=20)
    for metric in ("dice", "iou", "hd95", "assd", "dice_pooled", "one_empty_pooled"):
        pd.testing.assert_frame_equal(now[metric], then[metric])
    assert then["recall"].isna().all(axis=None)


def test_size_groups_at_their_limits():
    volume = pd.Series(np.pi / 6 * np.array([0, 9.9, 10.1, 29.9, 30.1, 69.9, 70.1]) ** 3)
    assert size_groups(volume).tolist() == [
        *("no lesion", "<= 10 mm", "10-20 mm", "20-30 mm", "30-50 mm", "50-70 mm", "> 70 mm")
    ]
    assert size_groups(volume, [30.0]).cat.categories.tolist() == ["no lesion", "<= 30 mm", "> 30 mm"]


def test_groups_partition_the_patients():
    rng = np.random.default_rng(0)
    table = scored("m", rng.random(30)).assign(type=np.repeat(["a", "b", "c"], 10), site=["x", "y"] * 15)
    found = scores_by(table, "type", metrics=["dice", "recall"], n_boot=50)
    dice = found[found["metric"] == "dice"].set_index("type")
    np.testing.assert_allclose(dice["mean"], table.groupby("type")["dice"].mean())
    assert (dice["lo"] < dice["mean"]).all() and dice["n"].tolist() == [10, 10, 10]
    assert len(scores_by(table, ["type", "site"], n_boot=5)) == 6
    with pytest.raises(DataError, match=r"lack a column|column zzz"):
        scores_by(table, "zzz")
    with pytest.raises(DataError, match=r"patient P3.*no group"):
        scores_by(table.assign(type=table["type"].mask(table["patient_id"] == "P3")), "type")


def test_wilcoxon_is_that_of_scipy_with_holm():
    rng = np.random.default_rng(1)
    base = rng.random(24)
    near, far = base + rng.normal(0.01, 0.05, 24), base + rng.normal(0.1, 0.05, 24)
    table = pd.concat([scored("base", base), scored("near", near), scored("far", far)])
    found = wilcoxon_table(table, "base")
    p = {"near": stats.wilcoxon(near - base).pvalue, "far": stats.wilcoxon(far - base).pvalue}
    assert found["p"].to_dict() == pytest.approx(p)
    assert found.loc["far", "p_holm"] == pytest.approx(min(1, 2 * p["far"])) and p["far"] < p["near"]
    assert found.loc["near", "p_holm"] == pytest.approx(max(p["near"], 2 * p["far"]))
    assert (found["higher"] + found["lower"] == 24).all() and found.loc["far", "median_diff"] > 0.05


def test_wilcoxon_counts_a_person_once():
    rng = np.random.default_rng(2)
    a, b = rng.random(12), rng.random(12)
    table = pd.concat([scored("a", a), scored("b", b)])
    again = pd.concat([table, table.assign(repeat=1, dice=table["dice"] + 0.1)])
    pd.testing.assert_frame_equal(wilcoxon_table(table, "b"), wilcoxon_table(again, "b"))
    person = table["patient_id"].str.slice(1).astype(int) // 2
    assert wilcoxon_table(table.assign(person=person), "b").loc["a", "n"] == 6


def test_wilcoxon_leaves_out_what_has_no_value():
    hd = np.array([1.0, 2.0, np.nan, 4.0, 5.0, 6.0])
    table = pd.concat([scored("a", np.ones(6), hd95=hd), scored("b", np.ones(6), hd95=hd + 1)])
    found = wilcoxon_table(table, "b", "hd95").loc["a"]
    assert (found["n"], found["lower"], found["median_diff"]) == (5, 5, -1)
    assert wilcoxon_table(table, "b").loc["a", "p"] == 1  # equal for everybody
    with pytest.raises(DataError, match="no patient has hd95"):
        wilcoxon_table(table.assign(hd95=table["hd95"].where(table["model"] == "a")), "b", "hd95")
    with pytest.raises(DataError, match="no predictions of 'c'"):
        wilcoxon_table(table, "c")
    with pytest.raises(DataError, match="lack a column"):
        wilcoxon_table(table, "b", "zzz")
