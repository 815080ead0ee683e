"""Saved models of genotype and expression: the same predictions, no patient's row, and errors after edits."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import mmfusion as mf
from mmfusion.errors import BundleError
from mmfusion.radiogenomics import ClinicalClassifier, ExpressionRegressor, GenotypeClassifier
from mmfusion.radiogenomics.packed import holds_rows, pack, unpack
from mmfusion.radiogenomics.steps import CLASSIFIERS, REDUCERS
from mmfusion.synthetic import radiomics_phantom
from tests.radiogenomics.fakes import Recorder

COHORT = radiomics_phantom(60, 3, mutants=0.3, n_features=120)
PANEL = radiomics_phantom(40, target="expression")
X, Y = COHORT.X, COHORT.y


def genotype(reducer="pca", classifier="qda", **options):
    return GenotypeClassifier(reducer, classifier, inner=3, preset="demo", **options).fit(X, Y)


@pytest.mark.parametrize("reducer", REDUCERS)
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_combination_is_the_same_after_loading(reducer, classifier, tmp_path):
    model = genotype(reducer, classifier)
    assert model.save(tmp_path / "model", patient_rows=classifier == "svc") is model
    loaded = mf.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert list(loaded.predict(X)) == list(model.predict(X))
    assert loaded.get_params() == model.get_params() and loaded.chosen_ == model.chosen_
    assert loaded.search_.equals(model.search_) and loaded.threshold_ == model.threshold_
    assert loaded.patients_ == model.patients_ and loaded.short_name == model.short_name


@pytest.mark.slow  # a new process loads every kind of model
def test_a_new_process_gives_the_same_to_the_bit(tmp_path):
    models = {
        "genotype": (GenotypeClassifier("select", "rf", inner=3, preset="demo"), COHORT),
        "expression": (ExpressionRegressor(), PANEL),
        "ridge": (ClinicalClassifier("sex_smoking"), COHORT),
        "forest": (ClinicalClassifier(["age", "histology"], "forest"), COHORT),
    }
    for name, (model, cohort) in models.items():
        model.fit(cohort.X, cohort.y).save(tmp_path / name)
        cohort.X.to_pickle(tmp_path / f"{name}.pkl")
    code = f"""
import numpy as np, pandas as pd, mmfusion as mf
for name in {list(models)}:
    model, X = mf.load(name), pd.read_pickle(name + ".pkl")
    np.save(name, getattr(model, "predict_proba", model.predict)(X))
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=300)
    for name, (model, cohort) in models.items():
        expected = getattr(model, "predict_proba", model.predict)(cohort.X)
        assert np.array_equal(np.load(tmp_path / f"{name}.npy"), expected)


@pytest.mark.parametrize("classifier", ["qda", "dt", "rf"])
def test_the_folder_holds_no_patient(classifier, tmp_path):
    model = genotype(["none", "select", "pca", "lda"], classifier)
    folder = tmp_path / "model"
    model.save(folder)
    ids = [str(patient).encode() for patient in X.index]
    held = [path.read_bytes() for path in folder.iterdir()]
    with np.load(folder / "arrays.npz") as arrays:
        held += [array.tobytes() for array in arrays.values()]
        packed = [a for a in arrays.values() if a.dtype == np.uint8 and a[:2].tobytes() == b"PK"]
    with zipfile.ZipFile(io.BytesIO(packed[0].tobytes())) as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    features = model.extractor_.transform(X).to_numpy()
    reduced, rows = features, []
    for _, step in model.pipeline_.steps[:-1]:
        reduced = step.transform(reduced)
        rows += list(reduced)
    for part in [*held, *parts]:
        assert not any(one in part for one in ids)
        assert not any(row[:6].tobytes() in part for row in [*features, *rows] if len(row) > 5)
    assert "The folder holds no patient's row." in (folder / "README.md").read_text()


def test_an_svc_is_saved_only_if_the_user_says_so(tmp_path):
    model = genotype("pca", "svc")
    assert holds_rows(model.pipeline_) and not holds_rows(genotype().pipeline_)
    with pytest.raises(
        BundleError, match=r"an SVC holds the features of training patients .*patient_rows=True"
    ):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    model.save(tmp_path / "model", patient_rows=True)
    assert "This folder holds data of patients" in (tmp_path / "model" / "README.md").read_text()


