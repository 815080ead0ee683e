"""Sets of stages: their coverage, what they say, and bundles with and without them."""

import json

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.errors import DataError
from mmfusion.staging.stage_sets import COVERAGES, StageSets, fit_sets
from tests.cohorts import tiny_cohort
from tests.staging.quick import QUICK


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three classes, and classes that are drawn from them."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([1, 1, 1], n)
    return proba, np.array([rng.choice(3, p=p) for p in proba])


def test_the_true_class_is_in_the_set_as_often_as_promised():
    """Over many training sets, the mean coverage of exact conformal sets is the nominal one."""
    proba, codes = drawn(99, 4000)
    rows = np.arange(len(codes))
    found = [[fit_sets(*drawn(k, 120)).members(proba, c)[rows, codes].mean() for c in COVERAGES]
             for k in range(60)]  # fmt: skip
    np.testing.assert_allclose(np.mean(found, axis=0), COVERAGES, atol=0.015)


def test_a_set_is_never_empty_and_grows_with_its_coverage():
    proba, codes = drawn(0, 300)
    sets = fit_sets(proba, codes)
    small, _, large = (sets.members(proba, c) for c in COVERAGES)
    assert small.any(axis=1).all() and (large >= small).all() and large.sum() > small.sum()
    assert StageSets({0.9: 0.99}, 10).members(np.array([[0.2, 0.8]]), 0.9).tolist() == [[False, True]]


def test_too_few_rows_give_no_sets():
    proba, codes = drawn(0, 12)
    assert list(fit_sets(proba, codes).thresholds) == [0.8, 0.9]
    assert fit_sets(proba[:3], codes[:3]).thresholds == {}
    assert fit_sets(proba[:0], codes[:0]).n == 0
    assert fit_sets(proba, np.zeros(12, int)).thresholds == {}  # a class is not among the rows
    some = np.where(np.arange(12)[:, None] < 4, np.nan, proba)
    assert fit_sets(some, codes).n == 8


def test_bad_sets():
    with pytest.raises(DataError, match=r"no sets of this coverage \(expected 0.9; got 0.99\)"):
        StageSets({0.9: 0.2}, 50).members(np.eye(2), 0.99)
    with pytest.raises(DataError, match="more than 3 left-out rows"):
        StageSets({}, 3).members(np.eye(2), 0.9)
    with pytest.raises(DataError, match="between 0 and 1"):
        StageSets({0.9: 7.0}, 50)


@pytest.fixture(scope="module")
def fitted():
    cohort = tiny_cohort(80)
    return cohort, mf.StageClassifier(**{**QUICK, "n_members": 4}).fit(cohort.X, cohort.y)


def test_a_prediction_names_the_stages_that_it_cannot_exclude(fitted):
    cohort, model = fitted
    one = cohort.X.iloc[[0]]
    found = model.predict_row(one, top_genes=0)
    wide = model.predict_row(one, top_genes=0, coverage=0.8)
    assert found.coverage == 0.9 and set(wide.stage_set) <= set(found.stage_set)
    assert found.most_probable in found.stage_set
    said = f"Stages that cannot be excluded (90% coverage): {', '.join(found.stage_set)}."
    assert said in str(found) and said in found._repr_html_()
    assert found.to_row()["stage_set"] == " ".join(found.stage_set)
    assert json.loads(found.to_json())["stage_set"] == list(found.stage_set)
    with pytest.raises(DataError, match="no sets of this coverage"):
        model.predict_row(one, top_genes=0, coverage=0.5)


def test_a_saved_model_keeps_its_sets_and_no_rows(fitted, tmp_path):
    _, model = fitted
    again = mf.load(model.save(tmp_path / "m") and tmp_path / "m")
    assert again.sets_ == model.sets_ and len(model.sets_.thresholds) == len(COVERAGES)


def test_a_single_network_has_no_sets():
    cohort = tiny_cohort(40)
    model = mf.StageClassifier(**{**QUICK, "n_members": 1}).fit(cohort.X, cohort.y)
    found = model.predict_row(cohort.X.iloc[[0]], top_genes=0)
    assert model.sets_.thresholds == {} and found.stage_set == () and found.coverage is None
    assert "cannot be excluded" not in str(found)
    with pytest.raises(DataError, match=r"coverage: no sets .*a model of two networks or more"):
        model.predict_row(cohort.X.iloc[[0]], top_genes=0, coverage=0.9)
