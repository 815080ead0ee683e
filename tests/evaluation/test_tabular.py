"""Models of tables that the benchmark compares with."""

import sys

import numpy as np
import pytest
from sklearn.base import clone

from mmfusion.errors import MMFusionError
from mmfusion.evaluation import tabular
from mmfusion.metrics import macro_auc
from tests.cohorts import tiny_cohort

MODELS = {
    "elastic_net": tabular.elastic_net,
    "boosting": tabular.boosting,
    "catboost": tabular.catboost,
    "tabm": tabular.tabm,
}


@pytest.fixture(scope="module")
def halves():
    cohort = tiny_cohort(n=160)
    X, y = cohort.X, cohort.y
    return X[:110], y[:110], X[110:], y[110:]


@pytest.mark.parametrize("name", MODELS)
def test_each_model_learns_keeps_the_protocol_and_repeats_itself(name, halves):
    pytest.importorskip({"catboost": "catboost", "tabm": "tabm"}.get(name, "sklearn"))
    X, y, other, truth = halves
    model = MODELS[name](random_state=3).fit(X, y)
    proba = model.predict_proba(other)
    assert proba.shape == (len(other), y.nunique()) and np.allclose(proba.sum(axis=1), 1)
    assert set(model.predict(other)) <= set(y) and model.predict(other).shape == (len(other),)
    assert macro_auc(truth.astype(str), proba, list(model.classes_)) > 0.6
    again = clone(model).fit(X, y).predict_proba(other)
    assert np.array_equal(again, proba)


@pytest.mark.parametrize(("name", "package"), [("catboost", "catboost"), ("tabm", "tabm")])
def test_without_the_optional_package_the_error_says_what_to_install(name, package, halves, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MMFusionError, match=r"not installed.*mmfusion\[benchmark\]"):
        MODELS[name]().fit(*halves[:2])
