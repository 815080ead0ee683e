"""Contract of every estimator, and of every registered fusion as one, from a cohort's frame to a bundle."""

from copy import deepcopy
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import mmfusion as mf
from mmfusion.bundle import ESTIMATORS
from mmfusion.radiogenomics import ClinicalClassifier, ExpressionRegressor, GenotypeClassifier
from mmfusion.registry import list_fusions
from mmfusion.synthetic import radiomics_phantom
from tests.cohorts import tiny_cohort
from tests.lesions.balls import MASK, balls

NAMES = list(list_fusions().index)
COHORT = tiny_cohort()
MODALITIES = tuple(COHORT.modalities)
SUBSETS = [s for size in (1, 2, 3) for s in combinations(MODALITIES, size)]
WHOLE = COHORT.complete().X.iloc[:3]
CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    settings = {"max_epochs": 2, "n_genes": 12, "preprocessing": {"graph_k": 3}}
    settings |= {"network": {"d": 8, "hidden": 8}, "training": {"batch_size": 30}}
    return mf.StageClassifier(fusion=request.param, **settings).fit(COHORT.X, COHORT.y)


def hide(X, seen):
    out = X.copy()
    out.loc[:, [m for m in MODALITIES if m not in seen]] = np.nan
    return out


def only(X, seen):
    out = X[[*seen, "meta"]].copy()
    out.attrs = dict(X.attrs)
    return out


def test_any_subset_of_modalities(model):
    """A column that is absent and one that is empty are the same, and each modality makes a difference."""
    everything = model.predict_proba(WHOLE)
    for seen in SUBSETS:
        proba = model.predict_proba(hide(WHOLE, seen))
        np.testing.assert_allclose(proba.sum(axis=1), 1, **CLOSE)
        assert ((proba > 0) & (proba < 1)).all()
        np.testing.assert_allclose(model.predict_proba(only(WHOLE, seen)), proba, **CLOSE)
        assert (np.abs(proba - everything).max() > 1e-5) == (len(seen) < len(MODALITIES))


def test_company_does_not_matter(model):
    """Nor does the order of rows, nor what others lack."""
    together = model.predict_proba(COHORT.X)
    alone = np.vstack([model.predict_proba(COHORT.X.iloc[[i]]) for i in range(6)])
    np.testing.assert_allclose(alone, together[:6], **CLOSE)
    np.testing.assert_allclose(model.predict_proba(COHORT.X[::-1])[::-1], together, **CLOSE)


def test_what_a_missing_modality_might_have_said_is_not_heard(model):
    inputs = model.transformer_.transform(COHORT.X)
    assert not inputs.present.all()
    poisoned = {name: array.copy() for name, array in inputs.arrays.items()}
    for column, spec in enumerate(model.transformer_.specs_):
        poisoned[spec.name][~inputs.present[:, column]] = 1e6
    with torch.no_grad():
        clean, heard = (
            model.module_(
                torch.as_tensor(inputs.present), **{k: torch.as_tensor(v) for k, v in arrays.items()}
            )
            for arrays in (inputs.arrays, poisoned)
        )
    assert torch.equal(clean, heard)


def test_saved_and_loaded_it_is_the_same(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = mf.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(COHORT.X), model.predict_proba(COHORT.X))
    assert loaded.get_params() == model.get_params() and list(loaded.classes_) == list(model.classes_)


# --- what holds for every estimator

