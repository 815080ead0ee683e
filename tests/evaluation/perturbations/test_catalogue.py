"""Scans in the rows of a cohort: each patient's change depends on that patient only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation.perturbations import PERTURBATIONS
from mmfusion.imaging import Volume, write_nifti
from tests.cohorts import tiny_cohort


@pytest.fixture
def rows(tmp_path) -> pd.DataFrame:
    """Two scans in memory, one in a file, and a patient without a scan."""
    scans = []
    for i in range(3):
        hu = np.random.default_rng(i).normal(-500, 200, (12, 14, 16)).round().astype(np.float32)
        scans.append(Volume(hu, np.diag([1.0, 1.0, 2.0, 1.0])))
    path = tmp_path / "scan.nii.gz"
    write_nifti(scans[2], path)
    cells = pd.Series([scans[0], scans[1], str(path), None], [f"P{i}" for i in range(4)], dtype=object)
    return pd.DataFrame({("ct", "volume"): cells, ("ehr", "age"): [50.0, 60.0, 70.0, 80.0]})


@pytest.mark.parametrize("name", [p.name for p in PERTURBATIONS.values() if p.modality == "ct"])
def test_scans_change_and_files_and_rows_stay(rows, name):
    one = PERTURBATIONS[name]
    found = one.apply(rows, one.strengths[-1])["ct", "volume"]
    assert isinstance(rows["ct", "volume"]["P2"], str) and pd.isna(found["P3"])
    for patient in ("P0", "P1", "P2"):
        assert isinstance(found[patient], Volume) and found[patient].unit == "HU"
    assert not np.array_equal(found["P0"].array, rows["ct", "volume"]["P0"].array)


def test_the_noise_of_a_patient_does_not_depend_on_the_others(rows):
    noise = PERTURBATIONS["noise"]
    everybody = noise.apply(rows, 20.0, random_state=4)["ct", "volume"]
    alone = noise.apply(rows.loc[["P1"]], 20.0, random_state=4)["ct", "volume"]
    assert np.array_equal(everybody["P1"].array, alone["P1"].array)
    other = noise.apply(rows, 20.0, random_state=5)["ct", "volume"]
    assert not np.array_equal(everybody["P1"].array, other["P1"].array)
    added = [everybody[p].array - rows["ct", "volume"][p].array for p in ("P0", "P1")]
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.1  # each has noise of its own


def test_usual_strengths_are_in_range_and_differ_from_none(rows):
    for one in PERTURBATIONS.values():
        assert one.none not in one.strengths and len(set(one.strengths)) == len(one.strengths)
        if one.reads(rows):
            for strength in one.strengths:
                one.apply(rows, strength)


@pytest.mark.parametrize("name", [p.name for p in PERTURBATIONS.values() if p.modality != "ct"])
def test_the_order_of_patients_and_columns_does_not_matter(name):
    X, one = tiny_cohort(30, seed=1).X, PERTURBATIONS[name]
    order = np.random.default_rng(0).permutation(len(X))
    other = X.iloc[order, ::-1]
    given = other.copy()
    found = one.apply(other, one.strengths[-1]).loc[X.index, X.columns]
    pd.testing.assert_frame_equal(one.apply(X, one.strengths[-1]), found)
    assert not found.equals(X)
    pd.testing.assert_frame_equal(other, given)


def test_two_rows_of_a_patient_are_refused():
    X = tiny_cohort(5, seed=1).X.iloc[[0, 1, 1]]
    with pytest.raises(DataError, match=f"patient {X.index[1]}: duplicate patient id"):
        PERTURBATIONS["missing fields"].apply(X, 0.5)


def test_a_seed_that_cannot_be_used():
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        PERTURBATIONS["missing fields"].apply(tiny_cohort(5).X, 0.5, random_state=-1)
