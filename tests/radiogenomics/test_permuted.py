"""Permuted labels: the inputs and the shares of the classes stay, and nothing can be found."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.radiogenomics import ClinicalClassifier, permute_labels, permuted_runs
from mmfusion.synthetic import radiomics_phantom

COHORT = radiomics_phantom(90, 1, mutants=0.3, n_features=100)


def test_outcomes_of_a_patient_stay_together():
    before = COHORT.outcomes.copy()
    permuted = permute_labels(COHORT, 5)
    assert permuted.table.equals(COHORT.table) and COHORT.outcomes.equals(before)
    assert permuted.y.value_counts().equals(COHORT.y.value_counts())
    assert (permuted.y != COHORT.y).any()
    rows = {tuple(row) for row in COHORT.outcomes.itertuples(index=False)}
    assert {tuple(row) for row in permuted.outcomes.itertuples(index=False)} == rows
    assert permuted.name == "radiomics-phantom-1, labels permuted"
    assert permute_labels(COHORT, 5).outcomes.equals(permuted.outcomes)
    assert not permute_labels(COHORT, 6).outcomes.equals(permuted.outcomes)


def test_patients_without_a_label_keep_none():
    outcomes = COHORT.outcomes.copy()
    outcomes.iloc[:10, 0] = None
    cohort = type(COHORT)("some", COHORT.table, outcomes, "egfr")
    permuted = permute_labels(cohort)
    assert list(permuted.y.index) == list(cohort.y.index)
    pd.testing.assert_frame_equal(permuted.outcomes[:10], cohort.outcomes[:10])


def test_runs_are_at_chance():
    runs = permuted_runs(ClinicalClassifier("sex_smoking"), COHORT, 6, outer=3, where="serial")
    assert runs["seed"].tolist() == list(range(6))
    assert (runs["lo"] <= runs["mean"]).all() and (runs["mean"] <= runs["hi"]).all()
    # the AUC of 27 and 63 patients has a standard deviation of about .07 where nothing can be found
    assert runs["mean"].mean() == pytest.approx(0.5, abs=3 * 0.07 / np.sqrt(6))
    again = permuted_runs(ClinicalClassifier("sex_smoking"), COHORT, 1, outer=3, where="serial")
    pd.testing.assert_frame_equal(again, runs[:1])
    with pytest.raises(DataError, match="parameter n"):
        permuted_runs(ClinicalClassifier(), COHORT, 0)


def test_a_seed_that_cannot_be_used():
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        permute_labels(COHORT, -1)
