"""The report of one click: measures beside the truth, patients without a seed, masks for features."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.errors import DataError, ReportError
from mmfusion.figures import measured_sizes
from mmfusion.imaging import read_mask, write_nifti
from mmfusion.lesions.report import clicks
from tests.lesions.click.scans import chest

SEED = (15.0, 0.0, -464.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder, rows = tmp_path_factory.mktemp("scans"), {}
    for k, name in enumerate(("P1", "P2", "P3", "P4")):
        ct, (mask,) = chest([(SEED, 7.0 + k)], seed=k)
        rows[name] = {
            "volume": str(write_nifti(ct, folder / f"{name}.nii.gz")),
            "mask": str(write_nifti(mask, folder / f"{name}_mask.nii.gz")) if k else None,
            **dict(zip(("seed_x", "seed_y", "seed_z"), SEED)),
        }
    rows["P3"]["seed_x"] = np.nan
    rows["P4"]["seed_x"] = 900.0
    table = pd.concat({"ct": pd.DataFrame.from_dict(rows, orient="index")}, axis=1)
    table = table.rename_axis("patient_id").rename_axis(columns=["modality", "feature"])
    return mf.Cohort("four", table, pd.DataFrame(index=table.index), "lesion")


@pytest.fixture(scope="module")
def found(cohort, tmp_path_factory):
    data, said = clicks.patients_with_seeds(cohort)
    assert list(data.table.index) == ["P1", "P2", "P4"]
    assert said == "Patients left out: 1 without a CT or without a seed."
    return data, mf.segment_cohort(data, tmp_path_factory.mktemp("out"), n_jobs=1, progress=False)


def test_the_truth_beside_the_measures(found):
    data, segmented = found
    table = clicks.with_truth(data, segmented)
    assert list(table.index) == ["P1", "P2"] and list(segmented.failures.index) == ["P4"]
    assert np.isnan(table.loc["P1", "dice"]) and table.loc["P2", "dice"] > 0.85
    assert abs(table.loc["P2", "true_longest_mm"] - 16) < 1.5
    lines = clicks.verdict(table, segmented.failures)
    assert lines[0].startswith("2 of 3 lesions were segmented; the median volume is")
    assert lines[-1].startswith("Dice with the true mask: 0.") and "one lesion" in lines[-1]
    assert len(measured_sizes(table).axes) == 3


def test_nothing_segmented(found):
    _, segmented = found
    empty = clicks.with_truth(*found).iloc[:0]
    assert clicks.verdict(empty, segmented.failures) == ["None of 1 lesions could be segmented."]
    with pytest.raises(ReportError, match="no lesion has a true mask"):
        measured_sizes(empty)


def test_the_masks_of_the_clicks_are_those_of_the_cohort(found):
    data, segmented = found
    with_masks = clicks.with_masks(data, segmented)
    assert list(with_masks.table.index) == ["P1", "P2"]
    mask = read_mask(with_masks.table.loc["P2", ("ct", "mask")])
    assert np.array_equal(mask.array, clicks.open_lesion(data, segmented, "P2")[2].array)
    assert data.table.loc["P2", ("ct", "mask")] != with_masks.table.loc["P2", ("ct", "mask")]


def test_no_seeds(cohort):
    outcomes = pd.DataFrame({"egfr": "mutant"}, index=cohort.table.index)
    bare = mf.Cohort("bare", cohort.table[[("ct", "volume")]], outcomes, "egfr")
    with pytest.raises(DataError, match="no patient has a CT and a seed"):
        clicks.patients_with_seeds(bare)


def test_the_spread_of_one_lesion_is_not_stated():
    table = pd.DataFrame(
        {"volume_ml": [4.0], "longest_mm": [20.0], "warnings": [""], "dice": [0.8], "true_longest_mm": [21.0]}
    )
    lines = clicks.verdict(table, table[:0])
    assert lines[0] == "The lesion was segmented; its volume is 4 mL, the longest diameter 20 mm."
    assert lines[1].startswith("Dice with the true mask: 0.80 (one lesion, so that there is no interval)")
    assert "nan" not in " ".join(lines)
