"""Differences between groups against chance: random groups have the classes of the real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmfusion.evaluation.group_gaps import chance_of_gap, random_groups
from mmfusion.metrics.checks import check_predictions
from mmfusion.metrics.folds import ModelPredictions

CLASSES = ["I", "II"]


def model_of(late: np.ndarray, score: np.ndarray, person: object = None) -> ModelPredictions:
    """Predictions of one fold for patients with a score."""
    p = 1 / (1 + np.exp(-score))
    ids = [f"p{i:04d}" for i in range(len(late))]
    table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ids, "p_I": 1 - p, "p_II": p})
    table = table.assign(y_true=np.where(late, "II", "I"), person=ids if person is None else person)
    return ModelPredictions.of(check_predictions(table, CLASSES), CLASSES)


def test_random_groups_have_as_many_patients_of_each_class():
    rng = np.random.default_rng(0)
    groups, codes = rng.integers(3, size=90), rng.integers(2, size=90)
    drawn = random_groups(groups, codes, np.arange(90), 50, rng)
    for code in (0, 1):
        counts = [np.bincount(row[codes == code], minlength=3) for row in drawn]
        assert (counts == np.bincount(groups[codes == code], minlength=3)).all()
    assert (drawn != groups).any(axis=1).all() and (drawn == groups).any(axis=0).all()


def test_the_rows_of_a_person_stay_together():
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(30), [1, 2, 3] * 10)
    groups, codes = rng.integers(2, size=30)[person], rng.integers(2, size=30)[person]
    drawn = random_groups(groups, codes, person, 40, rng)
    first = np.unique(person, return_index=True)[1]
    assert (drawn == drawn[:, first][:, person]).all()
    assert (drawn[:, first].sum(axis=1) == groups[first].sum()).all()
    # a person with rows of two classes counts as one of the class of the first row
    codes[first[2] : first[3]] = [0, 1, 1]
    again = random_groups(groups, codes, person, 40, rng)
    assert (again == again[:, first][:, person]).all()
    own = codes[first] == 0
    assert (again[:, first][:, own].sum(axis=1) == groups[first][own].sum()).all()


def test_groups_with_other_class_shares_differ_as_often_as_the_level_says():
    """The scores of a class have one distribution in both groups, so that the true AUCs are equal.

    With groups that are exchanged between the classes, 22 of these 80 cohorts differ at the level 5 %.
    """
    rng, p = np.random.default_rng(1), []
    sizes = {"a": (27, 3), "b": (52, 78)}  # 10 % and 60 % of class II
    late = np.concatenate([np.repeat([False, True], n) for n in sizes.values()])
    names = np.repeat(list(sizes), [sum(n) for n in sizes.values()])
    for seed in range(80):
        model = model_of(late, rng.normal(size=len(late)) + late)
        groups = pd.Series(names, model.patients)
        aucs = [model.draws("macro_auc_pooled", (groups == g).to_numpy(float)[:, None])[0] for g in sizes]
        difference = abs(aucs[0] - aucs[1])
        p.append(chance_of_gap(model, groups, list(sizes), "macro_auc", difference, 99, seed))
    assert (np.array(p) <= 0.05).mean() <= 0.1
    assert np.mean(p) == pytest.approx(0.5, abs=0.12)


def test_a_true_difference_is_found_though_the_class_shares_differ():
    rng = np.random.default_rng(2)
    late = np.concatenate([np.repeat([False, True], n) for n in ((40, 20), (40, 60))])
    names = np.repeat(["a", "b"], [60, 100])
    model = model_of(late, rng.normal(size=len(late)) + late * np.where(names == "a", 0.0, 3.0))
    groups = pd.Series(names, model.patients)
    aucs = [model.draws("macro_auc_pooled", (groups == g).to_numpy(float)[:, None])[0] for g in "ab"]
    assert chance_of_gap(model, groups, ["a", "b"], "macro_auc", aucs[1] - aucs[0], 199, 0) <= 0.01
