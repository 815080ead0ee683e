"""What a prediction prints: the training shares beside the probabilities, and how the class was named."""

import json

import pytest

import mmfusion as mf
from mmfusion.staging.prediction import StagePrediction
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK

RULE = "The class with the smallest expected cost is named."


def prediction(stage):
    shares = {"I-II": 0.816, "III-IV": 0.184}
    proba = {"I-II": 0.6, "III-IV": 0.4}
    return StagePrediction("P<1>", stage, proba, ("ehr",), shares=shares, decision=RULE)


def test_shares_stand_beside_the_probabilities():
    text, page = str(prediction("I-II")), prediction("I-II")._repr_html_()
    assert "60.0%  (81.6% in training)" in text and "40.0%  (18.4% in training)" in text
    assert "81.6% in training" in page and "18.4% in training" in page
    assert "most probable" not in text and RULE in text and RULE in page


def test_a_decision_that_is_not_the_most_probable_class_says_so():
    named = prediction("III-IV")
    says = "Predicted: III-IV; most probable: I-II."
    assert says in str(named) and says in named._repr_html_() and "<1>" not in named._repr_html_()
    row, state = named.to_row(), json.loads(named.to_json())
    assert (row["stage"], row["most_probable"]) == ("III-IV", "I-II")
    assert state["most_probable"] == "I-II" and state["shares"]["III-IV"] == 0.184


@pytest.mark.parametrize("rule", ["macro_f1", "argmax"])
def test_a_model_hands_over_its_shares_and_its_rule(rule):
    cohort = tiny_cohort(60)
    model = mf.StageClassifier(**QUICK, decision=rule).fit(cohort.X, cohort.y)
    rows = [model.predict_row(cohort.X.iloc[[i]], top_genes=0) for i in range(20)]
    assert [r.stage for r in rows] == list(model.predict(cohort.X.iloc[:20]))
    assert list(rows[0].shares.values()) == pytest.approx(model.prior_)
    assert rows[0].decision == model.decision_.describe(model.classes_)
    assert rule == "macro_f1" or all(r.stage == r.most_probable for r in rows)
