"""What the reports about leaks and about published numbers say."""

import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage import all_demos, demo_rows, run_demos
from mmfusion.evaluation.report import arithmetic, leaks, stories


def rows(demo, leaky, honest, cohort="null", metric="auc"):
    values = {"leaky": leaky, "honest": honest}
    return pd.concat(
        [demo_rows(demo, p, cohort, k, **{metric: v}) for p, v in values.items() for k in (0, 1)]
    )


def test_the_largest_leak_comes_first_and_a_small_one_is_called_small():
    shown = leaks.chosen(["D1", "D2", "D9"])
    table = pd.concat([rows("D1", 0.9, 0.5), rows("D2", 1.0, 0.5), rows("D9", 0.52, 0.5)])
    said = leaks.verdict(table, shown)
    assert said[0] == (
        "Where nothing can be found, 2 of 3 leaks give a better result. The largest: genes chosen by the "
        "labels of all patients (AUC 1.00 instead of 0.50)."
    )
    assert said[1] == (
        "D1, LDA fitted on all patients before the cross-validation: AUC 0.90 with the leak, 0.50 without."
    )
    assert said[2].startswith("Little difference: imputer")
    with pytest.raises(DataError, match="no demonstration to show"):
        leaks.verdict(table, [])


def test_every_demonstration_has_a_story_and_a_row_in_the_table():
    assert set(stories.STORIES) == {demo.number for demo in leaks.chosen(["all"])}
    numbers = " ".join(leaks.guards()["demonstrations"]).replace(",", " ").split()
    assert {demo.number for demo in all_demos()} - set(numbers) == {"D9"}  # its effect is about 0


def test_the_table_of_a_demonstration():
    demo = leaks.chosen(["D8"])[0]
    table = leaks.table_of(run_demos(["D8"], n_rep=2), demo)
    assert table.loc[("null", "AUC"), "best possible"] == 0.5
    assert table.loc[("planted", "AUC"), "best possible"] == demo.best


def test_no_null_cohort_no_figure():
    assert leaks.null_rows(rows("boxes", 0.6, 0.2, "phantom", "dice"), leaks.chosen(["D7"])).empty


def test_the_overlaps_of_the_paper():
    table = arithmetic.overlaps()
    assert (table["verdict"] == "fits one mask").sum() == 1 and "impossible" not in set(table["verdict"])
    shares = arithmetic.tumour_shares()
    assert shares["low"].max() < shares["high"].min()  # one test set is possible


def test_a_dice_above_that_of_its_iou_is_impossible(monkeypatch):
    table = arithmetic.SEGMENTERS.assign(dice=0.99)
    monkeypatch.setattr(arithmetic, "SEGMENTERS", table)
    assert set(arithmetic.overlaps()["verdict"]) == {"impossible"}
    first = arithmetic.findings().iloc[0]
    assert first["agrees"] == "no" and first["computed"] == "5 impossible"
