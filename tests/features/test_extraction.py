"""Features of a cohort: resumed, reported, written, read back, and put into a model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmfusion.data.load import load_cohort
from mmfusion.data.manifest import write_manifest
from mmfusion.data.tables.readers import read_features
from mmfusion.errors import DataError
from mmfusion.features import FoundationEncoder, extract
from mmfusion.features import extraction as module
from mmfusion.features.encoder import _network
from mmfusion.imaging import read
from tests.features.conftest import SEED


def run_extract(cohort, encoder, **options):
    return extract(cohort, encoder, n_jobs=1, progress=False, **options)


def test_one_bad_scan_is_reported_and_passed_by(cohort, encoder):
    result = run_extract(cohort, encoder)
    assert list(result.features.index) == ["P0", "P1", "P3"]
    assert list(result.features.columns) == encoder.columns
    assert (result.features.dtypes == "float32").all()
    np.testing.assert_array_equal(
        result.features.loc["P1"], encoder.encode(cohort.table.loc["P1", ("ct", "volume")], SEED)
    )
    assert list(result.failures.index) == ["P2", "P4"]
    assert result.failures.loc["P2", "file"].endswith("scan2.nii.gz")
    assert "cannot be read" in result.failures.loc["P2", "error"]
    assert result.failures.loc["P4"].tolist()[1:] == ["no seed", "give seed_x, seed_y, seed_z in LPS mm"]
    assert "3 patients, 2 failures" in repr(result)


def test_goes_on_where_it_was_left(cohort, encoder, tiny, monkeypatch):
    """An interrupt loses nothing; nothing is encoded twice; a new patient costs one scan."""
    compute, calls = module._compute, []

    def interrupted(*task):
        calls.append(task[1])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compute(*task)

    monkeypatch.setattr(module, "_compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_extract(cohort.select(patients=["P0", "P1"]), encoder)
    assert len(tiny) == 1
    assert len(run_extract(cohort.select(patients=["P0", "P1"]), encoder).features) == 2
    assert len(tiny) == 2
    assert len(run_extract(cohort, encoder).features) == 3
    assert len(tiny) == 3
    run_extract(cohort, encoder)
    assert len(tiny) == 3


def test_all_fail(cohort, encoder):
    result = run_extract(cohort.select(patients=["P2", "P4"]), encoder)
    assert result.features.shape == (0, 4096)
    assert len(result.failures) == 2


def test_no_patient_has_a_scan(cohort, encoder):
    with pytest.raises(DataError, match="no scans in this cohort"):
        run_extract(cohort.select(modalities=["ehr"]), encoder)


def test_of_a_manifest(cohort, encoder, tmp_path):
    table = cohort.table["ct"].iloc[:2]
    table[["seed_x", "seed_y", "seed_z"]].to_csv(tmp_path / "seeds.csv")
    pd.DataFrame({"patient_id": ["P0", "P1"], "stage": ["IA", ""]}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    rows = [
        {"patient_id": p, "modality": "ct", "role": "volume", "path": v.rsplit("/", 1)[1]}
        for p, v in table["volume"].items()
    ]
    rows.append({"patient_id": "", "modality": "ct", "role": "seeds", "path": "seeds.csv"})
    rows.append({"patient_id": "", "modality": "", "role": "labels", "path": "labels.csv"})
    manifest = write_manifest(pd.DataFrame(rows).assign(dataset="two"), tmp_path / "manifest.csv")
    result = run_extract(manifest, encoder)
    pd.testing.assert_frame_equal(result.features, run_extract(cohort, encoder).features.loc[["P0", "P1"]])


def test_of_a_table_as_fmcib_takes_it(cohort, encoder, tmp_path):
    table = pd.DataFrame(
        {"image_path": [p.rsplit("/", 1)[1] for p in cohort.table["ct", "volume"]], "stage": "I"}
    )
    table[["coordX", "coordY", "coordZ"]] = SEED
    table.loc[0, ["coordX", "coordY", "coordZ"]] = np.nan
    with pytest.raises(DataError, match="no column of patient ids"):
        table.to_csv(tmp_path / "seeds.csv")
        run_extract(tmp_path / "seeds.csv", encoder)
    table.assign(PatientID=list(cohort.table.index)).to_csv(tmp_path / "seeds.csv")
    result = run_extract(tmp_path / "seeds.csv", encoder)
    assert list(result.features.index) == ["P1", "P3", "P4"]
    assert result.failures["error"].tolist()[0] == "no seed"


def test_half_a_seed_is_an_error(cohort, encoder, tiny):
    half = cohort.table.copy()
    half.loc["P3", ("ct", "seed_y")] = np.nan
    with pytest.raises(DataError, match=r"patient P3.*not a seed"):
        run_extract(replace(cohort, table=half), encoder)
    assert not tiny  # before anything is encoded


@pytest.mark.parametrize("name", ["features.csv", "features.csv.gz"])
def test_written_and_read_back(cohort, encoder, tmp_path, name):
    result = run_extract(cohort, encoder)
    path = result.write(tmp_path / name)
    back = read_features(path)
    pd.testing.assert_frame_equal(back.astype("float32"), result.features, check_exact=True)
    facts = json.loads((tmp_path / f"{name}.json").read_text())
    assert facts["random_weights"] == 0
    assert [f["patient_id"] for f in facts["failures"]] == ["P2", "P4"]
    assert sorted(p.name for p in tmp_path.glob("*features*")) == [name, f"{name}.json"]  # no drafts


def test_written_nowhere(cohort, encoder, tmp_path):
    result = run_extract(cohort, encoder)
    with pytest.raises(DataError, match=r"expected \.csv"):
        result.write(tmp_path / "features.xlsx")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="could not be written"):
        result.write(tmp_path / "file" / "features.csv")


def test_through_a_manifest_into_the_papers_baseline(tmp_path):
    """4096 foundation features and health records through 512 -> 128, as in the stage paper's baseline."""
    from mmfusion.staging import StageClassifier
    from tests.cohorts import tiny_cohort

    cohort = tiny_cohort(40)
    score = np.random.default_rng(0).normal(size=(40, 4096)).astype(np.float32)
    deep = pd.DataFrame(score, index=cohort.table.index, columns=[f"pred_{k}" for k in range(4096)])
    published = deep.reset_index(names="Case ID").assign(
        Overall_Stage="IIIb", coordX=1.0
    )  # as fmcib publishes them
    published.iloc[:35].to_csv(tmp_path / "radio.csv")
    cohort = cohort.with_features("ct", read_features(tmp_path / "radio.csv"), only=True)
    assert cohort.table["ct"].shape == (40, 4096)
    assert cohort.table["ct"].isna().all(axis=1).sum() == 5
    model = StageClassifier.from_preset("paper_baseline", max_epochs=2, random_state=0)
    probabilities = model.fit(cohort.X, cohort.y).predict_proba(cohort.X)
    assert probabilities.shape == (40, 3)
    first = next(m for m in model.module_.modules() if getattr(m, "out_features", 0) == 512)
    assert first.in_features == 4096 + len(model.transformer_.transformers_["ehr"].feature_names_out_)


