import copy
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import mmfusion as mf
from mmfusion.errors import DataError, ScanError
from mmfusion.evaluation.leakage import probed
from tests.staging.quick import QUICK


@pytest.fixture(scope="module")
def model(fitted):
    return fitted


@pytest.fixture
def files(cohort, tmp_path):
    """The same patient's tables, on disk."""
    row = cohort.complete().table.iloc[[0]]
    out = {}
    for modality in ("rna", "ehr", "ct"):
        out[modality] = tmp_path / f"{modality}.csv"
        row[modality].to_csv(out[modality])
    return row, out


def test_from_files_as_from_the_cohort(model, files):
    row, paths = files
    from_files = model.predict_patient(**paths)
    from_row = model.predict_row(row)
    assert from_files.stage == from_row.stage and from_files.patient == row.index[0]
    for stage, p in from_row.probabilities.items():
        assert from_files.probabilities[stage] == pytest.approx(p, abs=1e-6)
    assert from_files.used == ("ct", "ehr", "rna") or set(from_files.used) == {"ct", "ehr", "rna"}
    assert from_files.missing == () and from_files.target == "stage3_ajcc7"


@pytest.mark.parametrize("given", [["ehr"], ["rna"], ["ct"], ["rna", "ehr"]])
def test_any_subset(model, files, given):
    _, paths = files
    prediction = model.predict_patient(**{m: paths[m] for m in given})
    assert set(prediction.used) == set(given)
    assert set(prediction.missing) == {"ct", "rna", "ehr"} - set(given)
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert bool(prediction.top_genes) == ("rna" in given)


def test_ten_genes_by_shap(model, files):
    _, paths = files
    prediction = model.predict_patient(**paths)
    assert len(prediction.top_genes) == 10
    sizes = [abs(v) for _, v in prediction.top_genes]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0
    assert model.predict_patient(**paths) == prediction  # deterministic


def test_says_itself_in_text_json_and_html(model, files):
    _, paths = files
    prediction = model.predict_patient(**paths)
    assert f"stage {prediction.stage}" in str(prediction)
    assert json.loads(prediction.to_json())["stage"] == prediction.stage
    assert "<table" in prediction._repr_html_()


def test_nothing_given(model):
    with pytest.raises(DataError, match="at least one of ct, pet, rna, ehr"):
        model.predict_patient()


def test_table_of_several_patients_wants_a_name(model, cohort, tmp_path):
    cohort.table["ehr"].to_csv(tmp_path / "ehr.csv")
    with pytest.raises(DataError, match=r"several patients.*--patient"):
        model.predict_patient(ehr=tmp_path / "ehr.csv")
    assert model.predict_patient(ehr=tmp_path / "ehr.csv", patient="P003").patient == "P003"
    with pytest.raises(DataError, match="P999"):
        model.predict_patient(ehr=tmp_path / "ehr.csv", patient="P999")


def test_absent_genes_are_said(model, files, tmp_path):
    row, _ = files
    row["rna"].iloc[:, :14].to_csv(tmp_path / "few.csv")
    prediction = model.predict_patient(rna=tmp_path / "few.csv")
    assert any("genes absent" in w for w in prediction.warnings)


def test_another_unit_of_rna(model, files):
    _, paths = files
    with pytest.raises(DataError, match="tpm"):
        model.predict_patient(rna=paths["rna"], rna_unit="tpm")


@pytest.mark.parametrize("lost", [{"seed": (0, 0, 0)}, {"series": "1.2"}, {"pet_seed": (0, 0, 0)}])
def test_a_seed_or_series_is_not_lost(model, files, lost):
    _, paths = files
    modality = "pet" if "pet_seed" in lost else "ct"
    with pytest.raises(DataError, match=f"parameter {modality}: a seed or series without a scan"):
        model.predict_patient(ehr=paths["ehr"], **lost)
    if modality == "ct":
        with pytest.raises(DataError, match="table of features"):
            model.predict_patient(ct=paths["ct"], **lost)


def test_no_such_scan(model):
    with pytest.raises(DataError, match="no such scan"):
        model.predict_patient(ct="nowhere.zip")


def test_batch_goes_on_past_a_bad_patient(model, cohort):
    X = cohort.X.iloc[:3].copy()
    X.loc[X.index[1]] = pd.NA
    out = model.predict_each(X, top_genes=0)
    assert isinstance(out[1], DataError)
    assert [o.patient for o in (out[0], out[2])] == [X.index[0], X.index[2]]


def test_a_modality_that_the_model_does_not_read(cohort):
    two = cohort.select(modalities=["rna", "ehr"])
    model = mf.StageClassifier(**QUICK).fit(two.X, two.y)
    everybody = cohort.table.copy()
    everybody.loc[everybody.index[0], "ct"] = np.nan
    everybody.attrs = dict(cohort.table.attrs)
    has = everybody["ct"].notna().any(axis=1)
    staged = model.predict_each(everybody, top_genes=0)
    assert 1 <= (~has).sum() < len(has) and all(isinstance(s, mf.StagePrediction) for s in staged)
    for s in staged:
        said = "ct was given, but the model does not read it" in s.warnings
        assert said == has[s.patient]
    alone = everybody.loc[[everybody.index[1]]]
    alone.loc[:, ["rna", "ehr"]] = np.nan
    alone["ct"] = 1.0
    with pytest.raises(DataError, match="the model does not read this"):
        model.predict_row(alone)


