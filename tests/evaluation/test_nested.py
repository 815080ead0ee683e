import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

import mmfusion as mf
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError, warn
from mmfusion.evaluation import folds as folds_module
from mmfusion.evaluation import runner as runner_module
from mmfusion.evaluation.baselines import Majority, PriorWhereAbsent
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.staging.report import watched
from mmfusion.staging.report.watched import watched_histories
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK


def logistic(C=1.0):
    return make_pipeline(FlatTransformer(), LogisticRegression(C=C, max_iter=500))


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(90, seed=2)


@pytest.fixture(scope="module")
def result(cohort, tmp_path_factory):
    return mf.nested_cv(
        mf.StageClassifier(**QUICK),
        cohort,
        search={"lr": FloatDistribution(1e-3, 1e-2, log=True), "dropout": [0.1, 0.3]},
        n_trials=2,
        outer=3,
        inner=2,
        fusions=["concat"],
        singles=True,
        learning_curve=[0.5],
        where="serial",
        out=tmp_path_factory.mktemp("run"),
        progress=False,
    )


def test_everyone_is_predicted_once_by_every_model(cohort, result):
    expected = {"daft", "concat", "majority", "ridge", "forest", "clinical ridge", "rna ridge"}
    expected |= {"ct ridge", "rna only", "ct only", "ehr only"}
    assert set(result.models) == expected
    for model in result.models:
        assert sorted(result.of([model])["patient_id"]) == sorted(cohort.X.index)


def test_scores_are_those_of_the_predictions(result):
    rows = result.of(["ridge"])
    by_fold = [
        roc_auc_score(
            r["y_true"], r[[f"p_{c}" for c in result.classes]], multi_class="ovr", labels=list(result.classes)
        )
        for _, r in rows.groupby("fold")
    ]
    assert result.scores.loc["ridge", ("macro_auc", "mean")] == pytest.approx(np.mean(by_fold))
    assert result.scores.loc["majority", ("macro_auc", "mean")] == pytest.approx(0.5)


def test_what_was_chosen_is_shown(result):
    assert result.params().shape == (3, 2)
    typical = result.typical_params()
    assert typical["lr"] == result.params()["lr"].median() and typical["dropout"] in (0.1, 0.3)
    assert len(result.trials()) == 6
    assert {"train_loss", "lr"} <= set(result.histories()) and "valid_loss" not in result.histories()
    assert len(result.bundles()) == 3
    assert set(result.learning_curve()["model"]) == {"daft", "ridge"}
    mf.load(result.bundles()[0, 0])


def test_metrics_json_has_what_scripts_rely_on(result):
    metrics = json.loads(json.dumps(result.to_metrics()))
    assert {"cohort", "target", "n", "models", "paired_vs_ridge", "seconds"} <= set(metrics)
    assert metrics["main"] == "daft"
    assert metrics["primary"] == {"metric": "macro_auc", "model": "daft", "reference": "ridge"}
    assert not any(
        "groups parameter" in text for text in result.warnings().index
    )  # sklearn's, of the inner folds
    one = metrics["models"]["daft"]
    assert {"mean", "ci"} == set(one["macro_auc"]) and {"macro_f1", "accuracy", "inputs"} <= set(one)
    assert metrics["models"]["clinical ridge"]["inputs"] == ["ehr"]
    assert {"macro_auc_diff", "ci"} == set(metrics["paired_vs_ridge"]["daft"])


@pytest.mark.parametrize(
    "where", ["loky", pytest.param("dask", marks=[pytest.mark.filterwarnings("ignore"), pytest.mark.slow])]
)
def test_same_numbers_wherever_it_runs(cohort, where):
    if where == "dask":
        pytest.importorskip("distributed")
    settings = {"outer": 2, "inner": 2, "baselines": False, "progress": False}
    model = mf.StageClassifier(**QUICK)
    serial = mf.nested_cv(model, cohort, where="serial", **settings)
    other = mf.nested_cv(model, cohort, where=where, n_jobs=2, **settings)
    pd.testing.assert_frame_equal(serial.predictions, other.predictions, check_exact=True)


def test_a_killed_run_resumes(cohort, tmp_path, monkeypatch):
    calls = []

    def counted(task, candidate, X, y, place):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append((candidate.name, place.fold))
        return folds_module.evaluate_fold(task, candidate, X, y, place)

    settings = {"outer": 4, "baselines": False, "where": "serial", "out": tmp_path, "progress": False}
    monkeypatch.setattr(runner_module, "evaluate_fold", counted)
    with pytest.raises(KeyboardInterrupt):
        mf.nested_cv(logistic(), cohort, **settings)
    assert not list((tmp_path / "folds").rglob(".*"))  # nothing half written
    monkeypatch.setattr(
        runner_module,
        "evaluate_fold",
        lambda *fold: calls.append("again") or folds_module.evaluate_fold(*fold),
    )
    resumed = mf.nested_cv(logistic(), cohort, **settings)
    assert calls.count("again") == 2
    fresh = mf.nested_cv(logistic(), cohort, **(settings | {"out": None}))
    pd.testing.assert_frame_equal(resumed.predictions, fresh.predictions)


