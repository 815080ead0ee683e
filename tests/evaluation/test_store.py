"""Which folds are taken from an earlier run, and which are computed anew."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mmfusion as mf
from mmfusion.data.splits import Splits
from mmfusion.evaluation.baselines import ridge
from mmfusion.evaluation.content import content
from mmfusion.evaluation.fold_result import FoldResult, Predictions
from mmfusion.evaluation.folds import Candidate
from mmfusion.evaluation.store import FoldStore, setting_hash
from mmfusion.evaluation.tasks import ClassificationTask, task_for
from tests.cohorts import tiny_cohort


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort(90, seed=2)


def folder(cohort, model, seed=0, **changes):
    """The folder in which the folds of a model are kept."""
    splits = Splits.make(cohort.y, n_splits=2)
    store = FoldStore("x", task_for(cohort), lambda: setting_hash(cohort, splits, seed))
    return store.path(Candidate("m", model, **changes), 0, 0).parent


@pytest.mark.parametrize("change", ["seed", "unit", "edges", "scan", "mask", "code", "task", "trials"])
def test_what_a_fold_depends_on_is_never_resumed_from_another(cohort, tmp_path, monkeypatch, change):
    model, data, seed, more = (
        mf.StageClassifier().set_params(preprocessing__graph_edges=pd.DataFrame({"a": range(100), "b": 1})),
        cohort,
        0,
        {},
    )
    table = cohort.table.copy()
    files = {name: tmp_path / f"{name}.nii" for name in ("volume", "mask")}
    for name, file in files.items():
        file.write_text("one")
        table["ct", name] = pd.Series({table.index[0]: str(file)}, dtype="str").reindex(table.index)
    data = replace(cohort, table=table)
    before = folder(data, model)
    assert before == folder(data, clone(model))
    if change == "seed":
        seed = 1
    elif change == "unit":
        data = replace(data, units={"rna": "tpm"})
    elif change == "edges":
        changed = pd.DataFrame({"a": range(100), "b": 1})
        changed.loc[50, "b"] = 2
        model.set_params(preprocessing__graph_edges=changed)
    elif change == "scan":
        files["volume"].write_text("two")
    elif change == "mask":
        files["mask"].write_text("two")
    elif change == "task":
        monkeypatch.setattr("tests.evaluation.test_store.task_for", lambda _: ClassificationTask(("I", "II")))
    elif change == "trials":
        more = {"n_trials": 7}
    else:
        monkeypatch.setattr("mmfusion.evaluation.store.source_hash", lambda _: "another")
    assert folder(data, model, seed, **more) != before


def test_a_file_that_a_parameter_names_counts_by_its_bytes(cohort, tmp_path):
    edges = tmp_path / "edges.csv"
    edges.write_text("a,b")
    model = mf.StageClassifier().set_params(preprocessing__graph_edges=str(edges))
    before = folder(cohort, model)
    edges.write_text("a,c")
    assert folder(cohort, model) != before


def test_another_process_finds_the_folds(cohort):
    """Functions among the parameters, such as the ridge's scorer, count by name and not by address."""
    code = "from tests.evaluation.test_store import *\nprint(folder(tiny_cohort(90, seed=2), ridge()).name)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == folder(cohort, ridge()).name


def test_baselines_that_are_added_later_leave_the_others(cohort, tmp_path):
    model = make_pipeline(FunctionTransformer(_ages), LogisticRegression())
    settings = {"outer": 2, "where": "serial", "out": tmp_path, "progress": False}
    mf.nested_cv(model, cohort, baselines=False, **settings)
    first = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    mf.nested_cv(model, cohort, baselines={"b": clone(model)}, **settings)
    both = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    assert len(first) == 2 and len(both) == 4 and both.items() >= first.items()


def _ages(X):
    return X[[("ehr", "age")]].to_numpy(dtype=float)


def _doubled(X):
    return 2 * _ages(X)


