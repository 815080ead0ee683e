import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from mmfusion.errors import DataError
from mmfusion.metrics import fold_scores, score_table, scores_by_group
from tests.metrics.predictions import CLASSES, predictions

P = [f"p_{c}" for c in CLASSES]


@pytest.fixture(scope="module")
def table():
    return pd.concat([predictions("a", repeats=2, seed=1), predictions("b", repeats=2, seed=2, signal=2)])


def auc(rows):
    return roc_auc_score(rows["y_true"], rows[P], multi_class="ovr", labels=list(CLASSES))


def test_mean_over_folds_and_repeats(table):
    scores = score_table(table, CLASSES, n_boot=50)
    a = table[table["model"] == "a"]
    by_fold = a.groupby(["repeat", "fold"])[[*P, "y_true"]].apply(auc)
    assert scores.loc["a", ("macro_auc", "mean")] == pytest.approx(by_fold.mean())
    pooled = a.groupby("repeat")[[*P, "y_true"]].apply(auc)
    assert scores.loc["a", ("macro_auc_pooled", "mean")] == pytest.approx(pooled.mean())
    f1 = a.assign(hat=np.array(CLASSES)[a[P].to_numpy().argmax(axis=1)]).groupby(["repeat", "fold"])
    f1 = f1[["y_true", "hat"]].apply(lambda r: f1_score(r["y_true"], r["hat"], average="macro"))
    assert scores.loc["a", ("macro_f1", "mean")] == pytest.approx(f1.mean())
    pd.testing.assert_series_equal(fold_scores(table, CLASSES)["a"], by_fold, check_names=False)


def test_more_signal_higher_score(table):
    scores = score_table(table, CLASSES, metrics=["macro_auc", "brier"], n_boot=200)
    assert list(scores.index) == ["a", "b"]
    assert scores.loc["b", ("macro_auc", "lo")] > scores.loc["a", ("macro_auc", "hi")]
    assert scores.loc["b", ("brier", "mean")] < scores.loc["a", ("brier", "mean")]


def test_repeats_do_not_make_patients(table):
    # the same predictions, repeated: nothing is known better
    one = predictions("a", seed=1)
    five = pd.concat([one.assign(repeat=r) for r in range(5)])
    once, often = (score_table(t, CLASSES, metrics=["macro_auc"], n_boot=100) for t in (one, five))
    np.testing.assert_allclose(once, often)


def test_order_of_rows_does_not_matter(table):
    shuffled = table.sample(frac=1, random_state=0)
    expected = score_table(table, CLASSES, n_boot=50)
    pd.testing.assert_frame_equal(score_table(shuffled, CLASSES, n_boot=50).loc[expected.index], expected)


def test_fold_without_a_class():
    one = predictions("a", n=60)
    one["fold"] = np.where(one["y_true"] == "III", 0, np.arange(60) % 3)
    scores = fold_scores(one, CLASSES)
    rows = one[one["fold"] == 1]
    assert scores.loc[(0, 1), "a"] == pytest.approx(
        np.mean([roc_auc_score(rows["y_true"] == c, rows[f"p_{c}"]) for c in ("I", "II")])
    )
    scores = score_table(one, CLASSES, n_boot=50)
    without = [column for column in scores if column[0].startswith("ece") and column[1] != "mean"]
    assert np.isfinite(scores.drop(columns=without)).all(axis=None)
    assert scores[without].isna().all(axis=None)  # resampling would bias it upwards


def test_scores_by_group(table):
    patients = table["patient_id"].unique()
    groups = pd.Series(np.where(np.arange(len(patients)) < 60, "all three", "no RNA"), index=patients)
    out = scores_by_group(table, CLASSES, groups, n_boot=50)
    assert list(out["group"]) == ["all three", "all three", "no RNA", "no RNA"]
    assert list(out["n"]) == [60, 60, 30, 30]
    rows = table[(table["model"] == "a") & table["patient_id"].map(groups).eq("no RNA")]
    assert out["mean"].iloc[2] == pytest.approx(rows.groupby("repeat")[[*P, "y_true"]].apply(auc).mean())
    with pytest.raises(DataError, match="no group"):
        scores_by_group(table, CLASSES, groups.iloc[1:])


def test_a_group_with_few_persons_of_a_class_has_no_auc():
    table = predictions("a", n=200, classes=["I", "II"])
    one_each = table.drop_duplicates("patient_id").set_index("patient_id")["y_true"]
    late = one_each.index[one_each == "II"]
    groups = pd.Series("many", one_each.index)
    for group, n in {"four": 4, "five": 5, "none": 0}.items():
        free = groups[groups == "many"].index
        groups[[*free.intersection(late)[:n], *free.difference(late)[:12]]] = group
    aucs = scores_by_group(table, ["I", "II"], groups, n_boot=50).set_index("group")
    assert aucs.loc[["four", "none"], ["mean", "lo", "hi"]].isna().all(axis=None)
    assert aucs.loc[["five", "many"], ["mean", "lo", "hi"]].notna().all(axis=None)
    assert aucs["said"].to_dict() == {
        "many": "",
        "five": "few patients of a class (II 5): uncertain",
        "four": "too few patients of a class (II 4): not estimable",
        "none": "one class only (I): not estimable",
    }
    shares = scores_by_group(table, ["I", "II"], groups, metric="accuracy_pooled", n_boot=5)
    assert shares["mean"].notna().all()  # a mean over patients needs no class
    # five patient ids of four persons are four persons
    first, second = groups.index[groups == "five"].intersection(late)[:2]
    person = table["patient_id"].replace(second, first)
    twice = scores_by_group(table.assign(person=person), ["I", "II"], groups, n_boot=5).set_index("group")
    assert twice.loc["five", "said"] == "too few patients of a class (II 4): not estimable"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="p_II"), "lack a column"),
        (lambda t: pd.concat([t, t.iloc[[0]]]), "two predictions in repeat 0"),
        (lambda t: t.assign(y_true=np.where(np.arange(len(t)) == 0, "III", t["y_true"])), "two labels"),
        (lambda t: t.assign(p_II=2.0), "not a distribution"),
    ],
)
def test_bad_predictions(table, change, message):
    table = table.reset_index(drop=True)
    table.loc[table["patient_id"] == table["patient_id"][0], "y_true"] = "I"
    with pytest.raises(DataError, match=message):
        score_table(change(table), CLASSES)


def test_the_decided_class_counts_where_it_differs_from_the_most_probable_one():
    table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    decided = table.assign(y_pred=["I", "II"])
    names = ["accuracy", "macro_f1", "balanced_accuracy", "macro_auc", "brier"]
    plain = score_table(table, ["I", "II"], metrics=names, n_boot=10).xs("mean", axis=1, level=1).loc["m"]
    own = score_table(decided, ["I", "II"], metrics=names, n_boot=10).xs("mean", axis=1, level=1).loc["m"]
    assert plain["accuracy"] == 0.5 and (own[["accuracy", "macro_f1", "balanced_accuracy"]] == 1).all()
    assert (own[["macro_auc", "brier"]] == plain[["macro_auc", "brier"]]).all()
    with pytest.raises(DataError, match="not among the classes"):
        score_table(table.assign(y_pred=["I", "IV"]), ["I", "II"], n_boot=10)