def test_an_extractor_without_a_saved_form(tmp_path):
    with pytest.raises(BundleError, match=r"the extractor has no saved form .*got Recorder"):
        genotype(extractor=Recorder()).save(tmp_path / "model")


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        (GenotypeClassifier("pca", "qda", inner=2, preset="demo"), True),
        (GenotypeClassifier("pca", "svc", inner=2, preset="demo"), False),
        (GenotypeClassifier("none", "qda", inner=2, preset="demo", extractor=Recorder()), False),
    ],
    ids=["qda", "svc", "extractor"],
)
def test_a_cross_validation_keeps_the_models_that_can_be_saved(model, kept, tmp_path):
    options = {"outer": 2, "baselines": False, "where": "serial", "progress": False, "out": tmp_path}
    result = mf.nested_cv(model, COHORT, **options)
    assert len(result.bundles()) == (2 if kept else 0)
    again = mf.nested_cv(model, COHORT, **options)
    assert [f.seconds for f in again.folds] == [f.seconds for f in result.folds]  # resumed, not fitted again
    assert again.predictions.equals(result.predictions)


def test_the_card_marks_a_leaky_model(tmp_path):
    genotype(allow_leaky=True).save(tmp_path / "model")
    assert "LEAKY" in (tmp_path / "model" / "README.md").read_text()


def test_an_edited_file_is_one_clear_error(tmp_path):
    folder = tmp_path / "model"
    genotype().save(folder)
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"qda"', '"dt"'))
    with pytest.raises(BundleError, match="edited or damaged since it was saved"):
        mf.load(folder)


def edit(folder, change):
    """Change the state of a bundle, and its checksums with it."""
    body = json.loads((folder / "config.json").read_text())
    change(dict(map(tuple, body["state"]["__dict__"])), body["state"]["__dict__"])
    (folder / "config.json").write_text(json.dumps(body))
    sums = json.loads((folder / "checksums.json").read_text())
    sums["config.json"] = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(sums))


def put(name, value):
    def change(_, items):
        for item in items:
            if item[0] == name:
                item[1] = value

    return change


def put_fitted(name, value):
    def change(state, _):
        put(name, value)(None, state["fitted"]["__dict__"])

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("fitted", {"__dict__": []}),
        put("pipeline", "none"),
        put("pipeline", [80, 75]),
        put("extractor", {"__dict__": [["class", "Pipeline"], ["state", None]]}),
        put("params", {"__dict__": [["speed", 1]]}),
        put_fitted("threshold_", 2.0),
        put_fitted("classes_", ["one"]),
    ],
    ids=["no attributes", "no pipeline", "short pipeline", "extractor", "params", "threshold", "classes"],
)
def test_a_state_that_does_not_fit(change, tmp_path):
    folder = tmp_path / "model"
    genotype().save(folder)
    edit(folder, change)
    with pytest.raises(BundleError, match="does not fit this release's GenotypeClassifier"):
        mf.load(folder)


def test_another_version_of_scikit_learn_is_a_warning(tmp_path):
    folder = tmp_path / "model"
    genotype().save(folder)
    edit(folder, put("sklearn", "1.0"))
    with pytest.warns(UserWarning, match=r"saved with scikit-learn 1\.0"):
        mf.load(folder)


def test_a_pipeline_runs_no_function_of_a_file():
    import os

    hostile = make_pipeline(FunctionTransformer(os.system)).fit([[1.0]])
    with pytest.raises(BundleError, match="the pipeline holds something else than models"):
        unpack(pack(hostile))


def test_a_tree_that_leads_nowhere_is_refused():
    """scikit-learn would read beyond the end of its arrays."""
    rows = np.arange(12.0)[:, None]
    forest = Pipeline([("classify", RandomForestClassifier(2, random_state=0).fit(rows, rows[:, 0] > 5))])
    assert np.array_equal(unpack(pack(forest)).predict(rows), forest.predict(rows))
    for field, value in (("left_child", 10**6), ("left_child", 0), ("feature", 7), ("right_child", -1)):
        tree = DecisionTreeClassifier(max_depth=1).fit(rows, rows[:, 0] > 5)
        state = tree.tree_.__getstate__()
        state["nodes"] = state["nodes"].copy()
        state["nodes"][field][0] = value
        tree.tree_.__setstate__(state)
        with pytest.raises(BundleError, match="not a decision tree"):
            unpack(pack(make_pipeline(StandardScaler(), tree)))
