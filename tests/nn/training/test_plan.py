import copy
import json
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from mmfusion.errors import DataError
from mmfusion.nn.training import TrainingPlan


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "lion"),
        ("optimizer", ["adam"]),
        ("lr", 0),
        ("lr", float("nan")),
        ("lr", "1e-3"),
        ("weight_decay", -1),
        ("momentum", 1.0),
        ("lr_groups", {"encoder": 0}),
        ("lr_groups", ["encoder"]),
        ("schedule", "step"),
        ("min_lr", -1e-5),
        ("min_lr", 1.0),
        ("warmup_epochs", -1),
        ("warmup_epochs", 20),
        ("max_epochs", 0),
        ("max_epochs", 2.5),
        ("max_epochs", True),
        ("batch_size", 0),
        ("clip_norm", 0),
        ("accumulate", 0),
        ("precision", 16),
        ("patience", 0),
        ("monitor", ""),
        ("direction", "up"),
        ("freeze", {"encoder": 0}),
        ("freeze", {"": 3}),
        ("validation_fraction", 1.0),
        ("loss", 3),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(DataError, match=name):
        TrainingPlan(**{name: value})


def test_a_plan_does_not_change():
    groups = {"encoder": 0.1}
    plan = TrainingPlan(lr_groups=groups)
    groups["encoder"] = 5.0
    assert plan.lr_groups == {"encoder": 0.1}
    with pytest.raises(FrozenInstanceError):
        plan.lr = 1.0
    other = plan.replace(lr=0.5)
    assert (plan.lr, other.lr, other.lr_groups) == (2e-3, 0.5, {"encoder": 0.1})
    assert plan != other and plan == TrainingPlan(lr_groups={"encoder": 0.1})
    with pytest.raises(DataError, match="learning_rate: not a parameter"):
        plan.replace(learning_rate=0.1)


def test_json_and_copies():
    plan = TrainingPlan(lr=np.float64(0.01), max_epochs=np.int64(7), freeze={"encoder": None, "neck": 3})
    assert TrainingPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert pickle.loads(pickle.dumps(plan)) == plan and copy.deepcopy(plan) == plan
    assert type(plan.lr) is float and type(plan.max_epochs) is int
    assert TrainingPlan.from_dict({"lr": 0.1}) == TrainingPlan(lr=0.1)
    with pytest.raises(DataError, match="beta: not a parameter"):
        TrainingPlan.from_dict({"beta": 1})


def test_nested_in_an_estimator():
    class Model(BaseEstimator):
        def __init__(self, training=None):
            self.training = training

    model = Model(TrainingPlan(weight_decay=0.3))
    assert model.get_params()["training__weight_decay"] == 0.3
    assert clone(model).training is model.training


@pytest.mark.parametrize(("n", "expected"), [(20, 8), (130, 13), (2000, 32)])
def test_rule_of_thumb_for_a_batch(n, expected):
    assert TrainingPlan().rows_per_batch(n) == expected
    assert TrainingPlan(batch_size=5).rows_per_batch(n) == 5
