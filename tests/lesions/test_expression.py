"""Joint learning of masks and expression, with labels that some patients lack."""

import json
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.imaging import Volume
from mmfusion.lesions.panel import GenePanel, PanelWarning
from mmfusion.registry import SEGMENTERS
from tests.lesions.balls import MASK, SIDE, balls
from tests.lesions.conftest import dice, table
from tests.lesions.networks import Both

TINY = {"max_epochs": 10, "lr": 0.03, "batch_size": 16, "threshold": 0.5, "augment": False}
SHORT = TINY | {"max_epochs": 1}


@pytest.fixture(scope="module", autouse=True)
def both():
    """Register a small network with both tasks, and forget it after the tests of this file."""
    facts = {"modality": "ct", "dims": "3", "paper": "none", "summary": "For tests."}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SEGMENTERS._classes, "both", Both)
        patch.setitem(SEGMENTERS._facts, "both", facts)
        yield


@pytest.fixture(scope="module")
def data():
    return balls(10)


@pytest.fixture(scope="module")
def model(data):
    X, expression = data
    return mf.LesionSegmenter("both", **TINY | {"max_epochs": 25}).fit(X, expression=expression)


def same(a, b):
    states = a.module_.state_dict(), b.module_.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def r2(found, true):
    return 1 - ((found - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()


def test_new_patients_are_predicted_better_than_by_the_mean(model):
    X, true = balls(8, first=100)
    found = model.predict_expression(X)
    assert list(found.index) == list(X.index) and list(found) == ["UP", "DOWN"]
    assert r2(found, true).min() > 0.5  # the training mean has 0 or less
    assert np.mean(dice(model.predict(X), X[MASK])) > 0.6


def test_the_answer_is_not_read_at_prediction(model):
    X, _ = balls(3, first=100)
    other = X.drop(columns=[MASK])
    other[[("ct", name) for name in ("seed_x", "seed_y", "seed_z")]] = 1e9
    pd.testing.assert_frame_equal(model.predict_expression(other), model.predict_expression(X))
    backwards = model.predict_expression(X[::-1])[::-1]
    pd.testing.assert_frame_equal(backwards, model.predict_expression(X))


def test_the_weight_of_a_window_is_the_lesion_in_it(model, data):
    """Air around the scan adds windows without a lesion, which hardly change the result."""
    scan = data[0]["ct", "volume"].iloc[0]
    wide = np.full((60, SIDE, SIDE), -850, np.int16)
    wide[:SIDE] = scan.array
    rows = table({"a": {("ct", "volume"): scan}, "b": {("ct", "volume"): Volume(wide, scan.affine)}})
    found = model.predict_expression(rows)
    assert abs(found["UP"].diff().iloc[1]) < 0.5 * model.panel_.sd["UP"]


def test_statistics_are_those_of_the_training_patients(data):
    X, expression = data
    fitted = mf.LesionSegmenter("both", **SHORT).fit(X[:6], expression=expression)
    poisoned = expression.copy()
    poisoned.iloc[6:] = 1e6
    again = mf.LesionSegmenter("both", **SHORT).fit(X[:6], expression=poisoned[::-1])
    assert fitted.panel_ == again.panel_ and same(fitted, again)
    assert fitted.panel_.mean["UP"] == pytest.approx(expression["UP"][:6].mean())
    assert fitted.panel_.sd["UP"] == pytest.approx(expression["UP"][:6].std(ddof=0))


def test_partial_labels_teach_what_they_say(data):
    """Three patients lack the mask and three the expression; nobody is left out, and each label counts."""
    X, expression = (part.copy() for part in data)
    X.loc[X.index[:3], [MASK]] = None
    expression = expression.iloc[:7]

    def fit(values):
        return mf.LesionSegmenter("both", **SHORT).fit(X, expression=values)

    fitted = fit(expression)
    assert len(fitted.patients_) == 10
    changed = expression.copy()
    changed.iloc[0] = expression.iloc[1].to_numpy()
    changed.iloc[1] = expression.iloc[0].to_numpy()  # the statistics stay as they are
    assert fit(changed).panel_ == fitted.panel_ and not same(fit(changed), fitted)
    nothing = expression.copy()
    nothing.iloc[0] = np.nan
    with pytest.warns(UserWarning, match="1 of 10 patients have no mask and no expression .* P0"):
        assert len(fit(nothing).patients_) == 9


def test_a_seed_shows_where_the_lesion_is(data):
    """Without a mask, patches lie around the seed."""
    from mmfusion.lesions.cases import training_cases
    from mmfusion.lesions.scans import ScanReader

    X, expression = (part.copy() for part in data)
    point = X[MASK].iloc[0].centroid_mm
    for name, value in zip(("seed_x", "seed_y", "seed_z"), point):
        X["ct", name] = value
    X.loc[X.index[:1], [MASK]] = None
    reader = ScanReader(("ct",), (3.0, 3.0, 3.0))
    first, second, *_ = training_cases(X, None, reader, expression=expression, tasks=("mask", "expression"))
    np.testing.assert_allclose(first.centre, np.array(point)[::-1] / 3, atol=1e-6)
    assert second.centre is None and second.has_lesion and not first.has_lesion
    X["ct", "seed_x"] = 1e4
    with pytest.raises(DataError, match=r"P0.*seed_x.*outside the scan"):
        training_cases(X, None, reader, expression=expression)


def test_genes_that_too_many_lack_are_named(data):
    X, expression = data
    expression = expression.assign(RARE=[1.0, 2.0, *[np.nan] * 8], FLAT=3.0)
    with pytest.warns(PanelWarning, match=r"RARE \(80% missing\), FLAT \(0% missing\)"):
        fitted = mf.LesionSegmenter("both", **SHORT).fit(X, expression=expression)
    assert fitted.panel_.genes == ("UP", "DOWN") == tuple(fitted.predict_expression(X[:1]))


def test_patients_without_expression_do_not_make_a_gene_rare():
    half = pd.DataFrame({"A": [1.0, 2.0, *[np.nan] * 8], "B": [1.0, 3.0, *[np.nan] * 8]})
    assert GenePanel.fit(half).genes == ("A", "B")


@pytest.mark.parametrize("balance", ["uncertainty", "fixed", "dwa", "pcgrad"])
def test_the_history_has_the_balance(data, balance):
    X, expression = data
    weights = None if balance == "uncertainty" else {"expression": 0.5}
    model = mf.LesionSegmenter("both", **TINY | {"max_epochs": 3}, balance=balance, task_weights=weights)
    row = model.set_params(log_cosine=True).fit(X, expression=expression).history_[-1]
    assert row["loss_mask"] > 0 and row["loss_expression"] > 0 and -1 <= row["cosine_mask_expression"] <= 1
    if balance == "uncertainty":
        assert row["sigma_mask"] != 1 and row["sigma_expression"] != 1
    elif balance == "dwa":
        assert row["weight_mask"] + 2 * row["weight_expression"] == pytest.approx(2)
    else:
        assert (row["weight_mask"], row["weight_expression"]) == (1.0, 0.5)


def test_one_task_has_nothing_to_balance(data):
    X, _ = data
    one, two = (mf.LesionSegmenter("both", **SHORT, balance=b).fit(X) for b in ("uncertainty", "pcgrad"))
    assert same(one, two) and set(one.history_[0]) == {"epoch", "train_loss", "lr"}


def test_patients_without_labels_teach_only_with_a_teacher(data):
    X, _ = data
    fewer = X.copy()
    fewer.loc[X.index[5:], [MASK]] = None
    without = mf.LesionSegmenter("both", **TINY | {"max_epochs": 2})
    with pytest.warns(UserWarning, match="5 of 10 patients have no mask"):
        off = clone(without).set_params(consistency=0.0).fit(fewer)
    assert same(off, clone(without).fit(X[:5])) and len(off.patients_) == 5
    on = clone(without).set_params(consistency=5.0).fit(fewer)
    assert len(on.patients_) == 10 and not same(on, off)


@pytest.mark.parametrize("network", ["both", "cspat"])
def test_saved_and_loaded_it_is_the_same(network, data, tmp_path):
    X, expression = data
    settings = SHORT | {"balance": "fixed", "task_weights": {"mask": 2.0}, "consistency": 0.1}
    if network == "cspat":
        small = {"embed_dim": 4, "heads": (1, 1, 1, 1), "depths": (1, 1, 1, 1), "width": 8}
        settings |= {"preset": "demo2d", "size": 32, "options": small, "training": {"warmup_epochs": 0}}
    fitted = mf.LesionSegmenter(network, **settings).fit(X[:4], expression=expression)
    loaded = mf.load(fitted.save(tmp_path / "model") and tmp_path / "model")
    assert loaded.panel_ == fitted.panel_ and loaded.get_params() == fitted.get_params()
    pd.testing.assert_frame_equal(
        loaded.predict_expression(X[:2]), fitted.predict_expression(X[:2]), check_exact=True
    )
    assert np.array_equal(next(loaded.predict(X)).array, next(fitted.predict(X)).array)
    assert "UP, DOWN" in (tmp_path / "model" / "README.md").read_text()


def test_a_bundle_from_before_expression_loads(data):
    fitted = mf.LesionSegmenter("both", **SHORT).fit(data[0])
    from mmfusion.lesions import persistence

    state = json.loads(json.dumps(persistence.state_of(fitted)))
    del state["panel"]
    for name in ("balance", "task_weights", "consistency", "log_cosine"):
        del state["params"][name]
    old = mf.LesionSegmenter.from_bundle(state, persistence.tensors_of(fitted))
    assert old.panel_ is None and np.array_equal(
        next(old.predict(data[0])).array, next(fitted.predict(data[0])).array
    )


def test_fine_tuning_keeps_the_statistics(model, data):
    X, expression = data
    sd = pd.Series(model.panel_.sd)
    tuned = deepcopy(model).fine_tune(X[:4], expression=expression[:4] + 3 * sd, max_epochs=10)
    assert tuned.panel_ == model.panel_ and len(tuned.history_) == len(model.history_) + 10
    before, after = (one.predict_expression(X[:4]).mean() for one in (model, tuned))
    assert (after > before + sd).all()
    deepcopy(model).fine_tune(X[:4], max_epochs=1)  # masks alone


def test_expression_alone(data):
    X, expression = data
    only = mf.LesionSegmenter("both", options={"tasks": ("expression",)}, **SHORT)
    fitted = only.fit(X.drop(columns=[MASK]), expression=expression)
    assert np.isfinite(fitted.predict_expression(X)).all(axis=None)
    with pytest.raises(DataError, match="predicts no masks"):
        next(fitted.predict(X))


def test_cross_validation_by_an_expression_target(data):
    X, expression = data
    X = X.copy()
    X.loc["P1", [("ct", "volume"), MASK]] = None
    X["ehr", "age"] = 60.0
    outcomes = expression.add_prefix("expression_")
    cohort = mf.Cohort("balls", X, outcomes, "expression:UP,DOWN")
    model = mf.ExpressionSegmenter("both", **TINY | {"max_epochs": 15})
    result = mf.nested_cv(model, cohort, outer=2, baselines=False, where="serial", progress=False)
    assert any("have no scan of ct" in text for fold in result.folds for text in fold.warnings)
    assert result.scores["pearson", "mean"].iloc[0] > 0.5
    assert result.inputs()["both"] == ("ct",)


def test_the_expression_estimator(data, tmp_path):
    X, expression = data
    y = expression.assign(RARE=[1.0, 3.0, *[np.nan] * 8])
    with pytest.warns(PanelWarning):
        fitted = mf.ExpressionSegmenter("both", **SHORT).fit(X, y)
    assert clone(fitted).get_params() == fitted.get_params()
    found = fitted.predict(X)
    assert found.shape == (10, 3) and (found[:, 2] == 2).all()
    np.testing.assert_array_equal(found[:, :2], fitted.predict_expression(X))
    twice = X.iloc[[0, 0, 1]].copy()  # one id in two rows, of which one has no scan
    twice["ct", "volume"] = [X.iloc[0]["ct", "volume"], None, X.iloc[1]["ct", "volume"]]
    np.testing.assert_array_equal(fitted.predict(twice)[[0, 2]], found[:2])
    loaded = mf.load(fitted.save(tmp_path / "model") and tmp_path / "model")
    assert type(loaded) is mf.ExpressionSegmenter
    np.testing.assert_array_equal(loaded.predict(X), found)
    with pytest.raises(DataError, match="other patients"):
        fitted.fit(X, y[::-1])
    with pytest.raises(DataError, match="no masks to learn from"):
        fitted.fit(X.drop(columns=[MASK]), expression)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda y: y.to_numpy(), "not a table of expression"),
        (lambda y: pd.concat([y, y]), "two values of one patient"),
        (lambda y: pd.concat([y, y], axis=1), "two values of one gene"),
        (lambda y: y.add_prefix("x", axis=0), "no patient of X has a row"),
        (lambda y: y.astype(object).replace(y.iloc[0, 0], "high"), "not a number"),
        (lambda y: y.replace(y.iloc[2, 0], np.inf), "patient P2, column UP: expression that is not finite"),
        (lambda y: y[:1], "too few patients with expression"),
        (lambda y: y * 0, "no gene can be learned"),
    ],
)
def test_expression_that_cannot_be_used(data, change, match):
    X, expression = data
    with pytest.raises(DataError, match=match), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmfusion.lesions.panel.warn", lambda *args, **kwargs: None)
        mf.LesionSegmenter("both", **SHORT).fit(X, expression=change(expression))


def test_networks_and_labels_must_fit(data, model):
    X, expression = data
    with pytest.raises(DataError, match=r"network: this network does not predict expression .*cspat"):
        mf.LesionSegmenter("unet").fit(X, expression=expression)
    with pytest.raises(DataError, match="with expression among its tasks"):
        mf.LesionSegmenter("both", options={"tasks": ("mask",)}).fit(X, expression=expression)
    with pytest.raises(DataError, match="no expression to learn from"):
        mf.LesionSegmenter("both", options={"tasks": ("mask", "expression")}).fit(X)
    masks_only = mf.LesionSegmenter("both", **SHORT).fit(X)
    for call in (
        lambda: masks_only.predict_expression(X),
        lambda: masks_only.fine_tune(X, expression=expression),
    ):
        with pytest.raises(DataError, match="has not learned expression"):
            call()