def test_other_settings_do_not_resume(cohort, tmp_path):
    settings = {"outer": 3, "baselines": False, "where": "serial", "out": tmp_path, "progress": False}
    one = mf.nested_cv(logistic(C=1.0), cohort, **settings)
    two = mf.nested_cv(logistic(C=1e-4), cohort, **settings)
    assert not np.allclose(one.predictions.filter(like="p_"), two.predictions.filter(like="p_"))


def test_shuffled_labels_give_chance():
    cohort = tiny_cohort(150, seed=5, signal=3.0)
    rng = np.random.default_rng(0)
    aucs = []
    for seed in range(4):
        outcomes = cohort.outcomes.assign(stage=rng.permutation(cohort.outcomes["stage"].to_numpy()))
        null = mf.Cohort(
            "null", cohort.table, outcomes, cohort.target, units=cohort.units, groups=cohort.groups
        )
        result = mf.nested_cv(
            logistic(), null, outer=3, baselines=False, where="serial", random_state=seed, progress=False
        )
        aucs.append(result.scores["macro_auc", "mean"].iloc[0])
    assert abs(np.mean(aucs) - 0.5) < 0.06  # SD of one is about .045


def test_given_splits_are_used(cohort):
    splits = Splits.make(cohort.y, n_splits=3, random_state=9)
    result = mf.nested_cv(logistic(), cohort, outer=splits, baselines=False, where="serial", progress=False)
    for fold, (_, test) in enumerate(splits.split(cohort.X.index)):
        rows = result.predictions[result.predictions["fold"] == fold]
        assert list(rows["patient_id"]) == list(cohort.X.index[test])


def test_the_models_of_an_earlier_setting_stay_as_they_were(cohort, tmp_path):
    settings = {"outer": 2, "baselines": False, "where": "serial", "out": tmp_path, "progress": False}
    first = mf.nested_cv(mf.StageClassifier(**QUICK), cohort, **settings)
    mf.nested_cv(mf.StageClassifier(**QUICK, lr=1e-2), cohort, **settings)
    rows = first.predictions[first.predictions["fold"] == 0]
    again = mf.load(first.bundles()[0, 0]).predict_proba(cohort.X.loc[rows["patient_id"]])
    np.testing.assert_allclose(rows[[f"p_{c}" for c in first.classes]], again, atol=1e-9)


def test_results_come_in_the_order_asked_for_after_a_resume(cohort, tmp_path):
    settings = {"outer": 2, "where": "serial", "out": tmp_path, "progress": False}
    models = {"b": logistic(), "a": logistic(C=0.1)}
    one = mf.nested_cv(logistic(), cohort, baselines=models, **settings)
    next((tmp_path / "folds").rglob("b-*.json")).unlink()
    two = mf.nested_cv(logistic(), cohort, baselines=models, **settings)
    assert one.models == two.models == ["Pipeline", "b", "a"]
    pd.testing.assert_frame_equal(one.predictions, two.predictions)


def test_a_typical_setting_is_one_that_was_chosen(result):
    chosen = iter([None, None, 16])
    folds = [
        replace(f, params={"batch_size": next(chosen), "lr": 1e-3})
        if f.model == result.main and f.train_fraction == 1
        else f
        for f in result.folds
    ]
    assert replace(result, folds=folds).typical_params() == {"batch_size": None, "lr": 1e-3}


def test_a_damaged_fold_is_computed_again(cohort, tmp_path):
    settings = {"outer": 2, "baselines": False, "where": "serial", "out": tmp_path, "progress": False}
    one = mf.nested_cv(logistic(), cohort, **settings)
    next((tmp_path / "folds").rglob("*.json")).write_text("")
    with pytest.warns(UserWarning, match="edited or damaged .* the fold is computed again"):
        two = mf.nested_cv(logistic(), cohort, **settings)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)


def test_every_fold_can_be_watched_while_it_learns(cohort, result):
    model = mf.StageClassifier(**QUICK)
    losses = watched_histories(result, model, cohort, where="serial")
    assert losses.groupby("fold")["epoch"].max().tolist() == [3, 3, 3]
    assert np.isfinite(losses[["train_loss", "valid_loss"]]).all(axis=None)
    stopping = mf.nested_cv(
        mf.StageClassifier(**QUICK).set_params(training__validation_fraction=0.2),
        cohort,
        outer=2,
        baselines=False,
        progress=False,
    )
    pd.testing.assert_frame_equal(watched_histories(stopping, model, cohort), stopping.histories())


