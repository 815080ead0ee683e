"""Graph attention (GATv2) over genes, one graph for the whole batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class RegularGATv2(nn.Module):
    """GATv2 where every node has k in-neighbours."""

    def __init__(self, neighbours, weights, in_features: int, out_features: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        width = heads * out_features
        self.lin_l, self.lin_r = nn.Linear(in_features, width), nn.Linear(in_features, width)
        self.lin_edge = None if weights is None else nn.Linear(1, width, bias=False)
        self.att = nn.Parameter(torch.empty(1, heads, out_features))
        self.bias = nn.Parameter(torch.zeros(width))
        for w in (self.lin_l.weight, self.lin_r.weight, self.att):
            nn.init.xavier_uniform_(w)
        nn.init.zeros_(self.lin_l.bias), nn.init.zeros_(self.lin_r.bias)
        self.register_buffer("neighbours", torch.as_tensor(neighbours), persistent=False)
        self.register_buffer("weights", None if weights is None else torch.as_tensor(weights), persistent=False)

    def forward(self, x):
        b, g, _ = x.shape
        xl, xr = self.lin_l(x), self.lin_r(x)
        xj = xl[:, self.neighbours].unflatten(-1, (self.heads, -1))
        s = xj + xr.unflatten(-1, (self.heads, -1))[:, :, None]
        if self.lin_edge is not None:
            s = s + self.lin_edge(self.weights[..., None].to(x.dtype)).unflatten(-1, (self.heads, -1))
        a = (nn.functional.leaky_relu(s, 0.2) * self.att).sum(-1).softmax(2)
        return (xj * a[..., None]).sum(2).flatten(2) + self.bias


class UnionGATv2(nn.Module):
    """PyG's layer on the disjoint union of the batch."""

    def __init__(self, edge_index, edge_weight, n_nodes, in_features: int, out_features: int, heads: int) -> None:
        super().__init__()
        from torch_geometric.nn import GATv2Conv

        self.n_nodes = n_nodes
        self.conv = GATv2Conv(in_features, out_features, heads, add_self_loops=False, edge_dim=None if edge_weight is None else 1)
        self.register_buffer("edge_index", torch.as_tensor(edge_index), persistent=False)
        self.register_buffer("edge_weight", None if edge_weight is None else torch.as_tensor(edge_weight), persistent=False)
        self._union = None

    def forward(self, x):
        b, g, _ = x.shape
        e = self.edge_index.shape[1]
        if self._union is None or len(self._union[0][0]) < b * e:
            off = torch.arange(b).repeat_interleave(e) * g
            self._union = (self.edge_index.repeat(1, b) + off, None if self.edge_weight is None else self.edge_weight.repeat(b))
        ei, ew = self._union
        return self.conv(x.reshape(b * g, -1), ei[:, : b * e], None if ew is None else ew[: b * e].to(x.dtype)).view(b, g, -1)


def graph_attention(edge_index, edge_weight, n_nodes, in_features, out_features, heads):
    if edge_index is None:
        return RegularGATv2(np.arange(n_nodes)[:, None], None, in_features, out_features, heads)
    order = np.argsort(edge_index[1], kind="stable")
    counts = np.bincount(edge_index[1], minlength=n_nodes)
    if counts.min() == counts.max():
        shape = (n_nodes, counts[0])
        return RegularGATv2(
            edge_index[0][order].reshape(shape),
            None if edge_weight is None else edge_weight[order].reshape(shape).astype(np.float32),
            in_features, out_features, heads,
        )
    return UnionGATv2(edge_index, edge_weight, n_nodes, in_features, out_features, heads)
