"""What the report of robustness says."""

from __future__ import annotations

import pandas as pd
import pytest

from mmfusion.staging.report import robust


def found(change_hi: float) -> pd.DataFrame:
    rows = []
    for metric in ("macro_auc", "balanced_accuracy"):
        for name, unit in (("noise", "HU"), ("wrong units", "share")):
            own = {"perturbation": name, "unit": unit, "n": 40, "metric": metric}
            for strength, change in ((0.0, 0.0), (10.0, -0.02), (50.0, -0.1)):
                hi = 0.0 if not strength else change_hi if name == "noise" and strength == 50 else 0.05
                row = {"strength": strength, "value": 0.7 + change, "lo": 0.6, "hi": 0.8, "change": change}
                rows.append(own | row | {"change_lo": -0.2, "change_hi": hi, "other_class": -change})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("hi", "says"),
    [(-0.01, "1 of 2 changes of the inputs lower the macro-AUC: noise from 50 (HU)."),
     (0.01, "No change of the inputs clearly lowers the macro-AUC (2 kinds were tried).")],
)  # fmt: skip
def test_the_verdict_goes_by_the_paired_interval(hi, says):
    lines = robust.verdict(found(hi))
    assert lines[0] == says
    assert (
        "noise at 50 (HU): macro-AUC 0.600, change -0.100" in lines[1] and "10% of the patients" in lines[1]
    )


def two_sided(name: str, unit: str, strengths: list[float], lower: set[float]) -> pd.DataFrame:
    """Rows of a perturbation: the first is unchanged, and the strengths in `lower` lower the metric."""
    rows = pd.DataFrame({"strength": strengths, "change": [0.0] + [-0.1] * (len(strengths) - 1)})
    high = [0.0, *(-0.05 if s in lower else 0.05 for s in strengths[1:])]
    own = {"perturbation": name, "unit": unit, "n": 40, "metric": "macro_auc", "value": 0.6, "lo": 0.5}
    return rows.assign(**own, hi=0.8, change_lo=-0.2, change_hi=high, other_class=0.1)


@pytest.mark.parametrize(
    ("strengths", "lower", "says"),
    [
        ([1.0, 0.8, 0.9, 1.1, 1.2], {0.8, 0.9, 1.1, 1.2}, "from 0.9 and from 1.1"),
        ([1.0, 1.2, 0.9, 1.1, 0.8], {0.8, 1.1, 1.2}, "from 0.8 and from 1.1"),  # not sorted
        ([1.0, 0.8, 0.9, 1.1, 1.2], {1.2}, "from 1.2"),
        ([0.0, -2.0, -1.0, 1.0, 2.0], {-2.0, -1.0, 2.0}, "from -1 and from 2"),
        ([0.0, 50.0, 10.0, 25.0], {25.0, 50.0}, "from 25"),
        ([1.0, 0.05, 0.1, 0.25, 0.5], {0.05, 0.1, 0.25}, "from 0.25"),  # a share of the dose falls
    ],
)
def test_the_verdict_names_the_weakest_strength_on_each_side(strengths, lower, says):
    lines = robust.verdict(two_sided("change", "unit", strengths, lower))
    assert lines[0] == f"1 of 1 changes of the inputs lower the macro-AUC: change {says} (unit)."


def test_the_limits_say_what_the_changes_of_a_ct_are_not():
    text = " ".join(robust.LIMITS)
    for words in ("per voxel of the scan", "not contrast agent", "-1024 HU", "Neither acts between slices",
                  "Features that were measured from it"):  # fmt: skip
        assert words in text


def test_tables_of_the_report():
    strong = robust.strongest(found(0.01))
    assert list(strong.index) == ["noise", "wrong units"] and (strong["strength"] == 50).all()
    table = robust.shown_table(found(0.01))
    assert len(table) == 6 and table["macro-AUC"].iloc[0] == "0.700\u00a0[0.600,\u00a00.800]"
    assert table["change of macro-AUC"].iloc[0] == "+0.000\u00a0[-0.200,\u00a0+0.000]"
    other = robust.shown_table(found(0.01), "balanced_accuracy")
    assert list(other.columns)[-2:] == ["balanced accuracy", "change of balanced accuracy"]


def test_warnings_of_unchanged_inputs_are_left_out_and_many_are_counted():
    table = found(0.01)
    table.attrs["warnings"] = ["unchanged: a", "noise: a", *(f"noise: {i}" for i in range(23))]
    assert robust.warnings_of(table)[-2:] == ["noise: 19", "... and 3 more"]
