"""The benchmark: all models on the same folds, resumed, and its tables."""

import json

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.staging.report import benchmark, benchmark_table
from tests.cohorts import tiny_cohort

SMALL = {"n_members": 1, "max_epochs": 1, "n_genes": 8}
ONLY = ("mean of three", "concat", "single modalities", "majority")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def result(folder):
    options = {"outer": 2, "repeats": 2, "trials": 0, "out": folder, "where": "serial"}
    return benchmark.run(tiny_cohort(), model=mf.StageClassifier(**SMALL), only=ONLY, **options)


def test_all_wanted_models_are_judged_on_the_same_patients(result):
    singles = {"rna only", "ehr only", "ct only"}
    assert set(result.models) == {"daft", "ridge", "mean of three", "concat", "majority"} | singles
    seen = result.predictions.groupby("model")["patient_id"].apply(sorted)
    assert all(list(seen.iloc[0]) == list(one) for one in seen)


def test_a_second_run_takes_the_finished_folds(result, folder, monkeypatch):
    monkeypatch.setattr(mf.StageClassifier, "fit", lambda *args, **kwargs: pytest.fail("fitted again"))
    options = {"outer": 2, "repeats": 2, "trials": 0, "out": folder, "where": "serial"}
    again = benchmark.run(tiny_cohort(), model=mf.StageClassifier(**SMALL), only=ONLY, **options)
    assert again.predictions.equals(result.predictions)


def test_table_has_intervals_cost_and_corrected_differences(result):
    table = benchmark_table.table(result)
    assert (table["macro_auc_lo"] <= table["macro_auc"]).all()
    assert table.loc["ridge", "macro_auc_diff"] != table.loc["ridge", "macro_auc_diff"]  # NaN: the reference
    others = table.drop(index="ridge")
    assert (others["macro_auc_diff_lo"] < others["macro_auc_diff"]).all()
    assert others["macro_auc_p_holm"].between(0, 1).all()
    assert (table["seconds"] > 0).all() and (table["peak_mib"] > 1).all()
    assert table["macro_auc"].is_monotonic_decreasing
    assert table.loc["majority", "macro_auc"] == pytest.approx(0.5)
    found = json.loads(json.dumps(benchmark_table.to_metrics({"tiny": table}), allow_nan=False))
    assert found["tiny"]["ridge"]["macro_auc_diff"] is None
    assert "[" in benchmark_table.shown_scores(table).loc["concat", "macro-AUC"]
    differences = benchmark_table.shown_differences(table)
    assert set(differences.index) == set(table.index) - {"ridge"} and "[" in differences.iloc[0, 0]


def test_the_sentence_does_not_call_a_difference_real_that_may_be_chance(result):
    table = benchmark_table.table(result)
    assert "No model is better than ridge" in benchmark_table.sentence(
        result, table.assign(macro_auc_p_holm=np.nan)
    )
    sure = table.assign(macro_auc_p_holm=0.01, macro_auc_diff=-0.1)
    sure.loc["concat", "macro_auc_diff"] = 0.1
    assert benchmark_table.sentence(result, sure).endswith("more than chance: concat.")


def test_unknown_model(tmp_path):
    with pytest.raises(DataError, match=r"only: no such model.*got forrest.*did you mean forest"):
        benchmark.run(tiny_cohort(), only=["forrest"])
    with pytest.raises(DataError, match=r"parameter model: not a stage model .*a StageClassifier.*got x"):
        benchmark.run(tiny_cohort(), model="x")


def test_every_simple_model_and_combination_has_an_own_name():
    cohort = tiny_cohort()
    names = [*benchmark.simple_models(cohort, 0), *benchmark.combinations(mf.StageClassifier(), 0)]
    assert len(set(names)) == len(names) >= 10
    assert {"majority", "ridge", "elastic net", "forest", "boosting", "clinical ridge", "stack"} <= set(names)


def test_the_stack_learns_from_left_out_rows():
    cohort = tiny_cohort(90, signal=3.0)
    model = benchmark.combinations(mf.StageClassifier(**SMALL), 0)["stack"]
    rows = slice(0, 60)
    model.fit(cohort.X[rows], cohort.y[rows])
    right = model.predict(cohort.X[60:]) == cohort.y[60:].astype(str)
    assert list(model.classes_) == ["I", "II", "III"] and right.mean() > 0.5


def test_a_number_of_trials_that_is_no_number():
    with pytest.raises(DataError, match="parameter trials: out of range"):
        benchmark.run(tiny_cohort(30), trials=-1)
