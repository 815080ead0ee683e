"""The report on masks and expression: who is judged, which models, and the masks on the same folds."""

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.data.sources import register_source
from mmfusion.errors import DataError, MMFusionError
from mmfusion.lesions.report import ablations, joint, maps
from mmfusion.metrics import segmentation_table
from mmfusion.registry import SEGMENTERS
from tests.lesions.balls import MASK, balls
from tests.lesions.networks import Both

TINY = {"max_epochs": 8, "lr": 0.03, "batch_size": 16, "threshold": 0.5, "augment": False}
SERIAL = {"where": "serial", "progress": False, "baselines": False}


class Shown(Both):
    """`Both` with a layer for Grad-CAM."""

    @property
    def gradcam_layer(self):
        return self.trunk


@pytest.fixture(scope="module", autouse=True)
def network():
    facts = {"modality": "ct", "dims": "3", "paper": "none", "summary": "For tests."}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SEGMENTERS._classes, "both", Shown)
        patch.setitem(SEGMENTERS._facts, "both", facts)
        yield


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Ten balls in files; the first has no mask, the second no CT, the third no expression."""
    folder = tmp_path_factory.mktemp("balls")
    X, expression = balls(10)
    X = X.astype(object)
    for patient, row in X.iterrows():
        for column, volume in row.items():
            X.loc[patient, [column]] = str(
                mf.imaging.write_nifti(volume, folder / f"{patient}-{column[1]}.nii.gz")
            )
    X.loc["P0", [MASK]] = None
    X.loc["P1", [("ct", "volume")]] = None
    expression.loc["P2"] = np.nan
    outcomes = expression.add_prefix("expression_")
    register_source("balls_in_files")(lambda root=None: mf.Cohort("balls", X, outcomes, "lesion"))
    return joint.load_study("balls_in_files", genes=["UP", "DOWN"])


@pytest.fixture(scope="module")
def judged(cohort, tmp_path_factory):
    data, _ = cohort
    splits = joint.splits_of(data, 2, 0)
    model = mf.ExpressionSegmenter("both", log_cosine=True, **TINY)
    others = ablations.joint_grid(groups=["tasks"])
    options = {"outer": splits, **SERIAL}
    result = mf.nested_cv(
        model, data, name=ablations.MAIN, settings=others, keep=list(others),
        out=tmp_path_factory.mktemp("run"), **options,
    )  # fmt: skip
    alone, masked = joint.mask_model(model, data)
    return result, mf.nested_cv(alone, masked, name=ablations.MASK, **options), masked


def test_patients_need_a_ct_a_mask_and_expression(cohort):
    data, said = cohort
    assert list(data.X.index) == [f"P{k}" for k in range(3, 10)]
    assert said == "Patients left out: 1 without expression; 1 without a CT; 1 without a mask."
    assert list(data.y) == ["UP", "DOWN"]
    few, _ = joint.load_study("balls_in_files", genes=["UP"], n_patients=2)
    assert list(few.X.index) == ["P3", "P4"]
    register_source("balls_without_masks")(
        lambda root=None: mf.Cohort("none", data.table.drop(columns=[MASK]), data.outcomes, "lesion")
    )
    with pytest.raises(DataError):
        joint.load_study("balls_without_masks", genes=["UP"])


def test_masks_of_all_models_are_judged_on_the_same_folds(judged):
    result, alone, masked = judged
    table = joint.with_mask_scores(result, alone, masked, result.models)
    assert set(table["model"]) == {ablations.MAIN, ablations.MASK}  # expression alone predicts no masks
    folds = table.groupby("model")[["patient_id", "fold"]].apply(lambda one: set(map(tuple, one.to_numpy())))
    assert folds[ablations.MAIN] == folds[ablations.MASK] and len(folds[ablations.MAIN]) == 7
    assert (segmentation_table(table)["dice", "mean"] > 0.3).all()
    # the same masks as those of the model of the fold
    model = mf.load(result.bundles()[0, 0])
    row = table[(table["model"] == ablations.MAIN) & (table["fold"] == 0)].iloc[0]
    (mask,) = model.segmenter().predict(masked.X.loc[[row["patient_id"]]])
    true = mf.imaging.read_mask(masked.y[row["patient_id"]]).array > 0
    both = 2 * (true & (mask.array > 0)).sum() / (true.sum() + mask.array.sum())
    assert row["dice"] == pytest.approx(both)
    with pytest.raises(DataError, match="were not saved"):
        joint.masks_of(alone, masked, [ablations.MASK])


def test_cosines_are_recorded_for_the_main_model(judged):
    result, alone, _ = judged
    table = joint.cosine_table(result)
    assert list(table) == ["fold", "epoch", "cosine"] and len(table) == 2 * TINY["max_epochs"]
    assert table["cosine"].between(-1, 1).all()
    assert joint.cosine_table(alone).empty


def test_maps_are_by_the_model_that_did_not_see_the_patient(judged):
    result, _, masked = judged
    found, outlines = maps.explained(result, masked, "UP", 2)
    rows = result.of([result.main]).sort_values("pred_UP", ascending=False)
    assert found.patients == tuple(rows["patient_id"][:2]) and found.maps.shape == outlines.shape
    with pytest.raises(DataError, match="no such gene"):
        maps.explained(result, masked, "EGFR")


def test_the_grid_of_ablations():
    options = {"width": 8}
    every = ablations.joint_grid(options)
    assert all(one.get("options", options)["width"] == 8 for one in every.values())
    assert every[ablations.EXPRESSION]["options"]["tasks"] == ("expression",)
    assert ablations.group_of(ablations.POOLED) == "parts"
    assert {ablations.group_of(name) for name in every} == set(ablations.GROUPS)
    assert "balance: uncertainty" in ablations.joint_grid(balance="fixed")
    assert not ablations.joint_grid(groups=[])
    for changes in every.values():  # each can be built
        joint.joint_model("demo", small=True).set_params(**changes).settings.check()
    with pytest.raises(DataError, match="no such ablation"):
        ablations.joint_grid(groups=["necks"])


def test_the_main_model():
    small = joint.joint_model("full", small=True, max_epochs=0)
    assert small.threshold == 0.5 and small.log_cosine and small.settings.size == (32, 32)
    large = joint.joint_model("demo", small=False, max_epochs=3)
    assert large.threshold == "inner" and large.settings.size == (32, 32, 32)
    with pytest.raises(MMFusionError):
        joint.joint_model("none", small=False)
