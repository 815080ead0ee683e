import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmfusion.evaluation import nested_cv
from mmfusion.evaluation.leakage import probed
from mmfusion.staging import StageClassifier
from mmfusion.staging.report import explained
from tests.cohorts import tiny_cohort


@pytest.fixture(scope="module")
def cohort():
    return tiny_cohort()


@pytest.fixture(scope="module")
def result(cohort, tmp_path_factory):
    model = StageClassifier("concat", n_genes=15, max_epochs=2).set_params(network__d=8, network__hidden=8)
    out = tmp_path_factory.mktemp("work")
    with probed():
        return nested_cv(model, cohort, outer=2, baselines=False, where="serial", out=out, progress=False)


def test_every_held_out_patient_meets_the_model_that_never_saw_it(cohort, result):
    seen = [list(inputs.index) for _, inputs in explained.fold_models(result, cohort)]
    assert sorted(p for patients in seen for p in patients) == sorted(cohort.X.index)
    rows = result.predictions
    for fold, patients in enumerate(seen):
        assert set(patients) == set(rows.loc[rows["fold"] == fold, "patient_id"])


def test_genes_over_folds(cohort, result):
    genes = explained.fold_genes(result, cohort, n_patients=3, n_samples=5)
    assert genes.n_patients == 6 and list(genes.sizes.columns) == list(result.classes)
    assert set(genes.sizes.index) == set(genes.table.index) and 15 <= len(genes.sizes) <= 24
    assert genes.sizes.sum(axis=1).is_monotonic_decreasing and list(genes.stability.index) == [10]
    again = explained.fold_genes(result, cohort, n_patients=3, n_samples=5)
    np.testing.assert_array_equal(genes.sizes, again.sizes)


def test_genes_against_models_of_permuted_labels(cohort, result):
    table = explained.genes_against_null(result, cohort, n_refits=3, n_patients=3, n_samples=5)
    assert len(table) == 15 and table["observed"].is_monotonic_decreasing
    assert (table["null_mean"] >= 0).all() and table["p"].between(1 / (1 + 3 * 15), 1).all()
    assert (table["q"] >= table["p_list"]).all() and table["p_list"].min() >= 1 / 4
    again = explained.genes_against_null(result, cohort, n_refits=3, n_patients=3, n_samples=5)
    pd.testing.assert_frame_equal(table, again)


def test_modalities_over_folds_add_up(cohort, result):
    attribution, table = explained.fold_modalities(result, cohort)
    assert len(attribution.patients) == len(cohort) and set(table.index) == {"ct", "rna", "ehr"}
    assert {"mean_abs", "gain", "lower", "upper", "drop", "changed"} <= set(table)
    gained = attribution.values.sum(axis=1)
    bases = {tuple(np.round(b, 6)) for b in attribution.output - gained}
    assert len(bases) == 2  # the prior of each fold's training patients


def test_repeats_are_of_the_same_patients(cohort, result):
    _, once = explained.fold_modalities(result, cohort)
    rows = [result.predictions.assign(repeat=k) for k in range(4)]
    folds = [replace(one, repeat=k) for k in range(4) for one in result.folds]
    four = replace(result, predictions=pd.concat(rows, ignore_index=True), folds=folds)
    attribution, table = explained.fold_modalities(four, cohort)
    assert len(attribution.patients) == 4 * len(cohort)
    pd.testing.assert_frame_equal(table, once)


def test_a_second_look_at_another_cohort_says_so(result, tmp_path, monkeypatch):
    monkeypatch.setenv("MMFUSION_CACHE", str(tmp_path))
    other = replace(tiny_cohort(seed=5), name="other")
    outside = explained.fold_external(result, other)
    table, scores = outside.table, outside.scores
    assert set(table["fold"]) == {1, 2} and len(table) == 6 and outside.notes == []
    assert outside.predictions["patient_id"].tolist() == list(other.X.index)
    assert np.isfinite(table[["cv", "external"]].to_numpy()).all()
    assert 0 < scores.loc["external", ("macro_auc", "mean")] < 1
    again = explained.fold_external(result, replace(other, name="by another name"))
    (line,) = again.notes
    assert re.search(r"before, once on 20\d\d-", line)
    pd.testing.assert_frame_equal(again.table, table)
    assert "before, 2 times, first on 20" in explained.fold_external(result, other).notes[0]
    assert explained.fold_external(result, replace(tiny_cohort(seed=6), name="other")).notes == []


def test_few_genes_are_explained_without_their_stability(tmp_path):
    cohort = tiny_cohort(genes=8)
    model = StageClassifier("concat", n_genes=8, max_epochs=1).set_params(network__d=8, network__hidden=8)
    result = nested_cv(model, cohort, outer=2, baselines=False, where="serial", out=tmp_path, progress=False)
    genes = explained.fold_genes(result, cohort, n_patients=2, n_samples=2)
    assert len(genes.sizes) <= 8 and genes.stability.empty