class Plain:
    pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(5000), np.arange(5000) * (np.arange(5000) != 2500)),  # the middle of a long array
        (FunctionTransformer(_ages), FunctionTransformer(_doubled)),
        ({"a": [1, 2]}, {"a": [1, 2.0]}),
        ([1], (1,)),
        (None, "None"),
        (True, 1),
        (Plain, "Plain"),
        (pd.DataFrame({"a": range(3)}), pd.DataFrame({"a": [0, 1, 3]})),
        (lambda: 1, _ages),
    ],
)
def test_content_tells_values_apart(one, other):
    assert content(one) != content(other)


def test_content_of_what_cannot_be_told_is_never_the_same():
    here = iter([1])
    assert content({"a": (x for x in here)}) != content({"a": (x for x in here)})
    assert content(pd.DataFrame({"a": [1]})) == content(pd.DataFrame({"a": [1]}))


def test_a_fold_is_the_same_after_a_trip_through_json():
    fold = FoldResult(
        "m",
        "m @0.5",
        0,
        1,
        ("a", "b"),
        ("a", "a"),
        Predictions("values", ("x",), [[0.1], [None]], [[None], [2.0]], ["I", "II"]),
        inputs=("ct",),
        params={"lr": 1 / 3},
        trials=[{"value": 0.5}],
        history=[[{"epoch": 1}]],
        warnings=("w",),
    )
    assert FoldResult.from_json(json.loads(json.dumps(fold.to_json(), allow_nan=False))) == fold


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("seconds"),
        lambda state: state.update(more=1),
        lambda state: state["predictions"].pop("kind"),
        lambda state: state["predictions"].update(kind="zzz"),
        lambda state: state["patients"].append("c"),
        lambda state: state.update(predictions=None),
    ],
)
def test_what_is_no_fold_is_refused(damage):
    state = FoldResult(
        "m", "m", 0, 0, ("a",), ("a",), Predictions("values", ("x",), [[0.1]], [[1.0]])
    ).to_json()
    state = json.loads(json.dumps(state))
    damage(state)
    with pytest.raises(ValueError, match=r"keys|not a fold"):
        FoldResult.from_json(state)


def stored(cohort, folder, model):
    """Return the predictions of a model on two folds that are kept in a folder."""
    settings = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    return mf.nested_cv(model, cohort, out=folder, **settings).predictions


def _files(folder, pattern):
    return sorted(path for path in folder.rglob(pattern) if "-r0-f" in path.as_posix())


@pytest.mark.parametrize("damage", ["edited", "cut off", "empty", "of another release", "no JSON object"])
def test_an_edited_fold_is_computed_again_and_said(cohort, tmp_path, damage):
    model = make_pipeline(FunctionTransformer(_ages), LogisticRegression())
    before = stored(cohort, tmp_path, model)
    file = _files(tmp_path, "*-r0-f0.json")[0]
    text = file.read_text()
    state = json.loads(text)
    state["result"]["predictions"]["values"][0][0] += 1e-3
    changed = {
        "edited": json.dumps(state),
        "cut off": text[: len(text) // 2],
        "empty": "",
        "of another release": json.dumps(json.loads(text)["result"]),
        "no JSON object": "[]",
    }
    file.write_text(changed[damage])
    with pytest.warns(UserWarning, match=f"{file.name}.*the fold is computed again"):
        again = stored(cohort, tmp_path, model)
    pd.testing.assert_frame_equal(before, again)
    pd.testing.assert_frame_equal(before, stored(cohort, tmp_path, model))  # without a warning


def test_a_fold_without_its_saved_model_is_computed_again(cohort, tmp_path):
    model = mf.StageClassifier(max_epochs=1, n_genes=6, n_members=1, modalities=["ehr"])
    before = stored(cohort, tmp_path, model)
    weights = _files(tmp_path, "weights.safetensors")[0]
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="absent or was changed"):
        again = stored(cohort, tmp_path, model)
    pd.testing.assert_frame_equal(before, again)
    pd.testing.assert_frame_equal(before, stored(cohort, tmp_path, model))
