import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from mmfusion.errors import DataError
from mmfusion.explain.gene_attribution import gene_shap, integrated_gradients
from mmfusion.explain.permutation import gene_permutation
from mmfusion.streams import StreamInputs
from tests.explain.models import CLASSES, G, fusion_model, linear_model, rows, specs

X = rows(6, scan=False)


def proba(model, inputs):
    arrays = {k: torch.as_tensor(v) for k, v in inputs.arrays.items()}
    with torch.no_grad():
        return model.module_(torch.as_tensor(inputs.present), **arrays).softmax(-1).numpy()


@pytest.mark.parametrize("conditioning", ["observed", "mean"])
def test_planted_genes_lead(conditioning):
    found = gene_shap(linear_model(), X, conditioning=conditioning)
    assert set(found.mean_abs("III").index[:2]) == {"G0", "G1"}
    np.testing.assert_allclose(found.values[:, 2:], 0, atol=1e-7)
    direction = found.table()["direction"]["III"]
    assert direction["G0"] > 0.9 and direction["G1"] < -0.9 and np.isnan(direction["G5"])


def test_nearly_linear_model_has_its_closed_form():
    # p = softmax(e z) is 1/3 + e (z - mean z) / 3 to first order, so phi = e w (x - mean background) there
    model, scale = linear_model(1e-3), 1e-3
    found = gene_shap(model, X, n_samples=1500)
    x, mean = X.arrays["rna"], model.background_.arrays["rna"].mean(axis=0)
    expected = 2 * scale * (x[:, 0] - mean[0]) * (1 / 3 - 1 / 9)
    np.testing.assert_allclose(found.values_of("III")["G0"], expected, atol=4e-5)
    exact = integrated_gradients(model, X)
    np.testing.assert_allclose(exact.values_of("III")["G0"], expected, atol=2e-6)


@pytest.mark.parametrize(
    "make",
    [linear_model, lambda: fusion_model("concat", scan=False), lambda: fusion_model(scan=False, members=2)],
)
def test_contributions_sum_to_the_prediction(make):
    model = make()
    shap, ig = gene_shap(model, X, n_samples=400), integrated_gradients(model, X, n_steps=100)
    np.testing.assert_allclose(shap.output, proba(model, X), atol=1e-6)
    assert np.abs(shap.output - shap.base).max() > 0.01  # something to explain
    assert shap.gap() < 0.05
    assert ig.gap() < 0.01


def test_methods_agree_on_a_graph_network():
    # from a single starting point, expected gradients are integrated gradients, drawn instead of stepped
    model, start = fusion_model(scan=False, seed=1), np.zeros((1, G))
    shap, ig = gene_shap(model, X, start, n_samples=500), integrated_gradients(model, X, start)
    np.testing.assert_allclose(shap.base, ig.base, atol=1e-6)
    np.testing.assert_allclose(shap.values, ig.values, atol=0.02)
    assert spearmanr(shap.values.ravel(), ig.values.ravel()).statistic > 0.9


def test_observed_and_mean_conditioning_differ_and_mean_is_of_no_patient():
    model = fusion_model(scan=False)
    observed, mean = (gene_shap(model, X, conditioning=c, n_samples=50) for c in ("observed", "mean"))
    assert np.abs(observed.values - mean.values).max() > 1e-4
    other = StreamInputs(X.arrays | {"ehr": X.arrays["ehr"] + 1}, X.present, X.index)
    np.testing.assert_array_equal(
        gene_shap(model, other, conditioning="mean", n_samples=50).values, mean.values
    )
    assert np.abs(gene_shap(model, other, n_samples=50).values - observed.values).max() > 1e-4


def test_same_seed_same_values_and_nothing_touched():
    model = fusion_model(scan=False)
    model.module_.train()
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), X.arrays["rna"].copy()  # noqa: NPY002
    weights = {k: v.clone() for k, v in model.module_.state_dict().items()}
    one, two = gene_shap(model, X, n_samples=20), gene_shap(model, X, n_samples=20)
    other = gene_shap(model, X, n_samples=20, random_state=1)
    integrated_gradients(model, X, n_steps=5)
    np.testing.assert_array_equal(one.values, two.values)
    assert np.abs(one.values - other.values).max() > 0
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
    np.testing.assert_array_equal(before[2], X.arrays["rna"])
    assert all(torch.equal(v, weights[k]) for k, v in model.module_.state_dict().items())
    assert model.module_.training and all(p.grad is None for p in model.module_.parameters())


def test_other_patients_do_not_matter():
    model = fusion_model(scan=False)
    together = gene_shap(model, X, n_samples=30)
    alone = gene_shap(
        model, StreamInputs({k: v[[0]] for k, v in X.arrays.items()}, X.present[[0]], ["P0"]), n_samples=30
    )
    np.testing.assert_allclose(together.values[0], alone.values[0], atol=1e-7)


def test_patients_without_genes_are_left_out():
    present = X.present.copy()
    present[2, 0] = False
    found = gene_shap(linear_model(), StreamInputs(X.arrays, present, X.index), n_samples=5)
    assert found.patients == ("P0", "P1", "P3", "P4", "P5")
    present[:, 0] = False
    with pytest.raises(DataError, match="no patient to explain has genes"):
        gene_shap(linear_model(), StreamInputs(X.arrays, present, X.index))


def test_some_classes_only():
    model = linear_model()
    one = gene_shap(model, X, classes=["III"], n_samples=30)
    np.testing.assert_allclose(one.values[:, :, 0], gene_shap(model, X, n_samples=30).values[:, :, 2])
    with pytest.raises(DataError, match="to class 'I'"):
        one.values_of("I")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditioning": "marginal"}, "observed or mean.*marginal"),
        ({"classes": ["IV"]}, "no such class.*IV"),
        ({"background": np.zeros((4, G + 1))}, "does not fit"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(DataError, match=message):
        gene_shap(linear_model(), X, **options)


def test_a_model_without_genes():
    model = linear_model()
    model.transformer_.specs_ = specs(scan=False)[1:]
    with pytest.raises(DataError, match=r"reads no genes .*ehr \(2, 3\)"):
        gene_shap(model, X)


def test_permutation_finds_the_planted_genes():
    model, many = linear_model(), rows(80, scan=False, seed=3)
    p = proba(model, many).astype(float)
    rng = np.random.default_rng(0)
    y = np.array([rng.choice(CLASSES, p=row / row.sum()) for row in p])
    found = gene_permutation(model, many, y, n_repeats=5)
    assert list(found.index[:2]) == ["G0", "G1"] and found["G0"] > 0.1
    np.testing.assert_allclose(found[2:], 0, atol=1e-6)


def test_a_class_that_is_no_list_is_refused():
    with pytest.raises(DataError, match=r"classes: not a list of classes \(expected \['II'\]; got 'II'\)"):
        gene_shap(linear_model(), rows(2, scan=False), classes="II")
