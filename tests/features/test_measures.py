"""Measures of lesions as columns of a cohort, and a stage model that reads them."""

import json

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.cli import main
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
