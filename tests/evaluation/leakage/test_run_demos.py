"""The ten leak demonstrations: what a leak adds where there is nothing to find, and where it adds nothing."""

import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage import DEMO_COLUMNS, all_demos, demo_gaps, demo_table, run_demos
from mmfusion.evaluation.leakage.copies import shared_patients_demo
from mmfusion.evaluation.leakage.registry import MissingTableWarning, get_demo
from mmfusion.evaluation.leakage.selection import best_of_epochs, tuning_demo
from mmfusion.evaluation.leakage.tables import cross_validated_auc, distance_of, gaussian_table

SHOWN = {"D1": "auc", "D2": "auc", "D3": "macro_auc"}
NULLS = ("D1", "D2", "D3", "D5", "D6", "D8", "D9")


@pytest.fixture(scope="module")
def gaps():
    """All demonstrations but those that read phantoms of scans (D4, D7), and the slow one (D10)."""
    rows = run_demos(NULLS)
    assert tuple(rows) == DEMO_COLUMNS and rows["value"].notna().all()
    return demo_gaps(rows)


@pytest.mark.slow
@pytest.mark.parametrize("number", SHOWN)
def test_the_largest_leaks(gaps, number):
    null = gaps.loc[number, "null", SHOWN[number]]
    assert null["gap"] > 0.25 and null["leaky"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("number", NULLS)
def test_without_the_leak_nothing_is_found_in_nothing(gaps, number):
    demo = get_demo(number)
    assert gaps.loc[demo.number, "null", demo.metric]["honest"] == pytest.approx(demo.chance, abs=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["D1", "D2", "D5", "D6", "D8", "D9"])
def test_a_planted_signal_is_found_and_not_more_than_that(gaps, number):
    demo = get_demo(number)
    planted = gaps.loc[demo.number, "planted", demo.metric]
    assert 0.55 < planted["honest"] <= demo.best + 0.05


@pytest.mark.slow
def test_copies_of_patients_are_recognised(gaps):
    assert gaps.loc["D5", "null", "auc"]["gap"] > 0.25
    assert gaps.loc["D8", "null", "auc"]["gap"] > 0.2


@pytest.mark.slow
def test_imputer_scaler_and_filter_by_variance_do_little(gaps):
    for cohort in ("null", "planted"):
        assert abs(gaps.loc["D9", cohort, "auc"]["gap"]) < 0.05


@pytest.mark.slow
def test_the_best_epoch_is_as_good_as_expected(gaps):
    simulated = gaps.loc["D6", "simulated epochs"]
    assert simulated.loc["auc", "leaky"] == pytest.approx(simulated.loc["auc_expected", "leaky"], abs=0.05)
    assert gaps.loc["D6", "null", "auc"]["gap"] > 0.03


def test_the_expected_maximum_by_simulation():
    """Independent epochs, and epochs with a correlation of 0.5, as 3000 random maxima say."""
    rng, y = np.random.default_rng(0), np.repeat([0, 1], [30, 20])
    for r in (0.0, 0.5):
        own, shared = rng.standard_normal((3000, 20, 50)), rng.standard_normal((3000, 1, 50))
        scores = np.sqrt(r) * shared + np.sqrt(1 - r) * own
        ranks = scores.argsort(axis=2).argsort(axis=2) + 1
        auc = (ranks[:, :, y == 1].sum(axis=2) - 20 * 21 / 2) / (20 * 30)
        assert auc.max(axis=1).mean() == pytest.approx(best_of_epochs(20, 20, 30, r), abs=0.004)


def test_many_settings_on_noise():
    gaps = demo_gaps(tuning_demo(0, 2, settings=60))
    assert gaps.loc["tuning", "null", "auc"]["gap"] > 0.08


def test_tables_have_the_auc_that_was_asked_for():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    X, y = gaussian_table(4000, 6, np.random.default_rng(0), positives=2000, informative=3, auc=0.8)
    assert cross_validated_auc(LinearDiscriminantAnalysis(), X, y, 2, 0) == pytest.approx(0.8, abs=0.02)
    assert distance_of(0.5) == 0
    with pytest.raises(DataError, match=r"unusable numbers \(expected 1 to 9 positives"):
        gaussian_table(10, 2, np.random.default_rng(0), positives=10)


def test_names_and_the_same_rows_for_the_same_seed():
    first, again = (run_demos(["D8", "preprocessing"], seed=3, n_rep=1) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert set(first["demo"]) == {"D8", "D9"}
    assert not first["value"].equals(run_demos(["D8", "D9"], seed=4, n_rep=1)["value"])
    assert tuple(run_demos([])) == DEMO_COLUMNS
    with pytest.raises(DataError, match=r"no demonstration called 'D11' \(expected D1 or LDA, "):
        run_demos(["D11"])
    with pytest.raises(DataError, match="a share without effect"):
        shared_patients_demo(shared=1.0)


def test_every_demonstration_says_what_it_is():
    assert [demo.number for demo in all_demos()] == [f"D{k}" for k in range(1, 11)]
    assert all(demo.name == get_demo(demo.number).name == get_demo(demo.name).name for demo in all_demos())
    assert demo_table().notna().all(axis=None) and all(demo.rows for demo in all_demos())


def test_a_real_table_that_is_absent_is_named(tmp_path):
    with pytest.warns(MissingTableWarning, match=r"D3 \(TNM\) was not run on (lung1|radiogenomics)"):
        rows = run_demos(["D3"], n_rep=1, data_root=tmp_path)
    assert set(rows["cohort"]) == {"null", "planted"}


def test_real_tables(shared_data):
    gaps = demo_gaps(run_demos(["D3"], n_rep=2, data_root=shared_data))
    for cohort in ("lung1", "radiogenomics"):
        accuracy = gaps.loc["D3", cohort, "accuracy"]
        assert accuracy["leaky"] >= 0.9 and accuracy["honest"] < 0.65


@pytest.mark.slow
def test_all_ten():
    rows = run_demos()
    assert set(rows["demo"]) == {demo.number for demo in all_demos()}
    gaps = demo_gaps(rows)
    assert gaps.loc["D7", "boxes alone", "dice"]["gap"] > 0.25
    assert gaps.loc["D4", "null", "auc_patients"]["gap"] > 0.2
    assert gaps.loc["D10", "null", "auc"]["gap"] > 0.1


@pytest.mark.parametrize(
    ("names", "options", "says"),
    [
        ("D9", {}, r"names: not a list of names \(expected \['D9'\]"),
        (["D9"], {"n_rep": "2"}, "n_rep: out of range .*got '2'"),
        (["D9"], {"n_rep": 1.5}, "n_rep: out of range"),
        (["D9"], {"seed": -1}, "seed: out of range"),
    ],
)
def test_wrong_arguments_of_the_demonstrations_are_named(names, options, says):
    with pytest.raises(DataError, match=says):
        run_demos(names, **options)
