"""What the report of subgroups says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.evaluation import Subgroups
from mmfusion.staging.report import fairness


def found(p_holm: float, value: float = 0.6) -> Subgroups:
    own = {"by": "sex", "model": "as it is", "metric": "macro_auc"}
    table = [
        own | {"group": "female", "n": 40, "value": value, "lo": 0.5, "hi": 0.7, "said": ""},
        own
        | {"group": "male", "n": 50, "value": 0.7, "lo": 0.6, "hi": 0.8, "said": "no patient of class III"},
        own
        | {"group": "not known", "n": 3, "value": np.nan, "lo": np.nan, "hi": np.nan, "said": "too small"},
    ]
    gap = own | {
        "lowest": "female",
        "highest": "male",
        "difference": 0.1,
        "ratio": 0.86,
    }
    return Subgroups(
        pd.DataFrame(table), pd.DataFrame([gap | {"p_chance": 0.021, "p_holm": p_holm}]), ["a note"]
    )


@pytest.mark.parametrize(
    ("p", "says"), [(0.2, "No difference in macro-AUC"), (0.01, "differs between groups by sex")]
)
def test_the_verdict_goes_by_the_adjusted_p_value(p, says):
    lines = fairness.verdict(found(p), "as it is")
    assert says in lines[0] and "Groupings compared: 1" in lines[0]
    assert "by sex: 0.600 (female, n = 40) to 0.700 (male, n = 50)" in lines[1]
    assert "Among random groups with as many patients of each class, 2.1% differ" in lines[1]


def test_the_verdict_without_two_groups_says_so():
    one = found(0.2)
    lines = fairness.verdict(Subgroups(one.table, one.gaps[:0], one.notes), "as it is")
    assert lines == ["No grouping has two groups that are large enough to be compared.", "a note"]


def test_tables_of_the_report_have_the_groups_that_are_judged():
    shown = fairness.shown_table(found(0.2), ["as it is"]).set_index("group")["as it is"]
    assert list(shown.index) == ["female", "male"] and shown["female"] == "0.600\u00a0[0.500,\u00a00.700]"
    assert shown["male"].endswith("; no patient of class III")
    gaps = fairness.shown_gaps(found(0.2), ["as it is"])
    assert gaps.loc["sex", ["difference", "p (Holm)"]].tolist() == [0.1, 0.2]
    assert fairness.shown_gaps(found(0.2), ["ridge"]).empty


def test_balanced_models_differ_in_the_balance_only():
    plain = mf.StageClassifier("gmu")
    for how, model in zip(("reweight", "oversample"), fairness.balanced_models(plain, "ehr.sex").values()):
        changed = {
            k: v for k, v in model.get_params().items() if plain.get_params()[k] != v and k != "training"
        }
        assert changed == {"training__balance": how, "training__balance_by": "ehr.sex"}