def test_a_long_name_of_a_class_is_predicted_whole(cohort):
    """The most common class has the shortest name: "I", "II" and "III" have one to three letters."""
    y = cohort.y.astype(str).where(cohort.y != "II", "I")
    model = PriorWhereAbsent(logistic(), ["rna"]).fit(cohort.X, y)
    named = model.predict(cohort.X)
    most_probable = model.classes_[model.predict_proba(cohort.X).argmax(axis=1)]
    assert (named == most_probable).all() and set(named) == {"I", "III"}


def test_classes_in_any_order(cohort):
    y = cohort.y.map({"I": "low", "II": "low", "III": "high"}).astype(
        pd.CategoricalDtype(["low", "high"], ordered=True)
    )
    model = PriorWhereAbsent(logistic(), ["rna"]).fit(cohort.X, y)
    assert list(model.classes_) == ["low", "high"]
    assert roc_auc_score(y == "high", model.predict_proba(cohort.X)[:, 1]) > 0.8


def test_a_name_may_hold_anything(cohort):
    result = mf.nested_cv(
        logistic(), cohort, outer=2, name="v1@lab", learning_curve=[0.5, 1.0], progress=False
    )
    assert result.models[0] == "v1@lab" and "v1@lab" in result.scores.index
    curve = result.learning_curve()
    assert curve["model"].tolist() == ["ridge", "ridge", "v1@lab", "v1@lab"]
    assert (curve["n_train"].to_numpy()[1::2] > 1.8 * curve["n_train"].to_numpy()[::2]).all()


def test_another_fusion_does_not_take_the_options_of_the_first(cohort):
    model = mf.StageClassifier("mod_weighted", **QUICK).set_params(
        network__fusion_options={"weights": {"ct": 0.4, "rna": 0.3, "ehr": 0.3}}
    )
    found = mf.nested_cv(
        model, cohort, outer=2, inner=2, n_trials=1, search={"fusion": ["mod_weighted"]}, fusions=["concat"],
        singles=True, baselines=False, where="serial", progress=False,
    )  # fmt: skip
    assert set(found.models) == {"mod_weighted", "concat", "ct only", "rna only", "ehr only"}


def test_what_a_fold_warned_of_is_not_said_again_when_it_is_watched():
    class Warns:
        def __init__(self):
            self.history_ = [[{"epoch": 1}]]

        def fit(self, _X, _y):
            warn("no seed")
            return self

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(watched._history(0, Warns(), None, None)["epoch"]) == [1]


class Stubborn(Majority):
    """It names the last class for everybody, whatever is most probable."""

    def decide(self, proba):
        return np.repeat(self.classes_[-1], len(proba))


def test_the_decision_of_a_model_is_judged(cohort, tmp_path):
    options = {"outer": 2, "where": "serial", "progress": False, "baselines": {"simple": logistic()}}
    model = Stubborn(strategy="prior")
    result = mf.nested_cv(model, cohort, name="own", out=tmp_path, **options)
    table = result.predictions.set_index("model")
    assert set(table.loc["own", "y_pred"]) == {result.classes[-1]}
    right = table.loc["own", "y_true"] == result.classes[-1]
    assert result.scores.loc["own", ("accuracy", "mean")] == pytest.approx(right.mean(), abs=0.02)
    simple = table.loc["simple", [f"p_{c}" for c in result.classes]].to_numpy()
    assert (table.loc["simple", "y_pred"] == np.array(result.classes)[simple.argmax(axis=1)]).all()
    again = mf.nested_cv(model, cohort, name="own", out=tmp_path, **options)
    pd.testing.assert_frame_equal(result.predictions, again.predictions)


def test_models_of_variants_are_kept_if_asked_for(cohort, tmp_path):
    options = {"outer": 2, "baselines": False, "where": "serial", "progress": False, "fusions": ["concat"]}
    model = mf.StageClassifier(**QUICK | {"max_epochs": 1})
    first = mf.nested_cv(model, cohort, out=tmp_path, **options)
    assert len(first.bundles()) == 2 and not first.bundles("concat")
    kept = mf.nested_cv(model, cohort, out=tmp_path, keep=["concat"], **options)  # fitted again, and saved
    assert mf.load(kept.bundles("concat")[0, 1]).fusion == "concat"
    pd.testing.assert_frame_equal(kept.predictions, first.predictions)
    again = mf.nested_cv(model, cohort, out=tmp_path, keep=["concat"], **options)
    assert again.bundles("concat") == kept.bundles("concat")
    with pytest.raises(DataError, match="no such model to keep"):
        mf.nested_cv(model, cohort, keep=["late"], **options)
