"""PET is a modality like CT: fit, prediction, explanation, report; missing, malformed and wrong scans."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion import cli
from mmfusion.data.cohort import Cohort
from mmfusion.data.export import write_cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.evaluation.baselines import ridge
from mmfusion.explain import randomisation_check, scan_gradcam
from mmfusion.explain.modalities import modality_shapley
from mmfusion.imaging import Volume, read, write_nifti
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.preprocessing.hu_only import HUOnlyWarning
from mmfusion.preprocessing.scans import SeedWarning, standard_crop
from mmfusion.quality.survey import survey_scans
from mmfusion.staging.report.patients import scan_figure, scan_streams
from tests.imaging.dicoms import SUV_PER_BQML, write_series, zipped

QUICK = {"max_epochs": 2, "n_genes": 12, "n_members": 1, "network": {"d": 16, "hidden": 16}}
QUICK |= {"preprocessing": {"graph_k": 3, "crop_side": 16, "crop_spacing": 6.0}}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "files"
    return mf.phantom(36, seed=5, missing=0.2, n_genes=24, n_planted=4, pet=True, root=folder)[0]


@pytest.fixture(scope="module")
def fitted(cohort):
    return mf.StageClassifier(**QUICK).fit(cohort.X, cohort.y)


@pytest.fixture(scope="module")
def patient(cohort):
    """Row of one who has everything."""
    return cohort.complete().table.iloc[[0]]


def given(row: pd.DataFrame) -> dict:
    cells = row.iloc[0]
    seed, pet_seed = ([cells[m, f"seed_{axis}"] for axis in "xyz"] for m in ("ct", "pet"))
    return {"ct": cells["ct", "volume"], "seed": seed, "pet": cells["pet", "volume"], "pet_seed": pet_seed}


def with_cells(row: pd.DataFrame, **cells: object) -> pd.DataFrame:
    out = row.astype(object)
    for name, value in cells.items():
        out[tuple(name.split("__"))] = [value]
    return out


def test_streams_of_a_cohort_with_pet(fitted):
    assert [spec.name for spec in fitted.transformer_.specs_] == ["ct", "pet", "rna", "ehr"]
    spec = fitted.transformer_.specs_[1]
    assert spec.modality == "pet" and spec.shape == (1, 16, 16, 16)
    assert type(fitted.module_.members[0].encoders["pet"]).__name__ == "CTResNet"


def test_predicted_as_in_the_table(fitted, patient):
    row = fitted.predict_row(patient.loc[:, ["ct", "pet"]])
    files = fitted.predict_patient(**given(patient), patient=patient.index[0])
    assert files.probabilities == row.probabilities
    assert files.used == ("ct", "pet") and files.missing == ("rna", "ehr")
    read_before = given(patient) | {"pet": read(patient.iloc[0]["pet", "volume"], unit="SUVbw")}
    again = fitted.predict_patient(**read_before)
    assert again.probabilities == pytest.approx(files.probabilities, abs=1e-5)


def test_pet_alone_and_without_pet(fitted, patient):
    everything = given(patient)
    pet = fitted.predict_patient(pet=everything["pet"], pet_seed=everything["pet_seed"])
    assert pet.used == ("pet",) and pet.missing == ("ct", "rna", "ehr") and not pet.warnings
    ct = fitted.predict_patient(ct=everything["ct"], seed=everything["seed"])
    assert ct.used == ("ct",)
    assert pet.probabilities != ct.probabilities


def test_what_is_read_of_the_pet_does_not_depend_on_the_ct(fitted, patient):
    whole = fitted.transformer_.transform(patient)
    hidden = fitted.transformer_.transform(with_cells(patient, ct__volume=None, ct__mask=None))
    moved = fitted.transformer_.transform(with_cells(patient, ct__seed_x=patient.iloc[0]["ct", "seed_x"] + 5))
    without = patient.drop(columns="ct", level=0)
    for other in (hidden, moved, fitted.transformer_.transform(without)):
        np.testing.assert_array_equal(other.arrays["pet"], whole.arrays["pet"])
    assert whole.arrays["pet"].any() and not np.array_equal(moved.arrays["ct"], whole.arrays["ct"])


def test_hiding_the_ct_gives_the_prediction_of_the_pet_alone(fitted, patient):
    hidden = with_cells(patient, **{f"ct__{c}": None for c in patient["ct"]}).loc[:, ["ct", "pet"]]
    alone = patient.loc[:, ["pet"]]
    np.testing.assert_array_equal(fitted.predict_proba(hidden), fitted.predict_proba(alone))


def test_a_pet_without_a_seed_is_read_at_its_middle(patient):
    path, seed = given(patient)["pet"], given(patient)["seed"]
    volume = read(path, unit="SUVbw")
    middle = standard_crop(path, None, side=16, modality="pet")
    np.testing.assert_array_equal(middle, standard_crop(path, volume.center_mm, side=16, modality="pet"))
    unseeded = with_cells(patient, pet__seed_x=None, pet__seed_y=None, pet__seed_z=None)
    transformer = mf.preprocessing.scans.ScanTransformer(16, modality="pet")
    with pytest.warns(SeedWarning, match=rf"no seed in the PET of 1 .*at its middle: {patient.index[0]}"):
        crops = transformer.fit_transform(unseeded["pet"])
    np.testing.assert_array_equal(crops[0, 0], middle)
    assert not np.array_equal(middle, standard_crop(path, seed, side=16, modality="pet"))  # CT's is not used


def test_the_window_is_in_suv(patient):
    path = given(patient)["pet"]
    crop = standard_crop(path, given(patient)["pet_seed"], side=16, spacing=4.0, modality="pet")
    volume = read(path, unit="SUVbw").crop(given(patient)["pet_seed"], 64.0, 4.0)
    np.testing.assert_allclose(crop * 15, np.clip(volume.array, 0, 15), atol=1e-5)


def test_saved_and_loaded(fitted, patient, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = mf.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(patient), fitted.predict_proba(patient))


def test_explained(cohort, fitted):
    X = cohort.complete().X[:3]
    found = {stream: scan_gradcam(fitted, X, stream=stream) for stream in scan_streams(fitted)}
    assert list(found) == ["ct", "pet"] == [one.stream for one in found.values()]
    assert found["pet"].maps.shape == found["pet"].crops.shape == (len(X), 16, 16, 16)
    assert not np.array_equal(found["ct"].crops, found["pet"].crops)
    assert randomisation_check(fitted, X, stream="pet").index.tolist() == list(X.index)
    values = modality_shapley(fitted, X)
    assert values.modalities == ("ct", "pet", "rna", "ehr")
    assert "PET, HiResCAM" in scan_figure(fitted, X.iloc[[0]], "pet").axes[0].get_title(loc="left")
    no_pet = X.iloc[[0]].drop(columns="pet", level=0)
    assert scan_figure(fitted, no_pet, "pet") is None


def test_ridge_and_forest_read_the_uptake(cohort):
    has = cohort.X["pet"].notna().any(axis=1)
    table = FlatTransformer(modalities=["pet"], crop_side=32).fit_transform(cohort.X[has])
    assert {"pet: suv_max", "pet: volume_41pct_ml", "pet: glycolysis_41pct"} <= set(table)
    proba = ridge(["ct", "pet"]).fit(cohort.X, cohort.y).predict_proba(cohort.X)
    assert proba.shape == (len(cohort), 3) and np.isfinite(proba).all()


def test_surveyed(cohort):
    survey = survey_scans(cohort, list(cohort.table.index[:4]), modality="pet")
    assert (
        not len(survey.failures)
        and survey.table["p99"].lt(20).all()
        and survey.table["lesion_ml"].gt(0).all()
    )


def test_settings_for_ct_are_left_out_of_pet_with_a_word(cohort, patient):
    model = mf.preprocessing.cohort.CohortTransformer(
        ["ct", "pet"], crop_side=8, crop_spacing=8.0, crop_mode="lung", restore="bilateral"
    )
    with pytest.warns(
        HUOnlyWarning, match="mode='lung', restore='bilateral': for CT only.* PET is read without"
    ):
        model.fit(patient)
    assert model.transformers_["ct"].mode == "lung" and model.transformers_["pet"].mode == "tumour"
    for settings in ({"mode": "lung"}, {"restore": "bilateral"}):
        with pytest.raises(DataError, match="column pet: a setting for CT, which needs HU"):
            standard_crop(given(patient)["pet"], None, 16, modality="pet", **settings)
    with pytest.raises(DataError, match="harmonise='histogram'"):
        mf.preprocessing.scans.ScanTransformer(8, modality="pet", harmonise="histogram").fit(patient["pet"])


# --- the wrong modality, and PET that cannot be one ---


@pytest.fixture
def study(tmp_path):
    """A ZIP that holds a CT and a PET of one patient: (path, HU, SUV)."""
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 400, (10, 16, 16)).astype(np.int16)
    bq = rng.integers(1000, 20000, (10, 16, 16)).astype(np.int16)
    write_series(tmp_path / "dicom", hu, (4.0, 4.0, 4.0), series="1")
    write_series(tmp_path / "dicom", bq, (4.0, 4.0, 4.0), series="2", modality="PT")
    return zipped(tmp_path / "dicom", tmp_path / "study.zip"), hu, bq * SUV_PER_BQML


def one(path, modality="pet", **cells) -> Cohort:
    cells = {"volume": str(path), "seed_x": 0.0, "seed_y": -10.0, "seed_z": 118.0, **cells}
    table = pd.DataFrame([cells], index=pd.Index(["P1"], name="patient_id"))
    return Cohort(
        "one",
        pd.concat({modality: table}, axis=1),
        pd.DataFrame({"stage": ["I"]}, index=["P1"]),
        "stage3_ajcc7",
    )


def test_a_file_of_both_gives_each_its_own(study):
    path, hu, suv = study
    pet, ct = open_scan(one(path), "P1", "pet").volume, open_scan(one(path, "ct"), "P1", "ct").volume
    assert (pet.unit, ct.unit) == ("SUVbw", "HU")
    np.testing.assert_array_equal(ct.array, hu)
    np.testing.assert_allclose(pet.array, suv, rtol=1e-5)
    crops = {m: standard_crop(path, (0, -10, 118), side=8, spacing=4, modality=m) for m in ("ct", "pet")}
    expected = pet.crop((0, -10, 118), 32, 4)
    np.testing.assert_allclose(crops["pet"], np.clip(expected.array / 15, 0, 1), atol=1e-5)
    assert not np.allclose(crops["ct"], crops["pet"])


def test_the_same_through_a_manifest(study, tmp_path, capsys):
    path, _, suv = study
    rows = [["d", "P1", m, "volume", path.name] for m in ("ct", "pet")]
    (tmp_path / "labels.csv").write_text("patient_id,stage\nP1,IA\n")
    rows.append(["d", "", "", "labels", "labels.csv"])
    frame = pd.DataFrame(rows, columns=["dataset", "patient_id", "modality", "role", "path"])
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    cohort = mf.load_cohort(tmp_path / "manifest.csv")
    np.testing.assert_allclose(open_scan(cohort, "P1", "pet").volume.array, suv, rtol=1e-5)
    cli.main(["validate", str(tmp_path / "manifest.csv")])
    out = capsys.readouterr().out
    assert "1 of 1 PET scans have no seed" in out and "not a PET" not in out


@pytest.mark.parametrize(("modality", "holds"), [("pet", "CT"), ("ct", "PT")])
def test_dicom_of_another_modality(tmp_path, fitted, capsys, modality, holds):
    values = np.random.default_rng(0).integers(100, 1000, (8, 16, 16)).astype(np.int16)
    write_series(tmp_path / "s", values, (4.0, 4.0, 4.0), modality=holds)
    path = zipped(tmp_path / "s", tmp_path / "s.zip")
    wanted, expected = {"pet": ("PET", "PT"), "ct": ("CT", "CT")}[modality]
    text = rf"patient P1, file .*s\.zip.*not a {wanted} "
    text += rf"\(expected a series of modality {expected}; got [^)]*{holds} "
    with pytest.raises(ScanError, match=text):
        open_scan(one(path, modality), "P1", modality)
    with pytest.raises(ScanError, match=rf"P1.*s\.zip.*not a {wanted}"):
        fitted.predict_proba(one(path, modality).table)
    with pytest.raises(ScanError, match=rf"P1.*s\.zip.*not a {wanted}"):
        fitted.predict_patient(**{modality: path}, patient="P1")
    (error,) = fitted.predict_each(one(path, modality).table)
    assert isinstance(error, MMFusionError) and f"not a {wanted}" in str(error)
    assert (
        survey_scans(one(path, modality), modality=modality).failures.loc["P1", "problem"]
        == f"not a {wanted}"
    )


def nifti(path, values, unit):
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (-30, -40, 100)
    return write_nifti(Volume(values.astype(np.float32), affine, unit=unit), path)


def test_nifti_is_what_the_row_says(tmp_path):
    values = np.random.default_rng(0).uniform(0, 12, (8, 16, 16))
    path = nifti(tmp_path / "v.nii.gz", values, "SUVbw")
    assert open_scan(one(path), "P1", "pet").volume.unit == "SUVbw"


@pytest.mark.parametrize(
    ("modality", "low", "high", "text"),
    [
        ("pet", -1000, 400, "values that cannot be SUV.*is it a CT in HU"),
        ("pet", 0, 20_000, r"values that cannot be SUV.*Bq/mL"),
        ("ct", -0.05, 12, "values that cannot be HU.*a PET is read with unit='SUVbw'"),
    ],
)
def test_values_that_the_modality_cannot_have(tmp_path, fitted, modality, low, high, text):
    values = np.random.default_rng(0).uniform(low, high, (8, 16, 16))
    path = nifti(tmp_path / "v.nii.gz", values, "HU")
    with pytest.raises(ScanError, match=rf"patient P1, file .*v\.nii\.gz.*{text}"):
        open_scan(one(path, modality), "P1", modality)
    with pytest.raises(ScanError, match=rf"P1.*v\.nii\.gz.*{text}"):
        fitted.predict_proba(one(path, modality).table)


@pytest.mark.parametrize("modality", ["pet", "ct"])
def test_volumes_of_another_modality(fitted, patient, modality):
    other = {"pet": "ct", "ct": "pet"}[modality]
    unit = {"pet": "SUVbw", "ct": "HU"}
    volume = read(given(patient)[other], unit=unit[other])
    text = rf"patient P1.*not a {modality.upper()} "
    text += rf"\(expected a Volume of unit {unit[modality]}; got {unit[other]}"
    with pytest.raises(ScanError, match=text):
        fitted.predict_patient(**{modality: volume}, patient="P1")


def test_a_pet_for_a_model_that_reads_none(cohort, patient):
    some = cohort.complete(["rna", "ehr"])
    model = mf.StageClassifier(**QUICK, modalities=["rna", "ehr"]).fit(some.X, some.y)
    with pytest.raises(DataError, match=r"the model does not read this .*got pet"):
        model.predict_patient(pet=given(patient)["pet"])


def test_the_command_line_predicts_from_pet(fitted, patient, tmp_path, capsys):
    fitted.save(tmp_path / "model")
    point = ",".join(map(str, given(patient)["pet_seed"]))
    files = ["--pet", given(patient)["pet"], "--pet-seed", point]
    assert cli.main(["predict", "--model", str(tmp_path / "model"), *files, "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["used"] == ["pet"] and not out["warnings"]
    assert (
        cli.main(["predict", "--model", str(tmp_path / "model"), "--pet", given(patient)["ct"]]) == cli.INPUT
    )
    assert "cannot be SUV" in capsys.readouterr().err


def test_written_read_back_and_predicted_as_a_users_own(cohort, fitted, tmp_path, capsys):
    some = cohort.select(patients=list(cohort.table.index[:6]))
    manifest = write_cohort(some, tmp_path / "own")
    again = mf.load_cohort(manifest)
    assert {"pet", "ct"} <= set(again.modalities)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeedWarning)
        np.testing.assert_allclose(
            fitted.predict_proba(again.X), fitted.predict_proba(some.X.loc[again.X.index])
        )
    fitted.save(tmp_path / "model")
    out = tmp_path / "p.csv"
    arguments = ["predict", "--model", str(tmp_path / "model"), "--manifest", str(manifest), "-o", str(out)]
    assert cli.main(arguments) == 0
    table = pd.read_csv(out).set_index("patient_id")
    has = some.table["pet", "volume"].notna()
    assert (table["used"].str.contains("pet") == has).all() and has.any()


def test_a_generated_cohort_has_its_pet(tmp_path):
    options = {"n": 6, "n_genes": 12, "n_planted": 2, "missing": 0.0}
    made = mf.load_cohort("demo", root=tmp_path, pet=True, **options)
    assert made.table["pet", "volume"].notna().all() and "ct+pet" in made.provenance["optimum"]
    assert replace(made).select(modalities=["pet"]).complete().table.shape[0] == 6


@pytest.mark.parametrize("kind", ["pet", "ct"])
def test_a_real_study(tmp_path, kind, shared_data):
    folder = shared_data / "pet_ct"
    both = tmp_path / "both"
    both.mkdir()
    for name in ("ct", "pet"):
        (both / f"{name}.zip").symlink_to(folder / f"AMC-001_{name}.zip")
    apart = open_scan(one(folder / f"AMC-001_{kind}.zip", kind), "P1", kind).volume
    np.testing.assert_array_equal(open_scan(one(both, kind), "P1", kind).volume.array, apart.array)
    other = {"pet": "ct", "ct": "pet"}[kind]
    with pytest.raises(ScanError, match=f"not a {other.upper()}"):
        open_scan(one(folder / f"AMC-001_{kind}.zip", other), "P1", other)
