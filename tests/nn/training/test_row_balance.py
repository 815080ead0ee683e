"""Groups of training rows count the same, by weights or by repeated rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mmfusion.errors import DataError, TableWarning
from mmfusion.nn.losses import FocalLoss
from mmfusion.nn.training import StreamDataset, TrainingPlan, fit_network
from mmfusion.nn.training.row_balance import (
    WeightedRows,
    balanced_rows,
    group_weights,
    oversampled,
    row_groups,
)

X = pd.DataFrame({("ehr", "sex"): ["f", "m", None, "m"], ("ehr", "age"): [50.0, 60.0, 70.0, 80.0]})
CODES = np.array([0, 1, 0, 1])


def test_weights_and_repeats_make_groups_equal():
    groups = np.repeat([0, 1, 2], [50, 30, 7])
    assert np.bincount(groups, group_weights(groups)) == pytest.approx(29)  # of 87 rows in three groups
    rows = oversampled(groups, seed=3)
    assert np.bincount(groups[rows]).tolist() == [50, 50, 50] and set(rows) == set(range(87))
    assert set(np.bincount(rows)[groups == 2]) == {7, 8}  # 50 rows are drawn of 7
    assert np.array_equal(rows, oversampled(groups, seed=3))
    assert not np.array_equal(rows, oversampled(groups, seed=4))


def test_only_training_rows_are_counted_and_drawn():
    groups = np.array([0, 0, 0, 1, 1, 1, 1, 2])
    trained = np.array([0, 1, 2, 3])
    rows, weights = balanced_rows(trained, groups, "oversample", seed=0)
    assert weights is None and sorted(set(rows)) == [0, 1, 2, 3] and (rows == 3).sum() == 3
    rows, weights = balanced_rows(trained, groups, "reweight", seed=0)
    assert rows is trained and weights.tolist() == pytest.approx([2 / 3] * 3 + [2] * 4 + [1])
    assert balanced_rows(trained, groups, None, seed=0) == (trained, None)


@pytest.mark.parametrize(
    "criterion",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(torch.tensor([0.5, 2.0, 1.0])),
        FocalLoss(torch.tensor([0.5, 2.0, 1.0])),
    ],
)
def test_weights_of_one_change_nothing_and_whole_weights_repeat_rows(criterion):
    torch.manual_seed(0)
    logits, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    loss = WeightedRows(criterion)
    assert loss(logits, {"y": y, "weight": torch.ones(4)}) == pytest.approx(criterion(logits, y).item())
    rows = torch.tensor([0, 1, 1, 1, 2, 3])
    weight = torch.tensor([1.0, 3.0, 1.0, 1.0])
    assert loss(logits, {"y": y, "weight": weight}) == pytest.approx(criterion(logits[rows], y[rows]).item())


def test_groups_of_classes_and_columns():
    assert row_groups(X, CODES, "class") is CODES
    assert row_groups(X, CODES, "ehr.sex").tolist() == [0, 1, 2, 1]  # rows without a value are a group


@pytest.mark.parametrize("by", ["sex", "ehr.gender", "ehr.site.x"])
def test_an_unknown_column_is_one_error(by):
    with pytest.raises(DataError, match=rf"no such column to balance by.*ehr.sex.*got {by}"):
        row_groups(X, CODES, by)


def test_a_column_without_groups_is_one_error():
    many = pd.DataFrame({("ehr", "age"): np.arange(40.0), ("ehr", "one"): "x"})
    for column, n in (("ehr.age", 40), ("ehr.one", 1)):
        with pytest.raises(DataError, match=f"needs a few groups.*got {n}"):
            row_groups(many, np.zeros(40, int), column)


def test_a_plan_checks_the_balance_and_other_networks_refuse_it():
    with pytest.raises(DataError, match=r"balance.*reweight, oversample, or None"):
        TrainingPlan(balance="smote")
    data = StreamDataset({"ehr": np.zeros((4, 2, 4))}, np.ones((4, 1), bool), np.zeros(4, int))
    with pytest.raises(DataError, match="cannot balance"):
        fit_network(nn.Linear(2, 2), nn.CrossEntropyLoss(), data, None, TrainingPlan(balance="reweight"))


def test_a_group_of_one_row_is_said():
    X = pd.DataFrame({("ehr", "race"): ["a"] * 9 + ["b"]})
    with pytest.warns(TableWarning, match="one training row of b; it counts as much as all 9 rows"):
        assert row_groups(X, np.zeros(10, dtype=int), "ehr.race").tolist() == [0] * 9 + [1]
