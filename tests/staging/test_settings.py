"""Flat parameters and the nested objects that they override."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.nn.network import NetworkPlan
from mmfusion.nn.training import TrainingPlan
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.staging.settings import FLAT, NESTED
from tests.cohorts import tiny_cohort


def test_few_parameters_are_flat():
    names = list(inspect.signature(mf.StageClassifier.__init__).parameters)[1:]
    assert len(names) <= 17 and {"fusion", "max_epochs", "random_state", "lr"} <= set(names)
    assert set(FLAT) <= set(names) and set(NESTED) <= set(names)


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_parameter_is_one_of_its_nested_object(name):
    assert name in NESTED[FLAT[name]]().get_params(deep=False)


def test_flat_values_override_the_nested_objects():
    model = mf.StageClassifier(lr=3e-4, dropout=0.1, n_genes=7, modalities=["rna"], random_state=4)
    settings = model.settings
    assert settings.training.lr == 3e-4 and settings.training.max_epochs == 14
    assert settings.network.dropout == 0.1
    assert settings.preprocessing.n_genes == 7 and settings.preprocessing.modalities == ["rna"]
    assert settings.preprocessing.random_state == 4


@pytest.mark.parametrize(
    ("flat", "nested"),
    [
        ({"lr": 1e-2}, {"training": TrainingPlan(lr=3e-4)}),
        ({"max_epochs": 3}, {"training": {"max_epochs": 9}}),
        ({"dropout": 0.1}, {"network": NetworkPlan(dropout=0.2)}),
        ({"n_genes": 9}, {"preprocessing": CohortTransformer(n_genes=8)}),
    ],
)
def test_two_values_for_one_setting_are_refused(flat, nested):
    with pytest.raises(DataError, match=f"{next(iter(flat))}.*two places"):
        mf.StageClassifier(**flat, **nested).settings  # noqa: B018
    same = {key: getattr(mf.StageClassifier(**nested).settings, FLAT[key]) for key in flat}
    value = {key: getattr(part, key) for key, part in same.items()}
    assert mf.StageClassifier(**value, **nested).settings  # the same value in both places is fine


def test_nested_values_are_reached_as_in_skorch():
    model = mf.StageClassifier(training={"schedule": "plateau"})
    copy = clone(model).set_params(training__weight_decay=1e-3, network__hidden=8, preprocessing__graph_k=4)
    assert copy.settings.training.weight_decay == 1e-3 and copy.settings.training.schedule == "plateau"
    assert copy.get_params()["network__hidden"] == 8 and copy.settings.preprocessing.graph_k == 4
    assert (
        model.settings.training.weight_decay == 1e-2 and model.network is None
    )  # the first one is as it was


def test_a_nested_value_set_later_replaces_the_flat_one():
    for value in (2e-3, 1e-2):  # the default, and another value
        model = mf.StageClassifier(lr=3e-4, max_epochs=7).set_params(training__lr=value)
        assert model.settings.training.lr == model.resolved_params()["lr"] == value
        assert model.settings.training.max_epochs == 7
    model = mf.StageClassifier(lr=3e-4, dropout=0.1)
    again = mf.StageClassifier().set_params(**model.get_params())
    for part in ("network", "training"):
        assert getattr(again.settings, part) == getattr(model.settings, part)


def test_a_nested_object_given_is_never_changed():
    transformer = CohortTransformer(graph_k=3)
    model = mf.StageClassifier(preprocessing=transformer)
    model.set_params(preprocessing__graph_k=5)
    assert transformer.graph_k == 3 and model.settings.preprocessing.graph_k == 5


def test_unknown_names():
    with pytest.raises(DataError, match="weight_dekay"):
        mf.StageClassifier().set_params(training__weight_dekay=1)
    with pytest.raises(DataError, match="graphs"):
        mf.StageClassifier(preprocessing={"graphs": 1}).get_params()
    with pytest.raises(ValueError, match="learning_rate"):
        mf.StageClassifier().set_params(learning_rate=1)
    with pytest.raises(DataError, match=r"training.*TrainingPlan.*int"):
        mf.StageClassifier(training=3).settings  # noqa: B018


def test_resolved_parameters_are_what_a_fit_uses():
    found = mf.StageClassifier(training={"lr": 3e-4}).resolved_params()
    assert found["lr"] == found["training__lr"] == 3e-4 and found["max_epochs"] == 14


@pytest.mark.parametrize(
    "bad",
    [
        {"d": 0},
        {"d": "32"},
        {"hidden": 1.5},
        {"dropout": 1.0},
        {"dropout": "a half"},
        {"modality_dropout": -0.1},
        {"fusion_options": 5},
    ],
)
def test_network_plan_checks_its_values(bad):
    with pytest.raises(DataError, match=next(iter(bad))):
        NetworkPlan(**bad)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"n_members": 0}, "n_members"),
        ({"n_members": 1.5}, "n_members"),
        ({"random_state": None}, "random_state"),
        ({"random_state": "1"}, "random_state"),
        ({"random_state": -1}, "parameter random_state: out of range"),
        ({"random_state": 2**32}, "parameter random_state: out of range"),
        ({"device": "gpu"}, "device"),
        ({"modalities": []}, "modalities"),
        ({"modalities": ["rna", "rna"]}, "modalities"),
        ({"training": {"validation_fraction": 0.99}}, "validation_fraction"),
        ({"training": {"loss_options": {"gama": 2.0}}}, "gama"),
    ],
)
def test_a_fit_names_the_parameter_that_it_cannot_use(bad, named):
    cohort = tiny_cohort(30)
    with pytest.raises(DataError, match=named):
        mf.StageClassifier(**{"n_members": 1, "max_epochs": 1, "n_genes": 20} | bad).fit(cohort.X, cohort.y)


def test_a_seed_may_be_a_number_of_numpy():
    cohort = tiny_cohort(30)
    model = mf.StageClassifier(n_members=1, max_epochs=1, n_genes=20, random_state=3)
    proba = clone(model).fit(cohort.X, cohort.y).predict_proba(cohort.X)
    same = model.set_params(random_state=np.int64(3)).fit(cohort.X, cohort.y).predict_proba(cohort.X)
    assert np.array_equal(proba, same)
