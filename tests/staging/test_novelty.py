"""A scan, a profile or a record that is unlike those of the training patients has a warning."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError, gathered
from mmfusion.imaging import Volume, write_nifti
from mmfusion.staging.novelty import Bounds, Usual, from_state, learn_usual, summaries, to_state, unusual
from mmfusion.streams import StreamInputs, StreamSpec
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK

UNLIKE = "unlike the {} that the model was fitted on"


@pytest.fixture(scope="module")
def fitted():
    """A model of scans, genes and records of the phantom, and other patients of the phantom."""
    train = mf.phantom(40, 3, missing=0.0, n_genes=60)[0]
    settings = QUICK | {"n_genes": 40, "preprocessing": {"graph_k": 3, "crop_side": 16}}
    model = mf.StageClassifier(**settings, n_members=1).fit(train.X, train.y)
    return model, mf.phantom(40, 4, missing=0.0, n_genes=60)[0].X


def warned(model, X: pd.DataFrame) -> str:
    return " / ".join(model.predict_row(X, top_genes=0).warnings)


def test_patients_of_the_same_kind_are_rarely_warned_of(fitted):
    model, others = fitted
    with gathered():  # categories that no training patient has
        inputs = model.transformer_.transform(others)
    found = [list(unusual(model.usual_, inputs.rows(slice(k, k + 1)), model.transformer_.specs_))
             for k in range(len(others))]  # fmt: skip
    assert sum(map(bool, found)) <= 2 and set(model.usual_) == {"ct", "rna", "ehr"}


def test_a_head_is_unlike_a_chest(fitted, tmp_path):
    model, others = fitted
    z, y, x = np.meshgrid(*[np.arange(-60, 60)] * 3, indexing="ij")
    r = np.sqrt(z**2 + y**2 + x**2)
    brain = np.where(
        r < 50, 35 + np.random.default_rng(0).normal(0, 8, r.shape), np.where(r < 56, 900, -1000)
    )
    write_nifti(Volume(brain.astype(np.int16), np.eye(4)), tmp_path / "head.nii.gz")
    one = others.iloc[[0]].copy()
    one["ct", "volume"] = str(tmp_path / "head.nii.gz")
    for axis in "xyz":
        one["ct", f"seed_{axis}"] = 60.0
    assert UNLIKE.format("scans") in warned(model, one) and "rna: unlike" not in warned(model, one)
    assert "unlike" not in warned(model, others.iloc[[0]])


def test_a_real_scan_is_unlike_the_phantom(fitted, shared_data):
    scan = shared_data / "nsclc_radiogenomics/ct/R01-001.zip"
    seeds = shared_data / "nsclc_radiogenomics/fmcib_seeds.csv"
    point = pd.read_csv(seeds).set_index("Case ID").loc["R01-001", ["coordX", "coordY", "coordZ"]]
    found = fitted[0].predict_patient(ct=scan, seed=point.tolist(), top_genes=0)
    assert any(UNLIKE.format("scans") in text for text in found.warnings)


def test_a_permuted_profile_and_one_of_another_unit(fitted):
    model, others = fitted
    one = others.iloc[[0]]
    permuted, other = one.copy(), one.copy()
    permuted["rna"] = np.random.default_rng(0).permutation(one["rna"].to_numpy()[0])[None]
    other["rna"] = np.exp2(one["rna"].to_numpy())
    for changed in (permuted, other):
        assert UNLIKE.format("profiles") in warned(model, changed)


@pytest.mark.parametrize(("column", "value"), [("age", 0.0), ("weight", 300.0), ("pack_years", 900.0)])
def test_a_value_that_the_preprocessing_cuts_off_is_out_of_range(fitted, column, value):
    """More than 5 SD from the mean is cut off, so that 1.5 times the largest value may never be reached."""
    model, others = fitted
    one = others.iloc[[0]].copy()
    one["ehr", column] = value
    assert f"far outside the values that the model was fitted on: {column}" in warned(model, one)


def test_values_may_be_cut_off_elsewhere_or_not_at_all():
    most, value = np.array([2.9]), np.array([3.0])
    assert Bounds(most, cut=3.0).beyond(value).all() and not Bounds(most).beyond(value).any()
    assert not Bounds(np.array([4.0]), cut=None).beyond(np.array([5.5])).any()
    saved = from_state(to_state({"ehr": Bounds(most, cut=3.0)}))["ehr"]
    assert saved.cut == 3.0 and from_state({"ehr": {"most": [2.9]}})["ehr"].cut == 5.0  # of an older bundle


def test_nothing_is_unusual_if_training_values_were_cut_off_too():
    assert Bounds(np.array([4.0, 5.0])).beyond(np.array([5.0, 5.0])).tolist() == [True, False]


def test_a_record_out_of_range_names_its_column(fitted):
    model, others = fitted
    one = others.iloc[[0]].copy()
    one["ehr", "age"] = 140.0
    assert "ehr: far outside the values that the model was fitted on: age" in warned(model, one)


def test_a_missing_modality_is_not_unusual(fitted):
    model, others = fitted
    one = others.iloc[[0]].copy()
    one["rna"] = np.nan
    assert "rna: unlike" not in warned(model, one)


def test_few_patients_say_nothing_about_what_is_usual():
    specs = [StreamSpec("rna", "rna", (30,))]
    inputs = StreamInputs({"rna": np.ones((10, 30))}, np.ones((10, 1), bool), list(range(10)))
    assert learn_usual(inputs, specs) == {} and list(unusual({}, inputs.rows(slice(0, 1)), specs)) == []


def test_the_noise_of_a_scan_changes_its_summary():
    rng = np.random.default_rng(0)
    calm = rng.normal(0.5, 0.01, (1, 1, 12, 12, 12))
    assert (summaries(calm + rng.normal(0, 0.1, calm.shape))[0, 7:] > 3 * summaries(calm)[0, 7:]).all()


def test_it_is_saved(fitted, tmp_path):
    model, others = fitted
    again = mf.load(model.save(tmp_path / "m") and tmp_path / "m")
    one = others.iloc[[1]].copy()
    one["ehr", "age"] = 140.0
    assert warned(again, one) == warned(model, one)
    same = from_state(to_state(model.usual_))
    assert same["ct"].largest == model.usual_["ct"].largest


@pytest.mark.parametrize("make", [
    lambda: Usual(np.zeros(2), np.eye(3), 1.0),
    lambda: Usual(np.zeros(2), np.eye(2) * np.nan, 1.0),
    lambda: Usual(np.zeros(2), np.eye(2), -1.0),
    lambda: Bounds([-1.0]),
])  # fmt: skip
def test_bad_states(make):
    with pytest.raises(DataError, match=r"not (a description of usual patients|bounds of a table)"):
        make()


def test_a_model_without_enough_patients_warns_of_nobody():
    cohort = tiny_cohort(16)
    model = mf.StageClassifier(**QUICK, n_members=1).fit(cohort.X, cohort.y)
    assert model.usual_ == {}
