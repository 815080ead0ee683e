"""All kinds of targets work with nested_cv, the store and external validation, whatever the estimator."""

import ast
import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest

import mmfusion as mf
import mmfusion.evaluation
from mmfusion.data.targets.base import KINDS
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation import judge_outside, revalidate, robustness, subgroups
from mmfusion.evaluation.regression_baselines import MeanOfTraining
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import TASKS, ClassificationTask, RegressionTask, SegmentationTask, task_for
from mmfusion.metrics.names import metric_title
from tests.cohorts import tiny_cohort
from tests.evaluation.toys import (
    GENES,
    QUIET,
    GivenTarget,
    ToyRegressor,
    ToySegmenter,
)


def same(one, other):
    """Whether two results say the same, but for the time they took."""
    pd.testing.assert_frame_equal(one.predictions, other.predictions, check_exact=True)
    strip = [
        [replace(f, seconds=0.0, cpu_seconds=0.0, peak_mib=0.0, bundle=None) for f in r.folds]
        for r in (one, other)
    ]
    assert json.dumps([f.to_json() for f in strip[0]]) == json.dumps([f.to_json() for f in strip[1]])


def test_the_kind_of_the_target_chooses_the_task(vectors, masks):
    assert task_for(tiny_cohort()) == ClassificationTask(("I", "II", "III"))
    assert task_for(vectors) == RegressionTask(GENES)
    assert task_for(masks) == SegmentationTask("ct")
    assert set(TASKS) == set(KINDS)


def test_what_is_measured_for_classes_refuses_other_targets(toy):
    cohort, _, _ = toy
    result = Mock(spec=NestedResult, task=task_for(cohort), target=cohort.target)
    for judge, *inputs in (
        (robustness, None, cohort),
        (revalidate, "old", "new", cohort),
        (judge_outside, "model", cohort, cohort),
        (subgroups, result, cohort),
    ):
        with pytest.raises(DataError, match=r"(for|by) classes \(expected a target with classes; got "):
            judge(*inputs)


@pytest.mark.parametrize("kind", TASKS)
def test_contract(kind):
    task = TASKS[kind]
    assert task.primary and isinstance(task.higher_is_better, bool)
    assert not task.__abstractmethods__ and task.__dataclass_params__.frozen


def test_everybody_is_predicted_once_and_the_headline_has_an_interval(toy):
    cohort, model, search = toy
    result = mf.nested_cv(model, cohort, search=search, n_trials=2, **QUIET)
    for name in result.models:
        assert sorted(result.of([name])["patient_id"]) == sorted(cohort.X.index)
    main, primary = type(model).__name__, result.task.primary
    row = result.scores.loc[main, primary]
    assert 0.4 < row["lo"] < row["mean"] < row["hi"] < 1
    assert result.params().iloc[:, 0].isin([1.0, 0.0]).all()  # the inner folds find the better setting
    metrics = json.loads(json.dumps(result.to_metrics()))
    assert metrics["primary"]["metric"] == primary and metrics["primary"]["model"] == main
    assert primary in metrics["models"][main]
    printed = [m for m in (primary, result.task.second) if m]  # two numbers called Dice are both named
    assert all(metric_title(m) in repr(result) for m in printed)


def test_resumed_folds_equal_fresh_ones(toy, tmp_path):
    cohort, model, search = toy
    settings = QUIET | {"search": search, "n_trials": 2, "out": tmp_path}
    first = mf.nested_cv(model, cohort, **settings)
    files = sorted((tmp_path / "folds").rglob("*.json"))
    for file in files[::2]:
        file.unlink()
    same(first, mf.nested_cv(model, cohort, **settings))
    same(first, mf.nested_cv(model, cohort, **(settings | {"out": None})))


def test_serial_equals_processes(toy):
    cohort, model, _ = toy
    serial = mf.nested_cv(model, cohort, **QUIET)
    same(serial, mf.nested_cv(model, cohort, **(QUIET | {"where": "loky", "n_jobs": 2})))


def test_rows_of_one_person_stay_together(vectors):
    groups = vectors.groups.assign(patient=[f"P{i // 2}" for i in range(len(vectors.groups))])
    result = mf.nested_cv(ToyRegressor(), replace(vectors, groups=groups), search={"shrink": [1.0]}, **QUIET)
    folds = result.of(["ToyRegressor"]).groupby("person")["fold"].nunique()
    assert (folds == 1).all()


def test_external_data_are_judged_by_the_task(toy, tmp_path, monkeypatch):
    cohort, model, _ = toy
    half, rest = cohort.X.index[::2], cohort.X.index[1::2]
    model = type(model)().fit(cohort.X.loc[half], cohort.y.loc[half])
    monkeypatch.setattr("mmfusion.bundle.load", lambda _: model)
    other = replace(cohort, labels=cohort.labels.loc[rest])
    predictions, scores = mf.external_validation(tmp_path / "model", other)
    primary = task_for(cohort).primary
    assert list(predictions["patient_id"]) == list(rest) and scores.loc["external", (primary, "mean")] > 0.5
    look = json.loads((tmp_path / "model.external" / "tiny.json").read_text())[0]
    assert look[primary] == scores.loc["external", (primary, "mean")]
    with pytest.raises(LeakageError, match="already judged"):
        mf.external_validation(tmp_path / "model", other)


def test_variants_are_the_models_own(vectors):
    result = mf.nested_cv(ToyRegressor(0.5), vectors, baselines=False, alone=True, **QUIET)
    assert result.models == ["ToyRegressor", "no shrinking"]
    with pytest.raises(DataError, match=r"variants do not take this.*singles"):
        mf.nested_cv(ToyRegressor(), vectors, singles=True, **QUIET)
    with pytest.raises(DataError, match="ToySegmenter offers no variants"):
        mf.nested_cv(ToySegmenter(), vectors, fusions=["concat"], **QUIET)
    assert mf.nested_cv(MeanOfTraining(), vectors, singles=False, baselines=False, **QUIET).models == [
        "MeanOfTraining"
    ]


def test_what_the_target_forbids_is_refused(vectors, monkeypatch):
    monkeypatch.setattr(GivenTarget, "forbids", lambda self, modality, feature: feature == "sphericity")
    with pytest.raises(LeakageError, match=r"column sphericity: determines toy"):
        mf.nested_cv(ToyRegressor(), vectors, **QUIET)
    model = ToyRegressor()
    model.allow_leaky = True
    mf.nested_cv(model, vectors, baselines=False, **QUIET)


def test_no_file_of_the_engine_names_an_estimator():
    """Estimators are known by what they offer; what baselines are made of is the tasks' business."""
    names = {
        "StageClassifier",
        "DummyClassifier",
        "LesionSegmenter",
        "fusion",
        "fusion_options",
        "fusions",
        "singles",
    }
    files = "nested folds runner external unseen result store fold_result content"
    for file in files.split():
        tree = ast.parse((Path(mmfusion.evaluation.__file__).parent / f"{file}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node):
                node.body = node.body[1:]
        said = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        said |= {getattr(n, "id", getattr(n, "attr", getattr(n, "arg", None))) for n in ast.walk(tree)}
        assert not said & names, file
