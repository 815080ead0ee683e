"""Sentences of lesion reports: they follow the numbers, and name what reads the true masks."""

import numpy as np
import pandas as pd

from mmfusion.lesions.report import verdict
from tests.lesions.report.results import N, result

BOXES, ORACLE = "raseg (detector boxes)", "raseg (oracle boxes)"


def test_better_worse_and_no_difference_are_told_apart():
    found = result({"raseg": 0.7, "unet": 0.5, "SUV >= 2.5": 0.9})
    text = "\n".join(verdict.verdict(found))
    assert "unet has a Dice of 0.5" in text and "raseg is better (+0.2" in text
    assert "SUV >= 2.5 has a Dice of 0.9" in text and "raseg is worse (-0.2" in text
    same = "\n".join(verdict.verdict(result({"raseg": 0.7, "unet": 0.7})))
    assert "raseg is not shown to differ" in same


def test_both_dice_are_given_by_name():
    found = result({"raseg": 0.7, "unet": 0.5}, overlap_mm3={"raseg": 2e3}, predicted_mm3={"raseg": 5e3})
    first = verdict.verdict(found)[0]
    assert first.startswith("raseg: Dice per patient 0.7") and "pooled Dice 0.400" in first


def test_oracle_boxes_are_stamped_and_never_the_reference():
    found = result({BOXES: 0.6, ORACLE: 0.9, "unet": 0.5})
    assert verdict.reference_of(found) == "unet"
    assert (
        verdict.reference_of(result({"SUV >= 2.5": 0.9, "cspat": 0.1, "unet": 0.2, BOXES: 0.5}, BOXES))
        == "cspat"
    )
    assert any(line.startswith(f"{ORACLE} has a Dice of 0.9") for line in verdict.verdict(found))
    main = result({BOXES: 0.6, ORACLE: 0.9}, main=ORACLE)
    assert verdict.verdict(main)[0].startswith("Models with oracle boxes read the box of the true mask")
    assert "reads true boxes" in verdict.headline(main)


def test_missed_patients_are_counted():
    found = result({"raseg": 0.7}, predicted_mm3={"raseg": np.r_[0, 0, np.ones(N - 2)]})
    assert any("only one of the two masks is empty: 2." in line for line in verdict.verdict(found))
    assert verdict.reference_of(found) is None and "raseg" in verdict.headline(found)


def test_masks_without_a_lesion_are_said_and_not_counted():
    found = result({"raseg": 0.7}, lesions={"raseg": 0}, lesions_found={"raseg": 0})
    assert any(line.startswith("No mask has a lesion. There are") for line in verdict.verdict(found))


def test_short_training_is_said_of_small_networks_only():
    found = result({"raseg": 0.7})

    class Made:
        notes = ()

    said = {preset: "\n".join(verdict.caveats(Made, found, preset)) for preset in ("demo", "full")}
    assert "short training" in said["demo"] and "short training" not in said["full"]


def test_every_patient_has_a_dice_by_network():
    found = result({"raseg": 0.7, "unet": 0.5})
    dice = verdict.dice_by_patient(found.predictions)
    assert set(dice) == {"raseg", "unet"} and len(dice["unet"]) == N
    assert np.mean(list(dice["unet"].values())) == found.predictions.query("model == 'unet'")["dice"].mean()
    twice = pd.concat([found.predictions, found.predictions.assign(repeat=1, dice=0.0)])
    assert verdict.dice_by_patient(twice)["unet"]["P00"] == dice["unet"]["P00"] / 2


def test_tables_for_the_page():
    found = result({"raseg": 0.7, "unet": 0.75})
    assert list(verdict.with_intervals(found.scores).index) == ["unet", "raseg"]
    assert list(verdict.paired_table(found, "unet").index) == ["raseg"]
