import numpy as np
import pytest
import torch
from torch_geometric.nn import GATv2Conv

from mmfusion.nn.layers import neighbour_attention
from mmfusion.nn.layers.gatv2 import RegularGATv2, UnionGATv2, graph_attention
from tests.nn.streams import build, knn_edges

F_IN, CHANNELS, HEADS = 5, 4, 2


def layers(genes: int, k: int, *, weighted: bool):
    """PyG's layer and ours in float64, with the same weights, and the graph."""
    edges = knn_edges(genes, k)
    weight = np.random.default_rng(1).random(edges.shape[1], dtype=np.float32) if weighted else None
    edge_dim = 1 if weighted else None
    theirs = build(lambda: GATv2Conv(F_IN, CHANNELS, HEADS, add_self_loops=False, edge_dim=edge_dim)).double()
    torch.nn.init.normal_(theirs.bias, generator=torch.Generator().manual_seed(0))
    ours = RegularGATv2(edges, weight, genes, F_IN, CHANNELS, HEADS).double()
    ours.load_state_dict(theirs.state_dict())  # the same names and shapes
    return theirs, ours, edges, weight


def union(edges, weight, genes, b):
    index = torch.as_tensor(edges).repeat(1, b) + torch.arange(b).repeat_interleave(edges.shape[1]) * genes
    return index, None if weight is None else torch.as_tensor(weight, dtype=torch.float64).repeat(b)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "edge weights"])
@pytest.mark.parametrize("chunk", [2**16, 1, 1700], ids=["one chunk", "a patient a chunk", "uneven chunks"])
@pytest.mark.parametrize(("genes", "k", "b"), [(40, 7, 5), (6, 5, 1), (9, 1, 3)])
def test_equals_pyg_forward_and_backward(monkeypatch, genes, k, b, chunk, weighted):
    monkeypatch.setattr(neighbour_attention, "_CHUNK", chunk)
    theirs, ours, edges, weight = layers(genes, k, weighted=weighted)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(b, genes, F_IN, generator=generator, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(b, genes, CHANNELS * HEADS, generator=generator, dtype=torch.float64)
    results = []
    for layer, out in [(theirs, theirs(x.flatten(0, 1), *union(edges, weight, genes, b))), (ours, ours(x))]:
        names, parameters = zip(*sorted(layer.named_parameters()), strict=True)
        out = out.view_as(upstream)
        gradients = torch.autograd.grad(out, [x, *parameters], upstream)
        results.append(dict(zip(["out", "x", *names], [out, *gradients], strict=True)))
    assert results[0].keys() == results[1].keys()
    for key, value in results[0].items():
        torch.testing.assert_close(
            results[1][key], value, rtol=0, atol=1e-10, msg=lambda m, key=key: f"{key}: {m}"
        )


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "edge weights"])
def test_gradients_are_those_of_finite_differences(weighted):
    _, ours, _, _ = layers(6, 3, weighted=weighted)
    x = torch.randn(
        2, 6, F_IN, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True
    )
    assert torch.autograd.gradcheck(ours, x, fast_mode=False)


def test_second_derivatives_are_an_error():
    _, ours, _, _ = layers(6, 3, weighted=False)
    x = torch.randn(
        2, 6, F_IN, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    with pytest.raises(NotImplementedError, match="second derivatives"):
        torch.autograd.grad(ours(x).sum(), x, create_graph=True)


def test_a_gene_that_is_no_neighbour_of_another():
    edges = np.array([[1, 2, 1, 2, 1, 2], [0, 0, 2, 1, 1, 2]])  # gene 0 is nobody's neighbour
    layer = build(lambda: RegularGATv2(edges, None, 3, F_IN, CHANNELS, HEADS))
    x = torch.randn(2, 3, F_IN, generator=torch.Generator().manual_seed(0), requires_grad=True)
    out = layer(x)
    changed = x.detach().clone()
    changed[:, 0] += 1
    assert torch.equal(layer(changed)[:, 1:], out[:, 1:])
    out.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_the_layer_suits_the_graph():
    regular, irregular = knn_edges(6, 2), np.array([[0, 1, 2, 3], [1, 2, 0, 0]])
    assert isinstance(graph_attention(regular, None, 6, 3, 4, 2), RegularGATv2)
    assert isinstance(graph_attention(irregular, None, 4, 3, 4, 2), UnionGATv2)
    assert isinstance(graph_attention(None, None, 6, 3, 4, 2), RegularGATv2)
    assert isinstance(graph_attention(np.empty((2, 0), dtype=np.int64), None, 6, 3, 4, 2), UnionGATv2)


def test_a_batch_gives_the_same_as_single_patients():
    edges = np.array([[0, 1, 2, 3, 2], [1, 2, 0, 0, 1]])
    weight = np.array([0.1, 0.9, 0.4, 0.7, 0.2], dtype=np.float32)
    layer = build(lambda: UnionGATv2(edges, weight, 4, F_IN, CHANNELS, HEADS))
    x = torch.randn(5, 4, F_IN, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([layer(row[None]) for row in x])  # grows the union from one copy to five
    torch.testing.assert_close(layer(x), alone)
    torch.testing.assert_close(layer(x[:2]), alone[:2])
    assert layer.state_dict().keys() == {f"conv.{name}" for name in layer.conv.state_dict()}


def test_without_a_graph_each_gene_is_mapped_separately():
    layer = build(lambda: graph_attention(None, None, 4, F_IN, CHANNELS, HEADS))
    x = torch.randn(2, 4, F_IN, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(x), layer.lin_l(x) + layer.bias)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "edge weights"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_runs_with_mixed_precision(weighted, dtype):
    _, ours, _, _ = layers(9, 3, weighted=weighted)
    ours = ours.float()
    x = torch.randn(2, 9, F_IN, generator=torch.Generator().manual_seed(0))
    expected = ours(x)
    with torch.autocast("cpu", dtype=dtype):
        found = ours(x)
    found.sum().backward()
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)
    assert all(torch.isfinite(p.grad).all() for p in ours.parameters())
