"""Scores of masks by group."""

import pandas as pd

from mmfusion.figures import lesion_scores


def test_names_of_many_groups_do_not_overlap():
    types = ["calcified", "cavitated", "ground-glass", "juxtapleural", "juxtavascular", "lobulated",
             "mediastinal-contact", "solid", "spiculated"]  # fmt: skip
    rows = {"model": "m", "patient_id": [str(k) for k in range(18)], "type": types * 2, "dice": 0.5}
    figure = lesion_scores(pd.DataFrame(rows), "type")
    labels = figure.axes[0].get_xticklabels()
    assert {one.get_rotation() for one in labels} == {25.0} and labels[0].get_text() == "calcified, n = 2"