BALLS, EXPRESSION = balls(6)
GENOTYPE, PANEL = radiomics_phantom(60), radiomics_phantom(40, target="expression")
_NETWORK = {"size": 16, "spacing": 3.0, "max_epochs": 1, "threshold": 0.5, "training": {"warmup_epochs": 0}}
_CSPAT = {"embed_dim": 4, "heads": (1, 1, 1, 1), "depths": (1, 1, 1, 1), "width": 8, "spatial_dims": 2}
# name -> an estimator before the fit, rows, and labels
ESTIMATED = {
    "StageClassifier": (
        mf.StageClassifier(max_epochs=1, n_genes=12, network={"d": 8, "hidden": 8}),
        COHORT.X,
        COHORT.y,
    ),
    "LesionSegmenter": (
        mf.LesionSegmenter("unet", options={"channels": (4, 8)}, **_NETWORK),
        BALLS,
        BALLS[MASK],
    ),
    "ExpressionSegmenter": (
        mf.ExpressionSegmenter("cspat", options=_CSPAT, **_NETWORK | {"size": 32}),
        BALLS,
        EXPRESSION,
    ),
    "GenotypeClassifier": (
        GenotypeClassifier(["pca", "lda"], ["qda", "dt"], inner=3, preset="demo"),
        GENOTYPE.X,
        GENOTYPE.y,
    ),
    "ExpressionRegressor": (ExpressionRegressor(), PANEL.X, PANEL.y),
    "ClinicalClassifier": (ClinicalClassifier("sex_smoking"), GENOTYPE.X, GENOTYPE.y),
}


def answers(model, X):
    """Return a prediction per row that can be compared to the bit."""
    if hasattr(model, "predict_proba"):
        return list(model.predict_proba(X))
    if hasattr(model, "predict_expression") and model.panel_ is not None:
        return list(model.predict(X))
    if isinstance(model, ExpressionRegressor):
        return list(model.predict(X))
    return [mask.array for mask in model.predict(X)]


def equal(a, b, **close):
    assert len(a) == len(b)
    for one, other in zip(a, b):
        np.testing.assert_allclose(one, other, **{"rtol": 0, "atol": 0} | close)


@pytest.fixture(scope="module", params=ESTIMATED)
def estimated(request):
    """A fitted estimator, its rows and labels, and what they were before the fit."""
    estimator, X, y = ESTIMATED[request.param]
    before, state = (deepcopy(X), deepcopy(y), deepcopy(estimator.get_params())), torch.get_rng_state()
    with pytest.raises(NotFittedError):
        estimator.predict(X)
    model = clone(estimator)
    assert model.fit(X, y) is model
    assert torch.equal(torch.get_rng_state(), state)
    return model, X, y, before


def test_every_kind_of_model_is_tested_here():
    ours = {name for name, module in ESTIMATORS.items() if module.startswith("mmfusion.")}  # not of tests
    assert set(ESTIMATED) == ours


def test_a_fit_leaves_its_parameters_and_its_inputs_as_they_were(estimated):
    model, X, y, (table, labels, params) = estimated
    assert model.get_params() == params == clone(model).get_params()
    assert type(model)(**model.get_params(deep=False)).get_params() == params
    assert list(X.index) == list(table.index) and X.columns.equals(table.columns)
    for now, then in ((X, table), (pd.DataFrame(y), pd.DataFrame(labels))):
        for a, b in zip(now.to_numpy().ravel(), then.to_numpy().ravel()):
            assert np.array_equal(getattr(a, "array", a), getattr(b, "array", b)) or (
                pd.isna(a) and pd.isna(b)
            )
    with pytest.raises(ValueError, match="speed"):
        clone(model).set_params(speed=1)


def test_one_seed_gives_one_model(estimated):
    model, X, y, _ = estimated
    equal(answers(clone(model).fit(X, y), X[:2]), answers(model, X[:2]))


def test_company_and_order_of_patients_do_not_matter(estimated):
    model, X, *_ = estimated
    together = answers(model, X[:3])
    equal(answers(model, X[:3][::-1])[::-1], together, atol=1e-6)
    equal([answers(model, X.iloc[[k]])[0] for k in range(3)], together, atol=1e-6)


def test_a_saved_model_is_the_same_after_loading(estimated, tmp_path):
    model, X, *_ = estimated
    assert model.save(tmp_path / "model") is model
    loaded = mf.load(tmp_path / "model")
    assert type(loaded) is type(model) and loaded.get_params() == model.get_params()
    equal(answers(loaded, X[:2]), answers(model, X[:2]))
