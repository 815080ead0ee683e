"""Leak demonstrations: their table, and slices of one patient on both sides of a split."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage import DEMO_COLUMNS, demo_gaps, demo_rows, slice_split_demo
from mmfusion.evaluation.leakage.slices import slice_features
from mmfusion.synthetic import lesion_phantom


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_gaps_are_paired_by_repeat():
    values = {"leaky": (0.9, 0.7), "honest": (0.5, 0.5)}
    rows = pd.concat(
        [demo_rows("d", p, "null", k, auc=v) for p, vs in values.items() for k, v in enumerate(vs)]
    )
    found = demo_gaps(rows).loc["d", "null", "auc"]
    assert found["leaky"] == pytest.approx(0.8) and found["gap"] == pytest.approx(0.3) and found["reps"] == 2
    assert found["gap_sd"] == pytest.approx(np.std([0.4, 0.2], ddof=1))
    with pytest.raises(DataError, match="a repeat without both protocols"):
        demo_gaps(rows[:3])
    with pytest.raises(DataError, match="not the rows of a demonstration"):
        demo_gaps(rows.drop(columns="rep"))
    with pytest.raises(DataError, match="no such protocol"):
        demo_rows("d", "fair", "null", 0, auc=0.5)


def test_a_split_of_slices_finds_what_is_not_there():
    rows = slice_split_demo(3, 1, n=24, folds=3)
    assert tuple(rows) == DEMO_COLUMNS and len(rows) == 2 * 2 * 2
    gaps = demo_gaps(rows)
    null = gaps.loc["slices", "null", "auc_patients"]
    assert null["leaky"] > 0.75 and null["gap"] > 0.2 and null["honest"] < 0.75
    assert gaps.loc["slices", "planted", "auc_patients"]["leaky"] > 0.75


def test_features_of_slices():
    cohort = lesion_phantom(2, 5, size=24)
    found = slice_features(cohort)
    assert set(found.index.get_level_values("patient_id")) == set(cohort.X.index)
    assert (found["low"] <= found["middle"]).all() and (found["middle"] <= found["high"]).all()
    assert (found["area"] > 0).all() and np.isfinite(found["mean"]).all()


def test_too_few_patients():
    with pytest.raises(DataError, match="too few patients of one genotype"):
        slice_split_demo(0, 1, n=4, folds=4)
    with pytest.raises(DataError, match="without a repeat"):
        slice_split_demo(0, 0)