def test_who_could_not_be_staged_is_named(model, cohort):
    X = cohort.complete().X.iloc[:2].copy()
    X.loc[X.index[0], "rna"] = np.nan
    X.attrs = {"units": {"rna": "tpm"}}  # an error about tables, not about a patient
    staged, error = model.predict_each(X, top_genes=0)
    assert staged.missing == ("rna",) and "another unit" in str(error)
    assert error.patient == X.index[1] and X.index[1] in str(error)


def test_probabilities_are_finite_or_refused(model, cohort):
    bad = copy.deepcopy(model)
    with torch.no_grad():
        next(bad.module_.parameters()).fill_(np.nan)
    with pytest.raises(
        DataError, match=rf"patient {cohort.X.index[0]}, .*: the probabilities are not finite"
    ):
        bad.predict_proba(cohort.X)


@pytest.mark.parametrize("ward", ["1", "2", "3a"])
def test_a_category_from_a_file_as_from_the_cohort(cohort, tmp_path, ward):
    X = cohort.X.copy()
    X[("ehr", "ward")] = np.resize(["1", "2", "3a", "3b", "x"], len(X))
    X.attrs = dict(cohort.X.attrs)
    model = mf.StageClassifier(**QUICK, modalities=["ehr"]).fit(X, cohort.y)
    row = X.loc[X[("ehr", "ward")] == ward].iloc[[0]]
    row["ehr"].to_csv(tmp_path / "one.csv")
    from_file = model.predict_patient(ehr=tmp_path / "one.csv")
    np.testing.assert_allclose(list(from_file.probabilities.values()), model.predict_proba(row)[0], atol=1e-6)
    assert from_file.warnings == ()


def test_two_patients_are_never_merged(model, cohort, tmp_path):
    cohort.complete().table["rna"].iloc[[0]].to_csv(tmp_path / "rna.csv")
    cohort.complete().table["ehr"].iloc[[1]].to_csv(tmp_path / "ehr.csv")
    with pytest.raises(DataError, match="different patients"):
        model.predict_patient(rna=tmp_path / "rna.csv", ehr=tmp_path / "ehr.csv")


@pytest.mark.parametrize("source", [{"age": 70}, pd.Series({"age": 70}), ""])
def test_what_is_neither_path_nor_table(model, source):
    with pytest.raises(DataError, match=r"parameter ehr.*a path or a DataFrame"):
        model.predict_patient(ehr=source)


def test_a_frame_with_its_ids_in_a_column(model, cohort):
    row = cohort.complete().table.iloc[[0]]
    frame = row["rna"].rename_axis("patient_id").reset_index()
    assert model.predict_patient(rna=frame).patient == row.index[0]


def test_features_of_an_unknown_patient(model, files):
    _, paths = files
    with pytest.raises(DataError, match=r"patient ZZ.*not in the table"):
        model.predict_patient(ct=paths["ct"], patient="ZZ")


def test_a_volume_in_memory_as_its_file(tmp_path):
    cohort = mf.phantom(24, 5, missing=0.0, n_genes=40, root=tmp_path)[0]
    model = mf.StageClassifier(modalities=["ct"], max_epochs=1, n_members=1).set_params(
        preprocessing__crop_side=16
    )
    with probed():  # few patients, many columns
        model.fit(cohort.X, cohort.y)
    row = cohort.table["ct"].iloc[0]
    seed = tuple(row[["seed_x", "seed_y", "seed_z"]].astype(float))
    from_file = model.predict_patient(ct=row["volume"], seed=seed)
    in_memory = model.predict_patient(ct=mf.imaging.read(row["volume"]), seed=seed)
    assert in_memory.probabilities == from_file.probabilities
    scan = mf.imaging.read(row["volume"])
    holes = scan.array.astype(np.float32)
    holes[0, 0, 0] = np.nan
    with pytest.raises(ScanError, match="patient A, parameter ct: values that are not numbers"):
        model.predict_patient(ct=replace(scan, array=holes), seed=seed, patient="A")
    with pytest.raises(mf.MMFusionError, match="series is for DICOM"):
        model.predict_patient(ct=row["volume"], seed=seed, series="thinnest")


def test_what_was_not_read_of_a_table_is_among_the_warnings(model, files):
    row, paths = files
    table = pd.read_csv(paths["rna"], index_col=0).assign(N_unmapped=10**6)
    table.to_csv(paths["rna"])
    prediction = model.predict_patient(rna=paths["rna"])
    assert any("no genes were not read: N_unmapped" in text for text in prediction.warnings)
    assert prediction.probabilities == model.predict_patient(rna=row["rna"]).probabilities


@pytest.mark.parametrize("wrong", [-1, 2.5, "ten"])
def test_a_number_of_genes_that_is_no_number(model, cohort, wrong):
    with pytest.raises(DataError, match="parameter top_genes: out of range"):
        model.predict_row(cohort.X.iloc[[0]], top_genes=wrong)