def test_a_manifest_lists_them_as_any_features(tmp_path):
    ids = [f"R01-{k:03d}" for k in range(3)]
    deep = pd.DataFrame(np.arange(9.0).reshape(3, 3), columns=["pred_0", "pred_1", "pred_2"])
    deep.assign(PatientID=ids, survival=1).to_csv(tmp_path / "deep.csv")
    pd.DataFrame({"patient_id": ids, "stage": ["IA", "IIA", "IIIA"]}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    rows = [("ct", "features", "deep.csv"), ("", "labels", "labels.csv")]
    frame = pd.DataFrame(rows, columns=["modality", "role", "path"]).assign(dataset="x", patient_id="")
    cohort = load_cohort(write_manifest(frame, tmp_path / "manifest.csv"))
    assert list(cohort.table["ct"].columns) == ["pred_0", "pred_1", "pred_2"]
    assert cohort.table["ct"].loc["R01-002"].tolist() == [6, 7, 8]


@pytest.mark.slow
def test_processes_give_the_same_bits(cohort):
    encoder = FoundationEncoder(random_weights=0)
    parallel = extract(cohort, encoder, n_jobs=2, progress=False)
    _network.cache_clear()
    for patient, row in parallel.features.iterrows():
        scan = read(cohort.table.loc[patient, ("ct", "volume")])
        np.testing.assert_array_equal(encoder.encode(scan, SEED), row)
    _network.cache_clear()
    assert list(parallel.failures.index) == ["P2", "P4"]
