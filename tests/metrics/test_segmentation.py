import numpy as np
import pandas as pd
import pytest

from mmfusion.errors import DataError
from mmfusion.metrics.segmentation import (
    MASK_SCORES,
    mask_scores,
    segmentation_differences,
    segmentation_table,
)


def ball(center, radius, spacing=(1.0, 1.0, 1.0), size=48.0):
    """A ball; centre (z, y, x), radius and the side of the cube in mm."""
    axes = [np.arange(0, size, s) - c for s, c in zip(spacing, center, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 <= radius**2


def lens(d, r):
    """Volume that two balls of radius r share, their centres d apart (a spherical cap twice)."""
    return np.pi * (4 * r + d) * (2 * r - d) ** 2 / 12


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (2.0, 0.5, 0.5), (1.0, 0.7, 0.7)])
@pytest.mark.parametrize("shift", [2.0, 5.0, 10.0])
def test_two_balls_overlap_as_geometry_says(spacing, shift):
    r, whole = 10.0, 4 / 3 * np.pi * 10.0**3
    true, predicted = ball((24, 24, 20), r, spacing), ball((24, 24, 20 + shift), r, spacing)
    scores = mask_scores(true, predicted, spacing)
    assert scores["dice"] == pytest.approx(lens(shift, r) / whole, abs=0.01)
    assert scores["iou"] == pytest.approx(scores["dice"] / (2 - scores["dice"]))
    assert scores["true_mm3"] == pytest.approx(whole, rel=0.02)  # 2 mm slices of a ball of 10 mm
    assert scores["overlap_mm3"] == pytest.approx(lens(shift, r), rel=0.02)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.5, 0.5)])
def test_concentric_balls_are_their_radii_apart(spacing):
    scores = mask_scores(ball((24, 24, 24), 8.0, spacing), ball((24, 24, 24), 11.0, spacing), spacing)
    assert scores["assd"] == pytest.approx(3.0, abs=0.25) and scores["hd95"] == pytest.approx(3.0, abs=0.5)
    assert scores["dice"] == pytest.approx(2 * 8**3 / (8**3 + 11**3), abs=0.01)


def test_boxes_moved_along_an_axis_with_thick_slices():
    """Flat boxes, two slices apart at 5 mm: every voxel of one is surface, and 10 mm from the other."""
    true, predicted = np.zeros((9, 9, 9)), np.zeros((9, 9, 9))
    true[2, 2:7, 2:7], predicted[4, 2:7, 2:7] = 1, 1
    scores = mask_scores(true, predicted, (5.0, 1.0, 1.0))
    assert (scores["hd95"], scores["assd"], scores["dice"]) == (10.0, 10.0, 0.0)
    assert mask_scores(true.T, predicted.T, (5.0, 1.0, 1.0))["hd95"] == 2.0


def test_where_the_scan_ends_the_mask_has_a_surface():
    inside, edge = np.zeros((12, 12)), np.zeros((12, 12))
    inside[2:6, 2:6], edge[:4, :4] = 1, 1
    other_inside, other_edge = np.roll(inside, 1, axis=1), np.roll(edge, 1, axis=1)
    assert mask_scores(inside, other_inside, (1, 1)) == mask_scores(edge, other_edge, (1, 1))


def test_empty_masks():
    full, empty = np.ones((4, 4, 4)), np.zeros((4, 4, 4))
    both = mask_scores(empty, empty, (1, 1, 1))
    assert both["dice"] == both["iou"] == 1 and np.isnan([both["hd95"], both["assd"]]).all()
    for pair in ((full, empty), (empty, full)):
        one = mask_scores(*pair, (1, 1, 1))
        assert one["dice"] == one["iou"] == 0 and np.isnan([one["hd95"], one["assd"]]).all()


def table_of(folds=2, **models):
    """Scores of models that give these (true, predicted) pairs of 1-D masks, a pair per patient."""
    rows = []
    for model, pairs in models.items():
        for i, (true, predicted) in enumerate(pairs):
            grids = [np.resize(np.array(m, float), (1, len(m))) for m in (true, predicted)]
            keys = {"model": model, "repeat": 0, "fold": i % folds, "patient_id": f"P{i}"}
            rows.append(keys | mask_scores(*grids, (1.0, 1.0)))
    return pd.DataFrame(rows)


PAIRS = [
    ([1, 1, 1, 1], [1, 1, 0, 0]),
    ([1, 0, 0, 0], [1, 0, 0, 0]),
    ([1, 1, 0, 0], [0, 0, 0, 0]),
    ([0] * 4, [0] * 4),
]


def test_pooled_and_mean_overlap_by_hand():
    row = segmentation_table(table_of(model=PAIRS), n_boot=50).loc["model"].xs("mean", level=1)
    assert row["dice"] == pytest.approx(((2 / 3 + 0) / 2 + (1 + 1) / 2) / 2)
    assert row["iou"] == pytest.approx(((1 / 2 + 0) / 2 + (1 + 1) / 2) / 2)
    assert row["dice_pooled"] == pytest.approx(2 * (2 + 1) / (4 + 2 + 1 + 1 + 2))
    assert row["one_empty_pooled"] == 1  # P2; P3 is empty in both
    assert row["hd95"] == pytest.approx(
        np.mean([mask_scores(*map(np.atleast_2d, PAIRS[0]), (1, 1))["hd95"], 0])
    )


def test_the_better_model_is_found_better():
    rng = np.random.default_rng(0)
    truth = [(rng.random(30) < 0.5).astype(int) for _ in range(20)]
    near = [(t, np.where(rng.random(30) < 0.05, 1 - t, t)) for t in truth]
    far = [(t, np.where(rng.random(30) < 0.3, 1 - t, t)) for t in truth]
    table = table_of(near=near, far=far)
    for metric in ("dice", "dice_pooled"):
        row = segmentation_differences(table, "far", metric=metric, n_boot=200).loc["near"]
        assert 0.1 < row["lo"] < row["diff"] < row["hi"]


def test_errors():
    with pytest.raises(DataError, match="differ in shape"):
        mask_scores(np.zeros((2, 2)), np.zeros((2, 3)), (1, 1))
    with pytest.raises(DataError, match="spacing per axis"):
        mask_scores(np.zeros((2, 2)), np.zeros((2, 2)), (1,))
    table = table_of(model=PAIRS)
    with pytest.raises(DataError, match="lack a column"):
        segmentation_table(table.drop(columns=MASK_SCORES[0]))
    with pytest.raises(DataError, match="no metric called"):
        segmentation_differences(pd.concat([table, table.assign(model="b")]), "b", metric="zzz")
