"""Agreement of the four ways to measure the genes of a model."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mmfusion.errors import DataError
from mmfusion.explain import METHODS, cross_check, gene_shap, integrated_gradients
from mmfusion.explain.permutation import gene_permutation
from tests.explain.models import CLASSES, G, linear_model, rows


def test_methods_agree_on_a_model_that_is_known():
    X = rows(12, scan=False)
    y = CLASSES[np.arange(12) % 3]
    table = cross_check(linear_model(), X, y, n_samples=100, n_steps=20)
    assert len(table) == G and list(table.columns) == [*METHODS, "rho_mean", "rho_gradients"]
    assert table["shap_observed"].is_monotonic_decreasing
    for method in METHODS[:3]:
        assert set(table[method].nlargest(2).index) == {"G0", "G1"}
    assert table.loc[["G0", "G1"], "permutation"].abs().min() > 0
    assert (table.loc[["G0", "G1"], ["rho_mean", "rho_gradients"]] > 0.8).all(axis=None)
    unused = table.drop(["G0", "G1"])
    assert unused["permutation"].abs().max() == 0
    shap = gene_shap(linear_model(), X, n_samples=100).values[:, 0, 2]
    gradients = integrated_gradients(linear_model(), X, n_steps=20).values[:, 0, 2]
    assert table.loc["G0", "rho_gradients"] == pytest.approx(spearmanr(shap, gradients).statistic)


def test_one_patient_has_no_correlation():
    table = cross_check(linear_model(), rows(1, scan=False), ["I"], n_samples=5, n_steps=5, n_repeats=1)
    assert table[["rho_mean", "rho_gradients"]].isna().all(axis=None)


def test_labels_of_other_patients_are_refused():
    X = rows(4, scan=False)
    y = pd.Series(["I", "II", "III", "I"], list(X.index))
    with pytest.raises(DataError, match="X and y are not about the same patients"):
        cross_check(linear_model(), X, y[::-1])
    with pytest.raises(DataError, match=r"not one label for each explained patient .*expected 4"):
        cross_check(linear_model(), X, ["I", "II"])


def test_one_patient_cannot_exchange_values():
    model = linear_model()
    assert gene_permutation(model, rows(1, scan=False), ["I"]).isna().all()
    with pytest.raises(DataError, match=r"not among the classes .*got 'IV'"):
        gene_permutation(model, rows(1, scan=False), ["IV"])
    with pytest.raises(DataError, match="parameter random_state: out of range"):
        gene_permutation(model, rows(2, scan=False), ["I", "II"], random_state=-1)
