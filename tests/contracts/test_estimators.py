"""Contract of every registered fusion as an estimator, from a cohort's frame to a bundle."""

from itertools import combinations

import numpy as np
import pytest
import torch

import mmfusion as mf
from mmfusion.registry import list_fusions
from tests.cohorts import tiny_cohort

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
