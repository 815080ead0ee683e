"""Measures of lesions as columns of a cohort, and a stage model that reads them."""

import json

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.cli import main
from mmfusion.errors import DataError
from mmfusion.evaluation.leakage import probed
from mmfusion.features import LesionMeasures, extract
from mmfusion.features.measures import COLUMNS
from mmfusion.imaging import read, read_mask
from mmfusion.lesions.measures import measure
from tests.features.lesions import lesion, write_cohort


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    manifest = write_cohort(tmp_path, {"P1": lesion(1), "P2": (lesion(2)[0], None)})
    out = tmp_path / "measures.csv"
    assert main(["features", str(manifest), "--measures", "--n-jobs", "1", "-o", str(out)]) == 1
    text = capsys.readouterr()
    assert "1 of 2 scans computed" in text.out and "not computed: patient P2" in text.err
    table = pd.read_csv(out, index_col=0)
    assert list(table.columns) == list(COLUMNS)
    assert json.loads((tmp_path / "measures.csv.json").read_text())["measures_version"] == 1


def test_lesions_of_one_kind(tmp_path, capsys, monkeypatch):
    """Masks and clicks are not mixed unless the user wants it, and a mixture is told."""
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path / "cache"))
    (scan, mask), (other, _) = lesion(1, radius=7.0), lesion(2, radius=7.0)
    manifest = write_cohort(tmp_path, {"P1": (scan, mask), "P2": (other, None)})
    points = {p: dict(zip(("seed_x", "seed_y", "seed_z"), mask.centroid_mm)) for p in ("P1", "P2")}
    pd.DataFrame.from_dict(points, orient="index").to_csv(tmp_path / "seeds.csv", index_label="patient_id")
    rows = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    rows.loc[len(rows)] = {"dataset": "lesions", "modality": "ct", "role": "seeds", "path": "seeds.csv"}
    rows.fillna("").to_csv(manifest, index=False)
    volume, said = {}, {}
    for kind in ("any", "click", "mask"):
        out = tmp_path / f"{kind}.csv"
        options = ["--measures", "--lesion", kind, "--n-jobs", "1", "-o", str(out)]
        assert main(["features", str(manifest), *options]) == int(kind == "mask")
        volume[kind] = pd.read_csv(out, index_col=0)["lesion_volume_ml"]
        said[kind] = capsys.readouterr()
        assert json.loads((tmp_path / f"{kind}.csv.json").read_text())["lesion"] == kind
    assert list(volume["mask"].index) == ["P1"] and volume["any"]["P1"] == volume["mask"]["P1"]
    assert volume["click"]["P1"] != volume["mask"]["P1"] and volume["click"]["P2"] == volume["any"]["P2"]
    assert "note: 1 lesions are from a click and 1 from a mask" in said["any"].err
    assert "from a click" not in said["click"].err + said["mask"].err
    line = said["click"].out.splitlines()[-1]
    rows.loc[len(rows)] = dict(zip(rows.columns, line.split(","), strict=True))
    rows.fillna("").to_csv(manifest, index=False)
    assert mf.load_cohort(manifest).table["ct", "lesion_volume_ml"].notna().all()


def test_unusable_kinds_of_lesion(tmp_path, capsys):
    manifest = write_cohort(tmp_path, {"P1": lesion(1)})
    with pytest.raises(DataError, match=r"unknown kind of lesion \(expected any, mask, click; got box\)"):
        LesionMeasures(lesion="box")
    found = extract(manifest, LesionMeasures(lesion="click"), n_jobs=1, progress=False)
    assert found.failures["error"].str.startswith("no click").all()
    assert found.failures["hint"].str.startswith("give a seed").all()
    assert main(["features", str(manifest), "--lesion", "mask", "-o", str(tmp_path / "t.csv")]) == 2
    assert "--lesion needs --measures or --radiomics" in capsys.readouterr().err


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A phantom with measures from its masks, and a model that reads them and the scan."""
    folder = tmp_path_factory.mktemp("phantom")
    cohort, _ = mf.phantom(24, 3, missing=0.0, n_genes=40, root=folder)
    measures = extract(cohort, LesionMeasures(), n_jobs=1, progress=False)
    cohort = cohort.with_features("ct", measures.features)
    model = mf.StageClassifier(modalities=["ct"], max_epochs=1, n_members=1, random_state=0)
    model.set_params(preprocessing__crop_side=16)
    with probed():
        return cohort, model.fit(cohort.X, cohort.y), measures


def test_the_measures_are_those_of_the_masks(staged):
    cohort, _, measures = staged
    assert len(measures.features) == 24 and not measures.remarks
    patient = cohort.X.index[0]
    row = cohort.table.loc[patient, "ct"]
    scan = read(row["volume"])
    expected = measure(scan, read_mask(row["mask"], scan))
    np.testing.assert_allclose(measures.features.loc[patient], list(expected.values()))


def test_a_prediction_measures_the_lesion_at_the_seed(staged, monkeypatch):
    cohort, model, measures = staged
    patient = cohort.X.index[0]
    row = cohort.table.loc[patient, "ct"]
    seed = tuple(row[["seed_x", "seed_y", "seed_z"]])
    found = model.predict_patient(ct=row["volume"], seed=seed)
    said = [text for text in found.warnings if text.startswith("the lesion was segmented from the seed")]
    assert len(said) == 1
    true = measures.features.loc[patient, "lesion_longest_mm"]
    measured = float(said[0].split(", ")[-1].removesuffix(" mm"))
    assert abs(measured - true) < 0.3 * true
    bare = model.predict_patient(ct=row["volume"])
    assert "no seed: the size of the lesion was not measured" in bare.warnings
    assert bare.probabilities != found.probabilities


def test_a_seed_without_a_lesion_is_said(staged):
    cohort, model, _ = staged
    scan = read(cohort.table["ct", "volume"].iloc[0])
    low, high = scan.extent_mm
    found = model.predict_patient(ct=scan, seed=tuple(low + 0.02 * (high - low)))
    assert any("the size of the lesion was not measured" in text for text in found.warnings) or any(
        "segmented from the seed" in text for text in found.warnings
    )
