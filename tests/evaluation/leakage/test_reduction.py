"""LDA before the folds finds what is not there; inside the folds it does not."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.evaluation.leakage import DEMO_COLUMNS, demo_gaps, lda_demo
from mmfusion.synthetic import radiomics_phantom


@pytest.mark.slow
def test_lda_before_the_folds_separates_what_is_random():
    """The honest AUC of one null phantom varies with a standard deviation of .09."""
    rows = lda_demo(4, 8)
    assert tuple(rows) == DEMO_COLUMNS and len(rows) == 8 * 2 * 2 * 2
    gaps = demo_gaps(rows)
    null, planted = (gaps.loc["LDA", name, "auc"] for name in ("null", "planted"))
    assert null["leaky"] >= 0.85 and null["gap"] > 0.25
    assert null["honest"] == pytest.approx(0.5, abs=0.12)
    assert planted["honest"] < 0.85 < planted["leaky"]  # 0.85 is the best that is possible
    assert gaps.loc["LDA", "null", "macro_f1"]["gap"] > 0.25


@pytest.mark.slow
def test_a_cohort_is_run_with_true_and_with_permuted_labels():
    cohort = radiomics_phantom(60, 1)
    before = cohort.table.copy()
    rows = lda_demo(0, 2, cohort=cohort, folds=3)
    assert set(rows["cohort"]) == {cohort.name, f"{cohort.name}, labels permuted"}
    assert cohort.table.equals(before)
    again = lda_demo(0, 2, cohort=cohort, folds=3)
    np.testing.assert_array_equal(rows["value"], again["value"])


def test_too_few_patients():
    with pytest.raises(DataError, match=r"unusable classes \(expected two, each with 5 patients or more"):
        lda_demo(n_rep=1, cohort=radiomics_phantom(20, mutants=0.1))
    with pytest.raises(DataError, match="unusable classes"):
        lda_demo(n_rep=1, cohort=radiomics_phantom(20, mutants=0.0))
    with pytest.raises(DataError, match="without a repeat"):
        lda_demo(n_rep=0)


@pytest.mark.slow
def test_on_the_published_radiomics(shared_data):
    """The AUC of permuted labels with the leak was .985 in an independent measurement of QDA."""
    cohort = mf.load_cohort("r01_egfr", shared_data).complete(["ct"])
    gaps = demo_gaps(lda_demo(0, 1, cohort=cohort))["leaky"].xs("auc", level="metric")
    assert gaps.loc["LDA", "r01_egfr"] == pytest.approx(0.99, abs=0.01)
    assert gaps.loc["LDA", "r01_egfr, labels permuted"] == pytest.approx(0.985, abs=0.015)
