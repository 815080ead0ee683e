"""The report on slices: gains by position, its sentences, groups by uptake."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.lesions.report import slices
from mmfusion.lesions.report.igtv import FIRST, FLAT, MAIN
from tests.lesions.report.results import N, result

MODELS = {
    MAIN: 0.7,
    FLAT: 0.6,
    FIRST: 0.5,
    "2.5D concat, pretrained": 0.65,
    "2.5D slice, scratch": 0.5,
}


def test_gains_are_paired_differences_at_each_position():
    found = result(MODELS, dice_end={MAIN: 0.9, FLAT: 0.6}, dice_central=dict.fromkeys(MODELS, np.nan))
    rows = slices.gains(found)
    table = rows.set_index(["model", "reference", "metric"])
    dice = found.predictions.groupby("model")["dice"].mean()
    assert table.loc[(MAIN, FLAT, "dice"), "diff"] == pytest.approx(dice[MAIN] - dice[FLAT])
    assert table.loc[(MAIN, FLAT, "dice_end"), "diff"] == pytest.approx(0.3)
    assert "dice_central" not in table.index.get_level_values("metric")
    assert table.loc[(MAIN, FLAT, "dice"), "p"] < 0.001 and (table["n"] == N).all()
    shown = slices.gain_table(rows)
    assert f"{MAIN} minus {FLAT}" in shown.index and len(shown) == len(rows)
    assert shown["score"].tolist()[:2] == ["Dice per patient", "Dice of the end slices"]


def test_sentences_follow_the_numbers():
    shown = ((MAIN, FLAT), (FLAT, FIRST))
    three = {name: MODELS[name] for name in (MAIN, FLAT, FIRST)} | {"SUV >= 2.5": 0.9}
    lines = slices.verdict(found := result(three), slices.gains(found, shown))
    assert lines[0].startswith("Neighbouring slices improve Dice per patient")
    assert lines[-1].startswith("SUV >= 2.5 has a Dice of 0.900") and "is worse (-0.200" in lines[-1]
    worse = result(three | {MAIN: 0.4})
    assert slices.verdict(worse, slices.gains(worse, shown))[0].startswith("Neighbouring slices reduce")
    assert "paper" in slices.of_the_paper() and "cannot be compared" in slices.of_the_paper()
    assert slices.headline(found).startswith("Dice per patient: 2.5D slice, pretrained 0.7")


def test_uptake_groups_split_at_the_median():
    found = result({MAIN: 0.7})

    class Made:
        X = pd.DataFrame(index=found.present.index)
        outcomes = pd.DataFrame({"suv": np.arange(N, dtype=float)}, index=found.present.index)

    groups = slices.uptake_groups(found, Made).groupby("uptake", observed=True)["patient_id"].nunique()
    assert groups.to_dict() == {"SUV below 11.5": N // 2, "SUV 11.5 and above": N // 2}
    Made.outcomes.iloc[0] = np.nan  # this patient is in no group
    groups = slices.uptake_groups(found, Made).groupby("uptake", observed=True)["patient_id"].nunique()
    assert groups.sum() == N - 1
    Made.outcomes = pd.DataFrame(index=found.present.index)
    assert slices.uptake_groups(found, Made) is None
