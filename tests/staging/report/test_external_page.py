"""Tables and sentences of the report of an external validation."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from mmfusion.evaluation.external_comparison import ExternalComparison
from mmfusion.metrics import score_table
from mmfusion.staging.report import external_page
from tests.cohorts import tiny_cohort
from tests.metrics.predictions import CLASSES, predictions


def several(n, patients, **options):
    """Predictions of three models for the same patients; the majority is constant in each fold."""
    parts = [predictions(m, n=n, signal=s, seed=i, patients=patients, **options)
             for i, (m, s) in enumerate({"fusion": 2.0, "ridge": 0.5, "majority": 0.0}.items())]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    same = table["model"] == "majority"
    table.loc[same, [f"p_{c}" for c in CLASSES]] = [0.5, 0.3, 0.2]
    return table


@pytest.fixture(scope="module")
def judged():
    own = several(120, 0)
    scores = score_table(own, CLASSES, n_boot=100)
    result = SimpleNamespace(predictions=own, scores=scores, main="fusion", classes=CLASSES, settings={})
    return result, ExternalComparison(several(90, 1, folds=1), CLASSES, "fusion", ("A note.",))


def test_the_verdict_begins_with_the_answer(judged):
    lines = external_page.verdict(*judged)
    assert lines[0] == "fusion beats the ridge in the external cohort."
    assert "(n = 90)" in lines[1] and "In cross-validation on the training patients" in lines[2]
    assert "summed over classes, 0 to 2" in lines[-1] and "fusion is better than" in lines[-1]
    assert external_page.headline(judged[1]).startswith("External: fusion 0.")


def test_cross_validation_stands_beside_the_external_result(judged):
    table = external_page.beside_cv(*judged)
    assert list(table.index[:2]) == ["fusion, cross-validation", "fusion, external"] and len(table) == 6
    assert "Brier score, 0 to 2" in table and table.loc["majority, external", "macro-AUC"][:5] == "0.500"


def test_recalibration_says_for_whom_it_cannot_be_estimated(judged):
    table, lines = external_page.recalibrated(*judged)
    assert list(table["model"].unique()) == ["fusion", "fusion, recalibrated", "ridge", "ridge, recalibrated"]
    assert any("recalibration of majority cannot be estimated" in line for line in lines)
    calibration = external_page.calibration_table(table, CLASSES)
    assert list(calibration.index) == list(table["model"].unique())
    assert calibration["ECE if perfectly calibrated"].str.fullmatch(r"\[0\.\d+,\s0\.\d+\]").all()


def test_cuts_without_patients_on_both_sides_are_said(judged):
    table = judged[1].predictions
    cuts, lines = external_page.estimable_cuts(table[table["y_true"] != "III"], CLASSES)
    assert list(cuts) == ["II or later"]
    assert lines == ["Net benefit for III is not estimable: all external patients are on one side."]


def test_metrics_and_limits(judged):
    result, found = judged
    values = external_page.to_metrics(found)
    assert set(values["models"]) == {"fusion", "ridge", "majority"}
    assert set(values["paired_vs_ridge"]["brier"]) == {"fusion", "majority"}
    train = replace(tiny_cohort(), name="here", provenance={"notes": ("shared", "own")})
    other = replace(tiny_cohort(seed=1), name="there", provenance={"notes": ("shared",)})
    lines = external_page.limits(result, train, other, found)
    assert "Shared." in lines and "here: Own." in lines and lines[-1] == "A note."
    assert external_page.shares(train).startswith("here: 60 patients (I ")
