"""All kinds of targets work with nested_cv, the store and external validation, whatever the estimator."""

import ast
import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmfusion as mf
import mmfusion.evaluation
from mmfusion.data.splits import Splits
from mmfusion.data.targets.base import KINDS
from mmfusion.errors import DataError, LeakageError
from mmfusion.evaluation import judge_outside, revalidate, robustness, subgroups
from mmfusion.evaluation.regression_baselines import MeanOfTraining, MeanWhereAbsent, RidgePerTarget
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import TASKS, ClassificationTask, RegressionTask, SegmentationTask, task_for
from mmfusion.imaging import read_mask, write_nifti
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.segmentation import mask_scores
from tests.cohorts import tiny_cohort
from tests.evaluation.toys import GENES, GivenTarget, ToyRegressor, ToySegmenter, mask_cohort, vector_cohort

QUIET = {"outer": 3, "inner": 2, "where": "serial", "progress": False}


@pytest.fixture(scope="module")
def vectors():
    return vector_cohort()


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    return mask_cohort(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module", params=["vectors", "masks"])
def toy(request):
    """(cohort, model, a search) of each kind of target that has no classes."""
    cohort = request.getfixturevalue(request.param)
    if request.param == "vectors":
        return cohort, ToyRegressor(), {"shrink": [0.1, 1.0]}
    return cohort, ToySegmenter(), {"shift": [-300.0, 0.0]}


def same(one, other):
    """Whether two results say the same, but for the time they took."""
    pd.testing.assert_frame_equal(one.predictions, other.predictions, check_exact=True)
    strip = [
        [replace(f, seconds=0.0, cpu_seconds=0.0, peak_mib=0.0, bundle=None) for f in r.folds]
        for r in (one, other)
    ]
    assert json.dumps([f.to_json() for f in strip[0]]) == json.dumps([f.to_json() for f in strip[1]])


# --- all kinds
# --------------------------------------------------------------------------------------------------


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


# --- vectors
# ----------------------------------------------------------------------------------------------------


def test_values_and_metrics_of_vectors(vectors):
    result = mf.nested_cv(ToyRegressor(), vectors, **QUIET)
    rows = result.of(["ToyRegressor"])
    by_fold = []
    for _, fold in rows.groupby("fold"):
        for gene in GENES:
            known = fold[f"true_{gene}"].notna()
            by_fold.append(
                stats.pearsonr(fold.loc[known, f"true_{gene}"], fold.loc[known, f"pred_{gene}"])[0]
            )
    assert result.scores.loc["ToyRegressor", ("pearson", "mean")] == pytest.approx(np.mean(by_fold))
    assert rows["true_EGFR"].isna().sum() == vectors.y["EGFR"].isna().sum() > 0
    assert {"mean", "ridge", "clinical ridge", "ct ridge"} < set(result.models)
    assert result.inputs()["mean"] == () and result.inputs()["ct ridge"] == ("ct",)
    assert result.scores.loc["mean", ("pearson", "mean")] == 0
    assert result.paired().loc["mean", "hi"] < 0
    assert result.detectable_difference() > 0
    assert result.to_metrics()["primary"] == {
        "metric": "pearson",
        "model": "ToyRegressor",
        "reference": "ridge",
    }


def test_learning_curve_of_vectors(vectors):
    curve = mf.nested_cv(ToyRegressor(), vectors, learning_curve=[0.5], **QUIET).learning_curve()
    assert set(curve["model"]) == {"ToyRegressor", "ridge"} and len(curve) == 4


def test_permuted_vectors_give_chance():
    means = []
    for seed in range(4):
        cohort = vector_cohort(80, seed=7)
        order = np.random.default_rng(seed).permutation(len(cohort.labels))
        shuffled = pd.DataFrame(cohort.labels.to_numpy()[order], cohort.labels.index, list(GENES))
        null = replace(cohort, labels=shuffled)
        result = mf.nested_cv(ToyRegressor(), null, random_state=seed, **QUIET)
        means += result.scores.loc[["ToyRegressor", "ridge"], ("pearson", "mean")].tolist()
    assert abs(np.mean(means)) < 0.12  # SD of one is about .07


def test_baselines_use_the_rows_where_a_value_is_known():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = pd.DataFrame(X @ [[1.0, 0.0], [0.0, 2.0]] + 5, columns=["a", "b"])
    holes = y.mask(rng.random(y.shape) < 0.4)
    predicted = RidgePerTarget(alphas=[1e-6]).fit(X, holes).predict(X)
    np.testing.assert_allclose(predicted, y, atol=1e-3)
    np.testing.assert_allclose(MeanOfTraining().fit(X, holes).predict(X[:2]), [holes.mean()] * 2)
    with pytest.raises(DataError, match="column b: a target has no known value"):
        RidgePerTarget().fit(X, holes.assign(b=np.nan))


def test_the_mean_stands_for_what_cannot_be_read(vectors):
    X, y = vectors.X.copy(), vectors.y
    lacking = X.index[:20]
    X.loc[lacking, "ct"] = np.nan
    model = MeanWhereAbsent(ToyRegressor(), ["ct"]).fit(X, y)
    np.testing.assert_allclose(model.predict(X.loc[lacking]), np.tile(y.mean(), (20, 1)))
    own = ToyRegressor().fit(X.iloc[20:], y.iloc[20:]).predict(X.iloc[20:])
    np.testing.assert_allclose(model.predict(X.iloc[20:]), own)


def test_predictions_that_do_not_fit(vectors, monkeypatch):
    monkeypatch.setattr(ToyRegressor, "predict", lambda self, X: np.zeros((len(X), 2)))
    with pytest.raises(DataError, match="wrong shape"):
        mf.nested_cv(ToyRegressor(), vectors, baselines=False, **QUIET)
    monkeypatch.setattr(ToyRegressor, "predict", lambda self, X: np.full((len(X), 3), np.nan))
    with pytest.raises(DataError, match=r"patient P.*not finite"):
        mf.nested_cv(ToyRegressor(), vectors, baselines=False, **QUIET)


def test_folds_without_classes_cover_everybody_and_need_enough(vectors):
    splits = Splits.make(vectors.y, n_splits=4, n_repeats=2, random_state=1)
    sizes = [len(fold) for fold in splits.test]
    assert splits.n_repeats == 2 and len(sizes) == 8 and max(sizes) - min(sizes) <= 1
    assert splits.hash == Splits.make(vectors.y, n_splits=4, n_repeats=2, random_state=1).hash
    assert splits.hash != Splits.make(vectors.y, n_splits=4, n_repeats=2, random_state=2).hash
    with pytest.raises(DataError, match="too few patients for the folds"):
        Splits.make(vectors.y[:3], n_splits=4)
    with pytest.raises(DataError, match="2 or more"):
        Splits.make(vectors.y, n_splits=1)


# --- masks
# ------------------------------------------------------------------------------------------------------


def test_scores_of_masks_are_those_of_the_volumes(masks):
    result = mf.nested_cv(ToySegmenter(), masks, **QUIET)
    fold = result.of(["ToySegmenter"]).query("fold == 0")
    train = masks.X.drop(index=fold["patient_id"])
    model = ToySegmenter().fit(train, masks.y.loc[train.index])
    X = masks.X.loc[fold["patient_id"]].copy()
    X["ct", "mask"] = np.nan
    for patient, predicted, row in zip(X.index, model.predict(X), fold.itertuples(), strict=True):
        true = read_mask(masks.y[patient])
        expected = mask_scores(true.array, predicted.array, true.spacing)
        assert {name: getattr(row, name) for name in expected} == pytest.approx(expected, nan_ok=True)
    assert result.to_metrics()["primary"] == {"metric": "dice", "model": "ToySegmenter", "reference": None}
    assert result.scores.loc["ToySegmenter", ("dice_pooled", "mean")] > 0.8
    with pytest.raises(DataError, match="no predictions of None"):
        result.paired()


class Peeks(ToySegmenter):
    """Says which masks it is shown."""

    def predict(self, X):
        shown = [str(v) for column in X.columns if column[1] == "mask" for v in X[column].dropna()]
        assert not shown, shown
        assert ("ct", "mask") in X.columns
        return list(super().predict(X))  # a list, not one by one


def test_held_out_masks_are_not_seen(masks, tmp_path):
    """What a model predicts for a fold stays the same when the masks of the fold's patients are altered."""
    splits = Splits.make(masks.y, n_splits=3)
    held_out = splits.test[0]
    labels, table = masks.labels.copy(), masks.table.copy()
    for patient in held_out:
        true = read_mask(labels[patient])
        array = np.zeros_like(true.array)
        array[5, 5, 5] = 1
        file = str(write_nifti(replace(true, array=array), tmp_path / f"{patient}.nii.gz"))
        labels[patient] = table.loc[patient, ("ct", "mask")] = file
    altered = replace(masks, table=table, labels=labels)
    before, after = (
        mf.nested_cv(Peeks(), c, search={"shift": [0.0, 50.0]}, n_trials=2, **(QUIET | {"outer": splits}))
        for c in (masks, altered)
    )
    mine = [r.predictions.query("fold == 0").set_index("patient_id") for r in (before, after)]
    pd.testing.assert_series_equal(mine[0]["predicted_mm3"], mine[1]["predicted_mm3"])
    assert (mine[1]["true_mm3"] == mine[1]["true_mm3"].iloc[0]).all() and mine[1]["dice"].max() < 0.2
    assert masks.X["ct", "mask"].notna().all()  # the cohort is as it was


def test_permuted_masks_give_chance(masks):
    """With masks of other patients some overlap is left, because lesions are close in small scans."""
    shuffled = pd.Series(np.roll(masks.labels.to_numpy(), 5), masks.labels.index, name=masks.labels.name)
    table = masks.table.copy()
    table["ct", "mask"] = shuffled
    result = mf.nested_cv(ToySegmenter(), replace(masks, labels=shuffled, table=table), **QUIET)
    honest = mf.nested_cv(ToySegmenter(), masks, **QUIET)
    assert result.scores.loc["ToySegmenter", ("dice", "mean")] < 0.4
    assert honest.scores.loc["ToySegmenter", ("dice", "mean")] > 0.8


def test_a_prediction_on_another_grid_is_brought_to_the_masks(masks):
    class Coarse(ToySegmenter):
        def predict(self, X):
            for mask in super().predict(X):
                yield mask.resample(1.0)

    one, other = (mf.nested_cv(m, masks, **QUIET).scores.iloc[0] for m in (ToySegmenter(), Coarse()))
    assert other["dice", "mean"] == pytest.approx(one["dice", "mean"], abs=0.1)


def test_a_segmenter_that_finds_nothing(masks):
    result = mf.nested_cv(ToySegmenter(shift=5000.0), masks, **QUIET)
    row = result.scores.loc["ToySegmenter"]
    assert row["dice", "mean"] == row["dice_pooled", "mean"] == 0
    assert row["one_empty_pooled", "mean"] == len(masks.X) and np.isnan(row["hd95", "mean"])


@pytest.mark.parametrize(
    ("predict", "says"),
    [
        (lambda self, X: [], "no predicted mask.*nothing more"),
        (lambda self, X: [np.zeros((2, 2, 2))] * len(X), "no predicted mask.*ndarray"),
        (lambda self, X: [*ToySegmenter.predict(self, X)] * 2, "more masks than patients"),
    ],
)
def test_masks_that_do_not_fit(masks, predict, says):
    model = type("Odd", (ToySegmenter,), {"predict": predict})()
    with pytest.raises(DataError, match=says):
        mf.nested_cv(model, masks, **QUIET)


def test_a_scan_is_no_mask(masks):
    class Scans(ToySegmenter):
        def predict(self, X):
            return [replace(mask, unit="HU") for mask in super().predict(X)]

    with pytest.raises(mf.MMFusionError, match=r"^patient \S+: not a mask .*got HU"):
        mf.nested_cv(Scans(), masks, **QUIET)
