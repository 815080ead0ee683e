"""Groups of patients in lesion reports: sizes in order, types where they are recorded."""

import numpy as np
import pandas as pd

from mmfusion.lesions.report import patients
from tests.lesions.report.results import N, result

MODELS = {"raseg": 0.7, "SUV >= 2.5": 0.6, "41 % of SUVmax": 0.5, "unet": 0.65, "cspat": 0.2, "raemd": 0.3}


class Made:
    """A cohort that records the type of some lesions."""

    def __init__(self, **outcomes):
        index = pd.Index([f"P{k:02d}" for k in range(N)], name="patient_id")
        self.outcomes = pd.DataFrame(outcomes, index=index)


def found():
    volume = np.pi / 6 * np.repeat([8.0, 15.0, 25.0, 60.0], N // 4) ** 3
    return result(MODELS, true_mm3=dict.fromkeys(MODELS, volume))


def test_sizes_are_in_order_and_their_means_are_those_of_the_patients():
    table = patients.with_groups(found(), Made())
    shown = patients.group_table(table, "size", ["raseg", "unet"])
    assert list(shown.index) == ["<= 10 mm", "10-20 mm", "20-30 mm", "50-70 mm"]
    assert shown["n"].tolist() == [N // 4] * 4
    mean = table[(table["model"] == "unet") & (table["size"] == "<= 10 mm")]["dice"].mean()
    assert shown.loc["<= 10 mm", "Dice, unet"].startswith(f"{mean:.2f}")
    assert "type" not in table


def test_types_are_those_of_the_cohort():
    types = ["solid"] * (N - 2) + ["cavitated", None]
    table = patients.with_groups(found(), Made(type=types))
    assert table.groupby("type")["patient_id"].nunique().to_dict() == {
        "solid": N - 2, "cavitated": 1, "not recorded": 1
    }  # fmt: skip
    assert patients.patient_table(table).loc["P22", "type"] == "cavitated"
    assert patients.patient_table(table).shape == (N, 2 + len(MODELS))


def test_a_crowded_figure_shows_the_best_of_each_kind():
    assert patients.few_models(found()) == ["raseg", "unet", "raemd", "SUV >= 2.5"]
