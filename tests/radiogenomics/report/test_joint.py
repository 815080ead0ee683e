"""What the report on masks and expression says: its sentences follow its numbers."""

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import RegressionTask
from mmfusion.lesions.report.ablations import EXPRESSION, MAIN, MASK
from mmfusion.metrics import segmentation_table
from mmfusion.radiogenomics import prediction_null
from mmfusion.radiogenomics.report import joint, joint_study
from tests.lesions.report.results import N, result

GENES = ("EGFR", "MET")
BALANCE = "balance: DWA"


def expressed(models: dict[str, float], main: str = MAIN) -> NestedResult:
    """A result whose models have about these correlations, on the patients and folds of `results.result`."""
    rng = np.random.default_rng(0)
    true, noise = rng.normal(size=(2, N, len(GENES)))
    patients, tables = [f"P{k:02d}" for k in range(N)], []
    for name, r in models.items():
        keys = {"model": name, "repeat": 0, "fold": np.arange(N) % 3, "patient_id": patients}
        values = {f"true_{g}": true[:, k] for k, g in enumerate(GENES)}
        pred = r * true + np.sqrt(1 - r**2) * noise
        values |= {f"pred_{g}": pred[:, k] for k, g in enumerate(GENES)}
        tables.append(pd.DataFrame({**keys, "person": patients, **values}))
    return NestedResult(
        cohort="made", target="expression", task=RegressionTask(GENES),
        predictions=pd.concat(tables, ignore_index=True), folds=[], main=main,
        present=pd.DataFrame({"ct": True}, index=pd.Index(patients, name="patient_id")),
        settings={"outer": 3, "repeats": 1},
    )  # fmt: skip


def told(found: NestedResult, **more: object) -> list[str]:
    null = prediction_null(found.of([found.main]), GENES, n_permutations=19).table()
    dice = pd.Series({"mean": 0.7, "lo": 0.6, "hi": 0.8})
    return joint.verdict(found, null, dice, **{"best": {}, **more})


def test_the_answer_comes_first_and_the_best_possible_stands_beside_it():
    found = expressed({MAIN: 0.6, joint_study.RIDGE: 0.0, EXPRESSION: 0.6})
    r = found.scores.loc[MAIN, "pearson"]
    lines = told(found, best=dict.fromkeys(GENES, float(r["mean"])))
    assert lines[0].startswith(f"Mean Pearson correlation of 2 genes: {r['mean']:.3f} [")
    assert "0.700 [0.600, 0.800]" in lines[0]
    assert "the interval includes it" in lines[2]
    assert "the interval does not include it" in told(found, best=dict.fromkeys(GENES, 0.999))[2]
    assert lines[-2].startswith("Ridge on measures has") and "The main model is better than it" in lines[-2]
    assert "not shown to differ from it" in lines[-1]
    assert "0.700" in joint.headline(found, pd.Series({"mean": 0.7, "lo": 0.6, "hi": 0.8}))


@pytest.mark.parametrize(("r", "says"), [(0.0, "includes 0"), (0.9, "does not include 0")])
def test_the_null_panel(r, says):
    lines = told(expressed({MAIN: 0.6}), null_panel=expressed({MAIN: r}))
    assert any(line.startswith("On a panel without signal") and says in line for line in lines)


def test_the_table_of_ablations_has_both_tasks():
    found = expressed({MAIN: 0.6, BALANCE: 0.5, EXPRESSION: 0.6, joint_study.RIDGE: 0.2})
    masks = result({MAIN: 0.7, BALANCE: 0.6, MASK: 0.8}).predictions
    table = joint.ablation_table(found, masks, segmentation_table(masks))
    assert list(table.index) == [MAIN, EXPRESSION, MASK, BALANCE]  # no baselines
    assert table.loc[MASK].tolist()[:2] == ["–", "–"] and table.loc[EXPRESSION].tolist()[2:] == ["–", "–"]
    assert table.loc[MASK, "difference in Dice"].startswith("+0.1")
    assert table.loc[BALANCE, "difference"].startswith("-0.")
    assert (table.loc[MAIN, ["difference", "difference in Dice"]] == "–").all()
    assert "reports no numbers" in joint.of_the_paper()


def test_limits():
    found = expressed({MAIN: 0.6})
    cohort = mf.lesion_phantom(2, 1, size=16, target="expression")
    notes = joint.caveats(cohort, found, small=True)
    assert any("wide" in note for note in notes) and any("networks are small" in note for note in notes)
    assert not any("networks are small" in note for note in joint.caveats(cohort, found, small=False))
    assert any("not its mutation status" in note for note in notes)
    assert joint.cosine_sentence(pd.DataFrame(columns=["fold", "epoch", "cosine"])).endswith("not recorded.")
    lines = joint.protocol(cohort, found, ["Said.", ""])
    assert lines[-1] == "Said." and "EGFR, MET" in lines[0]


@pytest.fixture(scope="module")
def phantom():
    return mf.lesion_phantom(3, 1, size=32, spacing=3.0, diameters=(15, 40), target="expression")


def test_measures_are_of_one_click_and_not_of_the_mask(phantom):
    found, models, said = joint_study.with_measures(phantom)
    assert list(models) == [joint_study.TRAINING_MEAN, joint_study.RIDGE] and "no true mask" in said
    columns = [c for c in found.X["ct"] if str(c).startswith("lesion_")]
    assert columns and found.X["ct", "mask"].equals(phantom.X["ct", "mask"])
    other = phantom.table.copy()
    other["ct", "mask"] = other["ct", "mask"].to_numpy()[::-1]
    again, _, _ = joint_study.with_measures(mf.Cohort("x", other, phantom.outcomes, "expression"))
    np.testing.assert_array_equal(again.X["ct"][columns], found.X["ct"][columns])
    bare = phantom.table.drop(columns=[("ct", "seed_x")])
    _, models, said = joint_study.with_measures(mf.Cohort("x", bare, phantom.outcomes, "expression"))
    assert list(models) == [joint_study.TRAINING_MEAN] and "no seeds" in said


def test_the_null_panel_has_the_same_scans_and_other_expression(phantom):
    options = {"size": 32, "spacing": 3.0, "diameters": (15, 40)}
    null, said = joint_study.null_study(phantom, "lesion_phantom", seed=1, phantom=options)
    assert list(null.X["ct", "volume"]) == list(phantom.X["ct", "volume"]) and "random" in said
    assert list(null.y) == list(phantom.y) and not null.y.equals(phantom.y)
    assert set(joint_study.best_possible(null).values()) == {0.0}
    other, said = joint_study.null_study(phantom, "mine", seed=0)
    assert "exchanged" in said and sorted(other.y["MET"]) == sorted(phantom.y["MET"])
    assert joint_study.best_possible(phantom)["EGFR"] > 0.3
