"""Performance within groups of patients: who is judged, who is not and why, and how much groups differ."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.cohort import Cohort, presence
from mmfusion.errors import DataError, MMFusionError
from mmfusion.evaluation import NestedResult, patient_groups, subgroups, task_for
from mmfusion.metrics import scores_by_group
from tests.cohorts import tiny_cohort
from tests.metrics.predictions import predictions

pytest.importorskip("fairlearn", reason="the extra `fairness` is not installed")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return tiny_cohort(160, seed=3)


def result_of(cohort: Cohort, signal: object = 1.0, models=("fused",), repeats: int = 1) -> NestedResult:
    """Simulated predictions for the patients of a cohort; `signal` is one number, or one per patient."""
    y, classes = cohort.y.cat.codes.to_numpy(), list(cohort.y.cat.categories)
    parts = []
    for model in models:
        table = predictions(model, n=len(y), signal=0, repeats=repeats, classes=classes, seed=len(model))
        p = table[[f"p_{c}" for c in classes]].to_numpy(copy=True).reshape(repeats, len(y), -1)
        p[:, np.arange(len(y)), y] *= np.exp(signal)
        table[[f"p_{c}" for c in classes]] = (p / p.sum(axis=2, keepdims=True)).reshape(-1, len(classes))
        table["patient_id"] = np.tile(cohort.X.index, repeats)
        table["y_true"] = np.tile(cohort.y.astype(str), repeats)
        table["y_pred"] = np.array(classes)[table[[f"p_{c}" for c in classes]].to_numpy().argmax(1)]
        parts.append(table.assign(person=table["patient_id"]))
    rows = pd.concat(parts, ignore_index=True)
    return NestedResult("tiny", cohort.target, task_for(cohort), rows, [], models[0], presence(cohort.X))


def with_column(cohort: Cohort, name: str, values) -> Cohort:
    table = cohort.table.copy()
    table["ehr", name] = values
    return replace(cohort, table=table)


def test_groups_are_found_by_the_names_of_columns(cohort):
    found = patient_groups(cohort)
    assert list(found) == ["sex", "age", "site", "modalities"]
    age = cohort.X["ehr", "age"]
    assert (found["age"] == np.where(age < 60, "< 60", np.where(age <= 70, "60-70", "> 70"))).all()
    assert set(found["modalities"]) <= {"ct+ehr+rna", "ehr+rna", "ct+ehr", "ehr"}
    renamed = with_column(cohort, "Race", np.where(np.arange(160) % 2, "a", None))
    assert set(patient_groups(renamed)["ethnicity"]) == {"a", "not known"}
    assert list(patient_groups(cohort, ["sex", "ct.margin"])) == ["sex", "ct.margin"]


def test_groups_are_in_order_of_age_and_unknown_comes_last(cohort):
    ages = cohort.X["ehr", "age"].where(np.arange(160) % 3 > 0)
    found = subgroups(
        result_of(cohort), with_column(cohort, "age", ages), ["age"], n_boot=2, n_permutations=2
    )
    assert list(found.table["group"].unique()) == ["< 60", "60-70", "> 70", "not known"]


def test_groups_that_a_cohort_lacks_are_one_error(cohort):
    with pytest.raises(
        DataError, match=r"no such grouping.*expected sex, age, site, modalities; got smoking"
    ):
        patient_groups(cohort, ["smoking"])
    with pytest.raises(DataError, match=r"rna.GENE1: a column with too many values for groups"):
        patient_groups(cohort, ["rna.GENE1"])
    with pytest.raises(DataError, match=r"P3005.*a patient has no group"):
        patient_groups(cohort, {"mine": pd.Series("a", cohort.X.index.drop("P3005"))})


def test_values_are_those_of_the_pooled_predictions_of_the_group(cohort):
    result = result_of(cohort, repeats=2)
    found = subgroups(result, cohort, ["sex"], metrics=["macro_auc", "accuracy"], n_boot=200).table
    for metric in ("macro_auc", "accuracy"):
        expected = scores_by_group(
            result.predictions,
            result.classes,
            patient_groups(cohort)["sex"],
            metric=f"{metric}_pooled",
            n_boot=200,
        ).set_index("group")
        rows = found[found["metric"] == metric].set_index("group")
        pd.testing.assert_series_equal(rows["value"], expected["mean"].loc[rows.index], check_names=False)
        pd.testing.assert_series_equal(rows["n"], expected["n"].loc[rows.index], check_names=False)
        assert ((rows["lo"] < rows["value"]) & (rows["value"] < rows["hi"])).all()
        # the same bootstrap, with other draws
        assert rows["hi"].sub(rows["lo"]).to_numpy() == pytest.approx(
            expected["hi"].sub(expected["lo"]).loc[rows.index].to_numpy(), rel=0.35
        )


def test_a_small_group_and_a_group_of_one_class_have_no_number(cohort):
    y = cohort.y.astype(str)
    groups = pd.Series("large", cohort.X.index)
    groups[y[y == "I"].index[:25]] = "one class"
    groups[y[y == "II"].index[:5]] = "small"
    found = subgroups(result_of(cohort), cohort, {"mine": groups}, n_boot=20, n_permutations=20)
    rows = found.table.query("metric == 'macro_auc'").set_index("group")
    assert rows.loc[["one class", "small"], ["value", "lo", "hi"]].isna().all(axis=None)
    assert rows.loc["small", "said"] == "too small: 5 of at least 20 patients"
    assert rows.loc["one class", "said"] == "one class only (I): not estimable"
    assert rows.loc["large", "value"] > 0.5 and found.gaps.empty  # one group has nothing to differ from
    assert found.notes == ["mine, one class: one class only (I): not estimable.",
                           "mine, small: too small: 5 of at least 20 patients."]  # fmt: skip


def test_a_planted_gap_is_found_and_random_groups_have_none(cohort):
    sex = (cohort.X["ehr", "sex"] == "male").to_numpy()
    result = result_of(cohort, np.where(sex, 3.0, 0.0))
    gaps = subgroups(result, cohort, ["sex", "site"], metrics=["macro_auc"], n_boot=200).gaps.set_index("by")
    sex = gaps.loc["sex"]
    assert (sex["lowest"], sex["highest"]) == ("female", "male")
    assert sex["difference"] > 0.25 and sex["p_chance"] < 0.01
    assert not {"lo", "hi"} & set(gaps)  # a maximum minus a minimum is never below 0
    assert sex["ratio"] == pytest.approx(1 - sex["difference"] / (sex["difference"] + 0.5), abs=0.15)
    assert gaps.loc["site", "p_chance"] > 0.05
    assert sex["p_holm"] == pytest.approx(2 * sex["p_chance"])  # two groupings


def test_p_chance_is_uniform_if_groups_are_random(cohort):
    result, rng = result_of(cohort), np.random.default_rng(0)
    groups = {f"g{i}": pd.Series(rng.choice(["a", "b", "c"], 160), cohort.X.index) for i in range(40)}
    p = subgroups(result, cohort, groups, metrics=["accuracy"], n_boot=2, n_permutations=99).gaps["p_chance"]
    assert len(p) == 40 and (p <= 0.1).mean() < 0.25 and 0.3 < p.mean() < 0.7


def test_few_patients_of_a_class_have_no_number_or_an_uncertain_one(cohort):
    """A class that a group lacks is left out of its mean; each class that it has needs five patients."""
    y = cohort.y.astype(str)
    groups = pd.Series("many", cohort.X.index)
    for group, (n_two, n_three) in {"four": (4, 0), "five": (5, 0), "nine": (10, 9)}.items():
        for name, n in {"I": 12, "II": n_two, "III": n_three}.items():
            groups[y[(y == name) & (groups == "many")].index[:n]] = group
    options = {"metrics": ["macro_auc", "accuracy"], "smallest": 10, "n_boot": 5, "n_permutations": 5}
    found = subgroups(result_of(cohort), cohort, {"mine": groups}, **options)
    rows = found.table.set_index(["metric", "group"])
    said = {
        "four": "too few patients of a class (II 4): not estimable",
        "five": "no patient of class III; few patients of a class (II 5): uncertain",
        "nine": "few patients of a class (III 9): uncertain",
        "many": "",
    }
    assert rows.loc["macro_auc", "said"].to_dict() == said
    assert np.isnan(rows.loc[("macro_auc", "four"), ["value", "lo", "hi"]].astype(float)).all()
    assert rows.loc["macro_auc", "value"].drop("four").notna().all()
    assert rows.loc["accuracy", "value"].notna().all()  # a mean over patients
    assert "mine, four: too few patients of a class (II 4): not estimable." in found.notes
    gap = found.gaps.set_index("metric").loc["macro_auc"]
    assert "four" not in (gap["lowest"], gap["highest"])


def test_several_models_are_judged_on_the_same_groups(cohort):
    result = result_of(cohort, models=("fused", "ridge"))
    table = subgroups(result, cohort, ["sex"], models=["fused", "ridge"], n_boot=10, n_permutations=10).table
    assert list(table["model"].unique()) == ["fused", "ridge"]
    assert table.groupby("model")["n"].apply(tuple).nunique() == 1
    again = subgroups(result, cohort, ["sex"], models=["fused", "ridge"], n_boot=10, n_permutations=10).table
    pd.testing.assert_frame_equal(table, again)


def test_bad_input_is_one_error(cohort):
    result = result_of(cohort)
    with pytest.raises(DataError, match="no predictions of 'gmu'"):
        subgroups(result, cohort, ["sex"], models=["gmu"])
    with pytest.raises(DataError, match=r"smallest: too small a group"):
        subgroups(result, cohort, smallest=1)
    with pytest.raises(DataError, match="lacks a patient of the result"):
        subgroups(result, tiny_cohort(20, seed=4))


def test_without_fairlearn_the_error_names_the_extra(cohort, monkeypatch):
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    with pytest.raises(MMFusionError, match=r"needs fairlearn.*pip install 'mmfusion\[fairness\]'"):
        subgroups(result_of(cohort), cohort, ["sex"], n_boot=2)


def test_unusable_groups_are_one_error(cohort):
    result, ids = result_of(cohort), cohort.X.index
    twice = pd.Series("a", [*ids, ids[0]])
    with pytest.raises(DataError, match=rf"patient {ids[0]}, parameter by\['g'\]: a patient has two groups"):
        subgroups(result, cohort, {"g": twice})
    with pytest.raises(DataError, match=r"parameter by\['g'\]: not the groups of patients.*got list"):
        subgroups(result, cohort, {"g": ["a"] * len(ids)})
    with pytest.raises(DataError, match=r"parameter by: not a list of groupings \(expected \['sex'\]"):
        subgroups(result, cohort, "sex")
    with pytest.raises(DataError, match=r"parameter by: the cohort has no such grouping"):
        subgroups(result, cohort, [3])
    for name in ("n_permutations", "n_boot", "smallest"):
        with pytest.raises(DataError, match=f"parameter {name}: out of range"):
            subgroups(result, cohort, ["sex"], **{name: -1 if name != "smallest" else "a"})
    with pytest.raises(DataError, match="parameter n_permutations: out of range"):
        subgroups(result, cohort, ["sex"], n_permutations=0)


def with_ehr(cohort, **columns):
    table = cohort.table.copy()
    for name, values in columns.items():
        table[("ehr", name)] = values
    return replace(cohort, table=table)


def test_cells_of_groups_are_cleaned():
    cohort = tiny_cohort(12)
    race = patient_groups(with_ehr(cohort, race=["a", " a", "a ", "N/A", "", None] * 2), ["ethnicity"])
    assert race["ethnicity"].tolist() == ["a"] * 3 + ["not known"] * 3 + ["a"] * 3 + ["not known"] * 3


def test_ages_that_are_no_numbers():
    cohort = tiny_cohort(12)
    words = with_ehr(cohort, age=["61"] * 10 + ["59 years", "70"])
    with pytest.raises(DataError, match=r"patient P010, column age: not a number .*got '59 years'"):
        patient_groups(words, ["age"])
    bands = with_ehr(cohort, age=["60-65", "66-70"] * 6)
    assert set(patient_groups(bands, ["age"])["age"]) == {"60-65", "66-70"}


def test_a_named_grouping_that_the_cohort_lacks_says_its_columns():
    with pytest.raises(DataError, match=r"got ethnicity\) -> it is read from .*race, ethnic_group"):
        patient_groups(tiny_cohort(12), ["ethnicity"])


def test_arguments_of_another_kind_are_named():
    with pytest.raises(DataError, match="parameter result: not a result"):
        subgroups("result", tiny_cohort(12))


def test_a_model_that_predicts_the_same_within_a_fold_has_no_auc(cohort):
    """Pooled over folds, it would rank the shares of the classes in the folds."""
    result = result_of(cohort)
    columns = [f"p_{c}" for c in result.classes]
    rows = result.predictions
    same = rows.groupby(["repeat", "fold"])[columns].transform("first")
    result = replace(result, predictions=rows.assign(**same))
    found = subgroups(result, cohort, ["sex"], n_boot=20, n_permutations=20)
    auc = found.table[found.table["metric"] == "macro_auc"]
    assert auc["value"].isna().all() and auc["said"].str.startswith("not estimable: the model predicts").all()
    assert set(found.gaps["metric"]) == {"balanced_accuracy"}
    assert found.table.loc[found.table["metric"] == "balanced_accuracy", "value"].notna().all()
