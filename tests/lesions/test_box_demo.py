"""Demonstration of true boxes against those of a detector."""

import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage import DEMO_COLUMNS, demo_gaps
from mmfusion.lesions.box_demo import oracle_box_demo
from mmfusion.lesions.detector import Detector

CHEST = {"size": 24, "spacing": 3.0, "diameters": (15, 30), "types": ["solid"]}


def test_true_boxes_give_the_answer_away(monkeypatch, test_networks):
    usual = Detector.settings
    small = {"options": {"channels": (6, 12)}, "size": 8, "lr": 0.03, "batch_size": 16, "max_epochs": 3}
    monkeypatch.setattr(Detector, "settings", staticmethod(lambda main: usual(main) | small))
    rows = oracle_box_demo(
        1, 1, n_train=4, n_test=3, chest=CHEST, network="cued", max_epochs=2, threshold=0.5, size=16
    )
    assert tuple(rows) == DEMO_COLUMNS and set(rows["cohort"]) == {"phantom", "boxes alone"}
    assert set(rows["metric"]) == {"dice", "dice_pooled", "found"} and rows["value"].between(0, 1).all()
    alone = demo_gaps(rows).loc["boxes", "boxes alone"]
    assert alone.loc["found", "leaky"] == 1.0  # every lesion lies in its box
    # a ball fills 52 % of its box: a Dice near 0.69 without any network
    assert alone.loc["dice", "leaky"] == pytest.approx(0.69, abs=0.12)
    assert alone.loc["dice", "gap"] > 0


def test_a_network_without_boxes():
    with pytest.raises(DataError, match="unet does not read boxes"):
        oracle_box_demo(1, 1, n_train=1, n_test=1, chest=CHEST, network="unet")
