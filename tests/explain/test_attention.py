"""Attention over gene edges and over modalities: the weights are those that the network uses."""

import numpy as np
import pytest
import torch

from mmfusion.errors import DataError
from mmfusion.explain.attention import OWN, gene_edges, modality_attention
from mmfusion.nn.layers.attention import Attention
from mmfusion.nn.layers.gatv2 import RegularGATv2, UnionGATv2
from tests.explain.models import G, fusion_model, linear_model, rows

RING = np.array([[1, 2, 3, 0, 2, 3, 0, 1], [0, 1, 2, 3, 0, 1, 2, 3]])


@pytest.mark.parametrize("kind", [RegularGATv2, UnionGATv2])
def test_weights_of_edges_are_those_of_the_layer(kind):
    torch.manual_seed(0)
    layer = kind(RING, np.ones(8, np.float32), 4, in_features=3, out_features=5, heads=2)
    x = torch.randn(6, 4, 3)
    with torch.no_grad():
        weights, (source, target) = layer.weights(x), layer.edges
        conv = getattr(layer, "conv", layer)
        features = conv.lin_l(x).unflatten(2, (2, 5))[:, source] * weights[..., None]
        out = torch.zeros(6, 4, 2, 5).index_add(1, target, features).flatten(2) + conv.bias
        torch.testing.assert_close(out, layer(x))
    assert {tuple(e) for e in layer.edges.T.tolist()} == {tuple(e) for e in RING.T.tolist()}


def test_weights_of_tokens_are_those_of_the_layer():
    torch.manual_seed(0)
    layer, x = Attention(8, heads=2), torch.randn(3, 5, 8)
    allowed = torch.rand(3, 5, 5) < 0.5
    allowed[:, range(5), range(5)] = True
    with torch.no_grad():
        weights = layer.weights(x, allowed)
        value = layer.qkv(x).chunk(3, dim=2)[2].unflatten(2, (2, 4)).transpose(1, 2)
        out = layer.out((weights @ value).transpose(1, 2).flatten(2))
        torch.testing.assert_close(out, layer(x, allowed))
    assert (weights.amax(1)[~allowed] == 0).all()


@pytest.mark.parametrize("members", [1, 2])
def test_edges_of_genes(members):
    X = rows(7, scan=False)
    table = gene_edges(fusion_model(members=members, scan=False), X)
    assert list(table.columns) == ["source", "target", "weight", "sd", "ratio"]
    assert len(table) == 2 * G and table["ratio"].is_monotonic_decreasing
    np.testing.assert_allclose(table.groupby("target")["weight"].sum(), 1, atol=1e-6)  # a gene's neighbours
    np.testing.assert_allclose(table["ratio"], 2 * table["weight"], atol=1e-6)
    number = table[["source", "target"]].map(lambda gene: int(gene[1:]))
    assert set((number["source"] - number["target"]) % G) == {1, G - 1}  # the ring
    assert gene_edges(fusion_model(members=members, scan=False), X, n=3).equals(table[:3])


def test_the_mean_is_over_networks():
    X = rows(5, scan=False)
    both, first = fusion_model(members=2, scan=False), fusion_model(members=2, scan=False)
    second = fusion_model(members=2, scan=False)
    first.module_.members, second.module_.members = first.module_.members[:1], second.module_.members[1:]
    key = ["source", "target"]
    one, two, mean = (gene_edges(m, X).set_index(key)["weight"] for m in (first, second, both))
    np.testing.assert_allclose(mean, (one + two).reindex(mean.index) / 2, atol=1e-6)
    mean = modality_attention(both, X)
    np.testing.assert_allclose(
        mean, (modality_attention(first, X) + modality_attention(second, X)) / 2, atol=1e-6
    )


def test_modalities():
    X = rows(9, missing=0.4)
    table = modality_attention(fusion_model(), X)
    assert list(table.columns) == [OWN, "ct", "rna", "ehr"] and list(table.index) == X.index
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-6)
    assert not X.present.all() and (table[["ct", "rna", "ehr"]].to_numpy()[~X.present] == 0).all()
    assert (table.to_numpy()[:, 1:][X.present] > 0).all()
    assert sum(table.attrs["even"].values()) == pytest.approx(1)
    assert table.attrs["even"]["rna"] > table.attrs["even"]["ehr"]  # it has more tokens


def test_a_model_without_attention():
    X = rows(3, scan=False)
    with pytest.raises(DataError, match="no attention over modalities") as raised:
        modality_attention(fusion_model("concat", scan=False), X)
    assert (raised.value.expected, raised.value.got) == ("crossmodal", "Concat")
    with pytest.raises(DataError, match="no attention over modalities"):
        modality_attention(linear_model(), X)
    with pytest.raises(DataError, match="no graph attention"):
        gene_edges(linear_model(), X)


@pytest.mark.parametrize("n", [-1, 1.5])
def test_a_number_of_edges_that_is_not_whole(n):
    with pytest.raises(DataError, match="parameter n: out of range"):
        gene_edges(linear_model(), rows(3, scan=False), n=n)


def test_without_patients_there_are_no_weights():
    with pytest.raises(DataError, match="no patient to explain"):
        modality_attention(fusion_model(), rows(3).rows([]))
