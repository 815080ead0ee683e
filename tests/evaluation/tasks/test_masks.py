"""nested_cv on masks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmfusion as mf
import mmfusion.evaluation
from mmfusion.data.splits import Splits
from mmfusion.errors import DataError
from mmfusion.imaging import read_mask, write_nifti
from mmfusion.metrics.segmentation import mask_scores
from tests.evaluation.toys import QUIET, ToySegmenter


def test_scores_of_masks_are_those_of_the_volumes(masks):
    result = mf.nested_cv(ToySegmenter(), masks, **QUIET)
    fold = result.of(["ToySegmenter"]).query("fold == 0")
    train = masks.X.drop(index=fold["patient_id"])
    model = ToySegmenter().fit(train, masks.y.loc[train.index])
    X = masks.X.loc[fold["patient_id"]].copy()
    X["ct", "mask"] = np.nan
    for patient, predicted, row in zip(X.index, model.predict(X), fold.itertuples(), strict=True):
        true = read_mask(masks.y[patient])
        expected = mask_scores(true.array, predicted.array, true.spacing)
        assert {name: getattr(row, name) for name in expected} == pytest.approx(expected, nan_ok=True)
    assert result.to_metrics()["primary"] == {"metric": "dice", "model": "ToySegmenter", "reference": None}
    assert result.scores.loc["ToySegmenter", ("dice_pooled", "mean")] > 0.8
    with pytest.raises(DataError, match="no predictions of None"):
        result.paired()


class Peeks(ToySegmenter):
    """Says which masks it is shown."""

    def predict(self, X):
        shown = [str(v) for column in X.columns if column[1] == "mask" for v in X[column].dropna()]
        assert not shown, shown
        assert ("ct", "mask") in X.columns
        return list(super().predict(X))  # a list, not one by one


def test_held_out_masks_are_not_seen(masks, tmp_path):
    """What a model predicts for a fold stays the same when the masks of the fold's patients are altered."""
    splits = Splits.make(masks.y, n_splits=3)
    held_out = splits.test[0]
    labels, table = masks.labels.copy(), masks.table.copy()
    for patient in held_out:
        true = read_mask(labels[patient])
        array = np.zeros_like(true.array)
        array[5, 5, 5] = 1
        file = str(write_nifti(replace(true, array=array), tmp_path / f"{patient}.nii.gz"))
        labels[patient] = table.loc[patient, ("ct", "mask")] = file
    altered = replace(masks, table=table, labels=labels)
    before, after = (
        mf.nested_cv(Peeks(), c, search={"shift": [0.0, 50.0]}, n_trials=2, **(QUIET | {"outer": splits}))
        for c in (masks, altered)
    )
    mine = [r.predictions.query("fold == 0").set_index("patient_id") for r in (before, after)]
    pd.testing.assert_series_equal(mine[0]["predicted_mm3"], mine[1]["predicted_mm3"])
    assert (mine[1]["true_mm3"] == mine[1]["true_mm3"].iloc[0]).all() and mine[1]["dice"].max() < 0.2
    assert masks.X["ct", "mask"].notna().all()  # the cohort is as it was


def test_permuted_masks_give_chance(masks):
    """With masks of other patients some overlap is left, because lesions are close in small scans."""
    shuffled = pd.Series(np.roll(masks.labels.to_numpy(), 5), masks.labels.index, name=masks.labels.name)
    table = masks.table.copy()
    table["ct", "mask"] = shuffled
    result = mf.nested_cv(ToySegmenter(), replace(masks, labels=shuffled, table=table), **QUIET)
    honest = mf.nested_cv(ToySegmenter(), masks, **QUIET)
    assert result.scores.loc["ToySegmenter", ("dice", "mean")] < 0.4
    assert honest.scores.loc["ToySegmenter", ("dice", "mean")] > 0.8


def test_a_prediction_on_another_grid_is_brought_to_the_masks(masks):
    class Coarse(ToySegmenter):
        def predict(self, X):
            for mask in super().predict(X):
                yield mask.resample(1.0)

    one, other = (mf.nested_cv(m, masks, **QUIET).scores.iloc[0] for m in (ToySegmenter(), Coarse()))
    assert other["dice", "mean"] == pytest.approx(one["dice", "mean"], abs=0.1)


def test_a_segmenter_that_finds_nothing(masks):
    result = mf.nested_cv(ToySegmenter(shift=5000.0), masks, **QUIET)
    row = result.scores.loc["ToySegmenter"]
    assert row["dice", "mean"] == row["dice_pooled", "mean"] == 0
    assert row["one_empty_pooled", "mean"] == len(masks.X) and np.isnan(row["hd95", "mean"])


@pytest.mark.parametrize(
    ("predict", "says"),
    [
        (lambda self, X: [], "no predicted mask.*nothing more"),
        (lambda self, X: [np.zeros((2, 2, 2))] * len(X), "no predicted mask.*ndarray"),
        (lambda self, X: [*ToySegmenter.predict(self, X)] * 2, "more masks than patients"),
    ],
)
def test_masks_that_do_not_fit(masks, predict, says):
    model = type("Odd", (ToySegmenter,), {"predict": predict})()
    with pytest.raises(DataError, match=says):
        mf.nested_cv(model, masks, **QUIET)


def test_a_scan_is_no_mask(masks):
    class Scans(ToySegmenter):
        def predict(self, X):
            return [replace(mask, unit="HU") for mask in super().predict(X)]

    with pytest.raises(mf.MMFusionError, match=r"^patient \S+: not a mask .*got HU"):
        mf.nested_cv(Scans(), masks, **QUIET)
