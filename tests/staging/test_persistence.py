"""Saved models of older formats load, and give the probabilities that they gave."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.bundle import read_bundle
from mmfusion.errors import BundleError
from mmfusion.imaging import Volume
from mmfusion.nn.network import NetworkPlan
from mmfusion.staging.persistence import from_format_1, restore
from tests.cohorts import tiny_cohort

FORMAT_1 = Path(__file__).parent / "format1"  # made by release 0.1.0
FORMAT_2 = Path(__file__).parent / "format2"  # made by the last release of format 2
FORMAT_3 = Path(__file__).parent / "format3"


def scans(n: int) -> list[Volume]:
    """Noise with a ball in the middle, larger from patient to patient."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*[np.arange(24) - 11.5] * 3, indexing="ij")
    radius = np.linalg.norm(np.stack(axes), axis=0)
    made = []
    for i in range(n):
        hu = np.where(radius < 3 + 0.4 * i, 40.0, -800.0).astype(np.float32)
        made.append(Volume(hu + rng.normal(0, 20, radius.shape).astype(np.float32), np.diag([3.0, 3, 3, 1])))
    return made


def test_a_model_of_format_1_gives_its_probabilities():
    expected = json.loads((FORMAT_1 / "expected.json").read_text())
    assert json.loads((FORMAT_1 / "model" / "config.json").read_text())["format"] == 1
    rows = tiny_cohort(40, seed=7, missing=0.2, genes=12).X.loc[expected["patients"]].copy()
    rows[("ct", "volume")] = [scan if i % 4 else None for i, scan in enumerate(scans(len(rows)))]
    for axis in "xyz":
        rows[("ct", f"seed_{axis}")] = 34.5
    model = mf.load(FORMAT_1 / "model")
    assert list(model.classes_) == expected["classes"]
    np.testing.assert_allclose(model.predict_proba(rows), expected["probabilities"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("folder", "version"), [(FORMAT_2, 2), (FORMAT_3, 3)])
def test_a_model_of_a_later_format_gives_its_probabilities_and_decisions(folder, version):
    expected = json.loads((folder / "expected.json").read_text())
    assert json.loads((folder / "model" / "config.json").read_text())["format"] == version
    rows = tiny_cohort(40, seed=7, missing=0.2, genes=12).X.loc[expected["patients"]]
    model = mf.load(folder / "model")
    np.testing.assert_allclose(model.predict_proba(rows), expected["probabilities"], rtol=0, atol=1e-6)
    assert list(model.predict(rows)) == expected["predicted"]
    assert len(model.module_.members) == version  # two networks, then three


def test_before_format_3_the_most_probable_class_was_named(tmp_path):
    model = mf.load(FORMAT_2 / "model")
    assert (model.decision, model.settings.network.head) == ("argmax", "ordinal")
    model.save(tmp_path / "again")
    again = mf.load(tmp_path / "again")
    rows = tiny_cohort(40, seed=7, missing=0.2, genes=12).X
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert (again.predict(rows) == model.classes_[model.predict_proba(rows).argmax(axis=1)]).all()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_model_of_the_first_defaults_keeps_them(version, tmp_path):
    """One graph layer, 14 epochs and a learning rate of 0.002 are the default since."""
    model = mf.load(Path(__file__).parent / f"format{version}" / "model")
    assert model.module_.members[0].encoders["rna"].layer2 is not None
    model.save(tmp_path / "again")
    for one in (model, mf.load(tmp_path / "again")):
        settings = one.settings
        assert settings.network.encoder_options["gene_gat"]["layers"] == 2
        assert settings.training.lr == (one.lr or 1e-3)
        assert settings.training.max_epochs == (one.max_epochs or 20)


def test_the_network_of_a_saved_model_does_not_depend_on_defaults(tmp_path, monkeypatch):
    cohort = tiny_cohort(30)
    model = mf.StageClassifier(max_epochs=1, n_genes=20, decision="cost", costs=pd.DataFrame(
        1 - np.eye(3), ["I", "II", "III"], ["I", "II", "III"])).fit(cohort.X, cohort.y)  # fmt: skip
    model.save(tmp_path / "model")
    monkeypatch.setattr(NetworkPlan.__init__, "__defaults__", _with_head("softmax"))
    again = mf.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(cohort.X), model.predict_proba(cohort.X))
    np.testing.assert_array_equal(again.decision_.gains, np.eye(3) - 1)
    assert again.costs["I"] == {"I": 0.0, "II": 1.0, "III": 1.0}


def _with_head(head):
    return tuple(head if value == "mixed" else value for value in NetworkPlan.__init__.__defaults__)


def test_the_focus_of_the_loss_is_saved(tmp_path):
    cohort = tiny_cohort(30)
    model = mf.StageClassifier(max_epochs=1, n_genes=20, training={"loss": "focal"}).fit(cohort.X, cohort.y)
    model.save(tmp_path / "model")
    again = mf.load(tmp_path / "model")
    assert [m.calibration.gamma for m in again.module_.members] == [2.0] * 4
    np.testing.assert_array_equal(again.predict_proba(cohort.X), model.predict_proba(cohort.X))


def test_its_settings_stand_where_they_are_now(tmp_path):
    model = mf.load(FORMAT_1 / "model")
    settings = model.settings
    assert (settings.network.d, settings.network.hidden, settings.preprocessing.crop_side) == (8, 8, 16)
    assert settings.preprocessing.harmonise == "combat" and settings.training.loss == "focal"
    assert settings.training.loss_options == {"gamma": 2.0, "class_weight": "balanced"}
    model.save(tmp_path / "again")
    assert mf.load(tmp_path / "again").get_params() == model.get_params()


def test_later_parameters_are_left_alone():
    params = mf.StageClassifier("gmu", training={"schedule": "constant"}).get_params(deep=False)
    assert from_format_1(params) == params


@pytest.mark.parametrize("name", ["d", "hidden"])
def test_a_flat_name_of_format_1_is_a_nested_one(name):
    assert from_format_1({name: 5, "fusion": "gmu"})["network"] == {name: 5}


def test_settings_may_be_numbers_of_numpy(tmp_path):
    cohort = tiny_cohort(30)
    model = mf.StageClassifier(
        n_members=np.int64(1),
        max_epochs=np.int64(1),
        n_genes=np.int64(20),
        dropout=np.float32(0.5),
        random_state=np.int64(3),
        network={"d": np.int64(8)},
        training={"weight_decay": np.float64(0.01), "lr_groups": {"head": np.float64(0.5)}},
    ).fit(cohort.X, cohort.y)
    model.save(tmp_path / "model")
    again = mf.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(cohort.X), model.predict_proba(cohort.X))
    assert again.random_state == 3 and again.settings.preprocessing.n_genes == 20


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ({"rule": "guess", "gains": [[1, 0], [0, 1]]}, "no such decision"),
        ({"rule": "argmax", "gains": [1, 0, 0]}, "no such decision"),
        ({"rule": "argmax", "gains": [[1, 0], [0, 1]]}, "other classes"),
        ({"rule": "argmax", "gains": [[float("nan")] * 3] * 3}, "not a number"),
    ],
)
def test_a_decision_that_was_edited_is_refused(decision, says):
    _, state, tensors = read_bundle(FORMAT_3 / "model")
    with pytest.raises(BundleError, match=says):
        restore(mf.StageClassifier, {**state, "decision": decision}, tensors)
