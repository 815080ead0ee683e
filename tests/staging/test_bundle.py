"""A saved classifier: the same numbers, no patient in it, and damage is found."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.bundle import FORMAT
from mmfusion.errors import BundleError
from mmfusion.evaluation.leakage import probed
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK


@pytest.fixture
def saved(fitted, tmp_path):
    fitted.save(tmp_path / "stage")
    return tmp_path / "stage"


def test_a_new_process_gives_the_same_bits(cohort, fitted, saved, tmp_path):
    cohort.X.to_pickle(tmp_path / "X.pkl")
    code = (
        "import sys, pandas as pd, numpy as np, mmfusion as mf;"
        "np.save(sys.argv[3], mf.load(sys.argv[1]).predict_proba(pd.read_pickle(sys.argv[2])))"
    )
    subprocess.run([sys.executable, "-c", code, saved, tmp_path / "X.pkl", tmp_path / "p.npy"], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), fitted.predict_proba(cohort.X))


def test_no_patient_leaves_in_a_bundle(cohort, fitted, saved):
    text = (saved / "config.json").read_text() + (saved / "README.md").read_text()
    assert not any(str(p) in text for p in cohort.X.index)
    rows = fitted.transformer_.transform(cohort.X)
    for name, background in fitted.background_.arrays.items():
        patients = rows.arrays[name].reshape(len(cohort.X), -1)
        for row in background.reshape(len(background), -1):
            assert not (patients == row).all(axis=1).any(), name


def test_no_scan_and_no_note_leave_in_a_bundle(tmp_path):
    nib = pytest.importorskip("nibabel")
    hu = np.random.default_rng(0).integers(-900, 100, (12, 12, 12), dtype=np.int16)
    nib.save(nib.Nifti1Image(hu, np.diag([-8.0, -8.0, 8.0, 1.0])), tmp_path / "s.nii.gz")
    cohort = tiny_cohort(24)
    X, one = cohort.X.copy(), cohort.X.index[3]
    X.loc[one, ("ct", "volume")] = str(tmp_path / "s.nii.gz")
    for axis in "xyz":
        X.loc[one, ("ct", f"seed_{axis}")] = 48.0
    X[("ehr", "comment")] = [f"Mr {p}, phone 555-{i:04d}" for i, p in enumerate(X.index)]
    X[("ehr", "ward")] = ["north", "south", "north of Dr Who"] + ["north", "south"] * 10 + ["north"]
    X.attrs = dict(cohort.X.attrs)
    model = mf.StageClassifier(**QUICK, n_members=1).set_params(
        preprocessing__crop_side=16, preprocessing__crop_spacing=6.0
    )
    with probed(), pytest.warns(UserWarning, match="comment: most patients have a value of their own"):
        model.fit(X, cohort.y)
    model.save(tmp_path / "m")
    text = (tmp_path / "m" / "config.json").read_text()
    assert "phone" not in text and "Dr Who" not in text and "north" in text
    background = mf.load(tmp_path / "m").background_
    assert model.transformer_.transform(X.loc[[one]]).arrays["ct"].any() and not background.arrays["ct"].any()
    assert background.arrays["rna"].any() and background.arrays["ct_table"].any() and background.present.all()


@pytest.mark.parametrize("file", ["config.json", "weights.safetensors", "arrays.npz", "README.md"])
def test_an_edited_bundle_is_refused(saved, file):
    content = bytearray((saved / file).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / file).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=file):
        mf.load(saved)


def swap_classes(text):
    return text.replace('"III"', '"_"').replace('"I"', '"III"').replace('"_"', '"I"')


@pytest.mark.parametrize(
    ("file", "edit", "match"),
    [
        ("config.json", lambda text: "[]", "config.json: is not a JSON object"),
        ("config.json", lambda text: "[" * 100_000, "config.json: is not JSON"),
        (
            "config.json",
            lambda text: text.replace(f'"format": {FORMAT}', '"format": "1"'),
            "edited or damaged",
        ),
        ("config.json", swap_classes, "edited or damaged"),
        ("checksums.json", lambda text: "{}", "checksums.json: does not list the bundle's files"),
        ("checksums.json", lambda text: "[]", "checksums.json: is not a JSON object"),
        ("checksums.json", lambda text: text.replace("README.md", "../README.md"), "does not list"),
    ],
)
def test_a_damaged_bundle_says_so(saved, file, edit, match):
    (saved / file).write_text(edit((saved / file).read_text()))
    with pytest.raises(BundleError, match=match):
        mf.load(saved)


def sum_up(folder):
    """As one who edits a bundle on purpose would."""
    sums = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in json.loads(
        (folder / "checksums.json").read_text())}  # fmt: skip
    (folder / "checksums.json").write_text(json.dumps(sums))


@pytest.mark.parametrize(
    ("file", "edit", "match"),
    [
        ("weights.safetensors", lambda data: data[:-50], "cannot be read"),
        ("weights.safetensors", lambda data: b"", "cannot be read"),
        ("arrays.npz", lambda data: data[: len(data) // 2], "cannot be read"),
        ("arrays.npz", lambda data: data[:200] + b"~" * 50 + data[250:], "cannot be read"),
        ("arrays.npz", lambda data: b"", "cannot be read"),
        (
            "config.json",
            lambda data: data.replace(f'"format": {FORMAT}'.encode(), b'"format": "1"'),
            "names no format",
        ),
        ("config.json", lambda data: data.replace(b'"estimator"', b'"guess"'), "cannot be read"),
        ("config.json", lambda data: data.replace(b'"__array__"', b'"__other__"'), "cannot be read"),
        ("config.json", lambda data: data.replace(b'"StageClassifier"', b'["os"]'), "unknown kind of model"),
        ("config.json", lambda data: data.replace(b'"transformers_"', b'"_"'), "does not fit this release"),
    ],
)
def test_damage_that_the_checksums_agree_with_says_so_too(saved, file, edit, match):
    (saved / file).write_bytes(edit((saved / file).read_bytes()))
    sum_up(saved)
    with pytest.raises(BundleError, match=match):
        mf.load(saved)


def test_checksums_are_asked_before_anything_is_loaded(saved):
    weights = saved / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    sums = json.loads((saved / "checksums.json").read_text())
    (saved / "checksums.json").write_text(json.dumps({n: s for n, s in sums.items() if n != weights.name}))
    with pytest.raises(BundleError, match="does not list"):
        mf.load(saved)


def test_a_newer_format_is_refused(saved):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"format": FORMAT + 1}))
    with pytest.raises(BundleError, match="upgrade"):
        mf.load(saved)


def test_no_bundle_there(tmp_path):
    with pytest.raises(BundleError, match="no saved model"):
        mf.load(tmp_path)


def test_saving_over_something_else_is_refused(fitted, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.md").write_text("precious")
    with pytest.raises(BundleError, match="not a saved model"):
        fitted.save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.md").read_text() == "precious"


@pytest.mark.parametrize(
    "config",
    [
        '{"learning_rate": 0.1}',
        "[]",
        "not JSON",
        '{"format": 1}',
        '{"format": "1", "estimator": "StageClassifier"}',
        '{"format": 1, "estimator": "BertModel"}',
        '{"format": 1, "estimator": ["StageClassifier"]}',
    ],
)
@pytest.mark.parametrize("summed", [True, False])
def test_a_config_alone_makes_no_saved_model(fitted, tmp_path, config, summed):
    project = tmp_path / "project"
    project.mkdir()
    (project / "config.json").write_text(config)
    if summed:
        (project / "checksums.json").write_text("{}")
    before = {p.name: p.read_text() for p in project.iterdir()}
    with pytest.raises(BundleError, match="not a saved model"):
        fitted.save(project)
    assert {p.name: p.read_text() for p in project.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["project"]


def test_what_lies_beside_a_saved_model_is_kept(fitted, saved):
    (saved / "notes").mkdir()
    (saved / "notes" / "mine.txt").write_text("precious")
    with pytest.raises(BundleError, match=r"other files lie beside.*got notes"):
        fitted.save(saved)
    assert (saved / "notes" / "mine.txt").read_text() == "precious"
    mf.load(saved)


def test_a_saved_model_without_its_checksums_is_not_replaced(fitted, saved):
    (saved / "checksums.json").unlink()
    with pytest.raises(BundleError, match="not a saved model"):
        fitted.save(saved)


def test_saving_through_a_link_replaces_what_it_points_to(fitted, saved):
    link = saved.parent / "latest"
    link.symlink_to(saved)
    (saved / "README.md").write_text("old")
    fitted.save(link)
    assert link.is_symlink() and (saved / "README.md").read_text() != "old"
    assert sorted(p.name for p in saved.parent.iterdir()) == ["latest", saved.name]


def test_saving_again_replaces(fitted, saved):
    fitted.save(saved)
    assert mf.load(saved).get_params() == fitted.get_params()
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_a_full_disk_leaves_no_half_bundle(fitted, tmp_path, monkeypatch):
    import mmfusion.bundle

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mmfusion.bundle.np, "savez_compressed", full)
    with pytest.raises(BundleError, match="No space left"):
        fitted.save(tmp_path / "stage")
    assert list(tmp_path.iterdir()) == []


def test_harmonised_and_restored_it_is_saved_as_it_was_fitted(cohort, tmp_path):
    model = mf.StageClassifier(**QUICK).set_params(
        preprocessing__harmonise="combat", preprocessing__restore={"name": "nlm", "strength": 0.5}
    )
    model.fit(cohort.X, cohort.y).save(tmp_path / "m")
    loaded = mf.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(cohort.X), model.predict_proba(cohort.X))
    preprocessing = loaded.settings.preprocessing
    assert preprocessing.restore == {"name": "nlm", "strength": 0.5} and preprocessing.harmonise == "combat"
    row = cohort.complete().table.iloc[[0]]
    assert model.predict_row(row).warnings == ()  # its site is read
    np.testing.assert_allclose(
        list(model.predict_row(row).probabilities.values()), model.predict_proba(row)[0], atol=1e-6
    )
    tables = {m: row[[m]].droplevel(0, axis=1) for m in ("rna", "ehr")}
    site = row[("meta", "site")].iloc[0]
    here, nowhere = (model.predict_patient(**tables, site=s, top_genes=0) for s in (site, None))
    assert "no known site" in " ".join(nowhere.warnings) and not here.warnings
    assert here.probabilities != nowhere.probabilities


def test_a_bundle_from_before_restoration_loads(cohort, fitted, saved):
    config = json.loads((saved / "config.json").read_text())
    state = dict((k, v) for k, v in config["state"]["__dict__"])
    transformer = dict((k, v) for k, v in state["transformer"]["__dict__"])
    params = transformer["params"]
    params["__dict__"] = [pair for pair in params["__dict__"] if pair[0] not in ("restore", "harmonise")]
    fitted_state = transformer["fitted"]
    fitted_state["__dict__"] = [pair for pair in fitted_state["__dict__"] if pair[0] != "harmonisers_"]
    (saved / "config.json").write_text(json.dumps(config))
    sums = json.loads((saved / "checksums.json").read_text())
    sums["config.json"] = hashlib.sha256((saved / "config.json").read_bytes()).hexdigest()
    (saved / "checksums.json").write_text(json.dumps(sums))
    loaded = mf.load(saved)
    assert (loaded.transformer_.restore, loaded.transformer_.harmonise) == ("identity", None)
    np.testing.assert_array_equal(loaded.predict_proba(cohort.X), fitted.predict_proba(cohort.X))
