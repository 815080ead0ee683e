"""Changes of tables have the strength that they state, and leave the input as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation.perturbations import (
    PERTURBATIONS,
    blank_fields,
    drop_genes,
    shift_genes,
    wrong_units,
)
from tests.cohorts import tiny_cohort


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def rna() -> pd.DataFrame:
    return pd.DataFrame(rng(1).normal(6, [0.5] * 100 + [2.0] * 100, (80, 200)))


@pytest.fixture
def ehr() -> pd.DataFrame:
    n = 400
    return pd.DataFrame({"age": rng(2).uniform(40, 80, n), "flag": rng(3).integers(0, 2, n) * 1.0,
                         "sex": rng(4).choice(["f", "m"], n)})  # fmt: skip


def test_the_same_genes_are_dropped_for_all_patients(rna):
    absent = drop_genes(rna, 0.25, rng()).isna()
    assert absent.sum(axis=1).eq(50).all() and absent.nunique().eq(1).all()
    assert drop_genes(rna, 0, rng()).equals(rna)


def test_a_batch_shifts_each_gene_by_its_own_spread(rna):
    shift = shift_genes(rna, 0.5, rng()) - rna
    assert np.allclose(shift.std(), 0)  # the same for all patients
    of_genes = shift.iloc[0].to_numpy()
    assert of_genes[:100].std() == pytest.approx(0.25, rel=0.3)
    assert of_genes[100:].std() == pytest.approx(1.0, rel=0.3)


def test_a_batch_of_counts_is_shifted_on_the_log_scale_and_never_negative():
    counts = pd.DataFrame(rng(5).poisson(50, (60, 40)).astype(float))
    found = shift_genes(counts, 1.0, rng(), unit="counts")
    logs = np.log2(found + 1) - np.log2(counts + 1)
    assert (found >= 0).all(axis=None) and np.allclose(logs.std(), 0, atol=1e-9)


def test_fields_are_lost_or_ten_times_too_large(ehr):
    blank = blank_fields(pd.concat([ehr, ehr.add_prefix("b"), ehr.add_prefix("c")], axis=1), 0.3, rng())
    assert blank.isna().mean().to_numpy() == pytest.approx(0.3, abs=0.07)
    gone = blank_fields(ehr.mask(rng(6).random(ehr.shape) < 0.3), 1.0, rng())
    assert gone.notna().sum(axis=1).max() == 1  # the last known field of a patient stays
    found = wrong_units(ehr, 0.2, rng())
    ratio = found["age"] / ehr["age"]
    assert set(ratio.round(6)) == {1.0, 10.0} and (ratio > 5).mean() == pytest.approx(0.2, abs=0.06)
    pd.testing.assert_frame_equal(found[["flag", "sex"]], ehr[["flag", "sex"]])


def test_a_share_is_between_0_and_1(ehr):
    for change in (drop_genes, blank_fields, wrong_units):
        with pytest.raises(DataError, match=r"parameter share: the strength .* out of range"):
            change(ehr, 1.2, rng())
    with pytest.raises(DataError, match="parameter sd"):
        shift_genes(ehr, -1.0, rng())


@pytest.mark.parametrize("name", [p.name for p in PERTURBATIONS.values() if p.modality != "ct"])
def test_rows_of_a_cohort_change_in_one_block_only(name):
    X = tiny_cohort(40).X
    before, one = X.copy(deep=True), PERTURBATIONS[name]
    found = one.apply(X, one.strengths[-1], random_state=1)
    pd.testing.assert_frame_equal(X, before)
    others = [c for c in X.columns if c[0] != one.modality]
    pd.testing.assert_frame_equal(found[others], X[others])
    assert list(found.columns) == list(X.columns) and found.attrs == X.attrs
    assert not found[one.modality].equals(X[one.modality])
    absent = X[one.modality].isna().all(axis=1)
    assert found.loc[absent, one.modality].isna().all(axis=None)  # a missing modality stays missing
    pd.testing.assert_frame_equal(found, one.apply(X, one.strengths[-1], random_state=1))
    pd.testing.assert_frame_equal(one.apply(X, one.none), X, check_dtype=False)
    with pytest.raises(DataError, match=f"parameter {name}: nothing to perturb"):
        one.apply(X[[c for c in X.columns if c[0] != one.modality]], one.none)
