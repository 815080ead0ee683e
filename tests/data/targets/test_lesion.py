import pandas as pd
import pytest

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError

IDS = pd.Index(["a", "b", "c"], name="patient_id")


def cohort(target="lesion", drop=()):
    table = pd.DataFrame(
        {
            ("ct", "volume"): ["a.nii", "b.nii", None],
            ("ct", "mask"): ["a-mask.nii", None, "c-mask.nii"],
            ("ct", "mask_part"): ["2", None, None],
            ("ct", "seed_x"): [1.0, 2.0, 3.0],
            ("ct", "sphericity"): [0.5, 0.6, 0.7],
            ("ehr", "age"): [60.0, 61.0, 62.0],
        },
        index=IDS,
    )
    outcomes = pd.DataFrame({"stage": ["IA", "IIB", "IB"]}, index=IDS)
    return Cohort("t", table.drop(columns=list(drop)), outcomes, target)


def test_paths_of_masks_of_patients_with_a_scan():
    got = cohort()
    assert got.y.to_dict() == {"a": "a-mask.nii"} and got.y.name == "lesion"
    assert "1 with a label (lesion: mask 1)" in repr(got)
    assert got.targets == [
        "stage4_lung1",
        "stage4_ajcc7",
        "stage3_ajcc7",
        "stage2",
        "late_vs_early",
        "lesion",
    ]


def test_features_measured_in_the_mask_are_no_inputs():
    got = cohort()
    assert got.withheld == [("ct", "sphericity")]
    assert got.X.columns.tolist() == [
        ("ct", "volume"), ("ct", "mask"), ("ct", "mask_part"), ("ct", "seed_x"), ("ehr", "age"),
    ]  # fmt: skip
    assert ("ct", "sphericity") in cohort("stage2").X


def test_no_masks():
    with pytest.raises(DataError, match="no masks of its ct scans") as raised:
        cohort(drop=[("ct", "mask")])
    assert raised.value.expected == "stage4_lung1, stage4_ajcc7, stage3_ajcc7, stage2, late_vs_early"


def test_a_cohort_without_any_outcome():
    bare = cohort()
    got = Cohort("t", bare.table, pd.DataFrame(index=IDS), "lesion")
    assert len(got) == 1 and got.targets == ["lesion"]
    with pytest.raises(DataError, match="no column stage"):
        got.with_target("stage2")
