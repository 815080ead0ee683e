"""Graph attention layers (GATv2) for a batch of patients that share one graph."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch_geometric.nn import GATv2Conv

from mmfusion.nn.layers.neighbour_attention import (
    NeighbourAttention,
    neighbour_weights,
    plain_neighbour_attention,
    transpose_lists,
)

_SLOPE = 0.2  # negative slope of the leaky ReLU, as in the paper


def graph_attention(
    edge_index: np.ndarray | None,
    edge_weight: np.ndarray | None,
    n_nodes: int,
    in_features: int,
    out_features: int,
    heads: int,
) -> nn.Module:
    """Build a GATv2 layer for a graph, which maps (b, G, in_features) to (b, G, heads * out_features).

    Parameters
    ----------
    edge_index : ndarray of int64, shape (2, E), or None
        Row 0 is the source, row 1 is the destination. None makes every node its own only neighbour, so that
        each node is mapped separately.
    edge_weight : ndarray, shape (E,), optional
        Weights of the edges, an input of the attention.
    n_nodes : int
        Number of nodes, G.
    in_features, out_features, heads : int
        Width of the input, width of each head's output, number of attention heads.

    Returns
    -------
    nn.Module
        `RegularGATv2` if all nodes have the same number of in-neighbours, else `UnionGATv2`.

    Examples
    --------
    >>> layer = graph_attention(np.array([[1, 0], [0, 1]]), None, 2, in_features=3, out_features=4, heads=2)
    >>> type(layer).__name__, layer(torch.zeros(5, 2, 3)).shape
    ('RegularGATv2', torch.Size([5, 2, 8]))
    """
    if edge_index is None:
        edge_index, edge_weight = np.tile(np.arange(n_nodes), (2, 1)), None
    degree = np.bincount(edge_index[1], minlength=n_nodes)
    regular = degree.min() == degree.max() > 0
    kind = RegularGATv2 if regular else UnionGATv2
    return kind(edge_index, edge_weight, n_nodes, in_features, out_features, heads)


class RegularGATv2(nn.Module):
    """GATv2 layer for a graph in which every node has k in-neighbours.

    The result equals that of PyG's layer, and the layer is several times faster. No self-loops are added.
    Heads are concatenated. The parameters have the names and shapes of PyG's `GATv2Conv`, so that state dicts
    can be exchanged.

    Parameters
    ----------
    edge_index : ndarray of int64, shape (2, E)
        Row 0 is the source, row 1 is the destination.
    edge_weight : ndarray, shape (E,), optional
        One feature per edge (`edge_dim=1` in PyG).
    n_nodes, in_features, out_features, heads : int
        Number of nodes, G; width of the input; width of each head's output; number of attention heads.

    References
    ----------
    Brody et al. 2022, "How attentive are graph attention networks?", ICLR.

    Examples
    --------
    >>> ring = np.array([[0, 1, 2], [1, 2, 0]])  # each node has one in-neighbour
    >>> layer = RegularGATv2(ring, None, 3, in_features=4, out_features=8, heads=2)
    >>> layer(torch.zeros(5, 3, 4)).shape
    torch.Size([5, 3, 16])
    """

    def __init__(
        self,
        edge_index: np.ndarray,
        edge_weight: np.ndarray | None,
        n_nodes: int,
        in_features: int,
        out_features: int,
        heads: int,
    ) -> None:
        super().__init__()
        width = heads * out_features
        self.lin_l, self.lin_r = nn.Linear(in_features, width), nn.Linear(in_features, width)
        self.lin_edge = None if edge_weight is None else nn.Linear(1, width, bias=False)
        self.att = nn.Parameter(torch.empty(1, heads, out_features))
        self.bias = nn.Parameter(torch.zeros(width))
        self.reset_parameters()
        order = np.argsort(edge_index[1], kind="stable")
        neighbours = edge_index[0][order].reshape(n_nodes, -1).T.copy()  # (k, G)
        self.register_buffer("neighbours", torch.as_tensor(neighbours), persistent=False)
        for name, array in zip(("back", "back_ptr"), transpose_lists(neighbours, heads), strict=True):
            self.register_buffer(name, torch.as_tensor(array), persistent=False)
        weight = None if edge_weight is None else edge_weight[order].reshape(n_nodes, -1).T.copy()
        weight = None if weight is None else torch.as_tensor(weight, dtype=torch.get_default_dtype())
        self.register_buffer("edge_weight", weight, persistent=False)

    def reset_parameters(self) -> None:
        """Set Glorot weights and zero biases, as PyG's layer does."""
        for linear in filter(None, (self.lin_l, self.lin_r, self.lin_edge)):
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        nn.init.xavier_uniform_(self.att)
        nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the new features of the nodes, shape (b, G, heads * out_features)."""
        graph = self._graph(x)
        if torch.compiler.is_exporting():
            return plain_neighbour_attention(*graph) + self.bias
        return NeighbourAttention.apply(*graph, self.back, self.back_ptr) + self.bias

    @property
    def edges(self) -> torch.Tensor:
        """Source and destination of each edge, shape (2, E), in the order of `weights`."""
        k, n = self.neighbours.shape
        return torch.stack([self.neighbours.flatten(), torch.arange(n).repeat(k)])

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return the attention weight of each edge, shape (b, E, heads), for `x` as in `forward`."""
        return neighbour_weights(*self._graph(x)).flatten(1, 2)

    def _graph(self, x: torch.Tensor) -> tuple:
        """Return the arguments of the attention that depend on `x`, and the graph."""
        edge = None if self.lin_edge is None else self.lin_edge(self.edge_weight[:, :, None])
        projected = (self.lin_l(x), self.lin_r(x), edge)
        # autocast gives the projections 16 bits; the attention needs one number format
        source, target, edge = (None if p is None else p.to(self.att.dtype) for p in projected)
        return source, target, edge, self.att[0], _SLOPE, self.neighbours


class UnionGATv2(nn.Module):
    """GATv2 layer for any graph: PyG's layer on the disjoint union of the patients' graphs.

    The edges of the union are built once and kept.

    Parameters
    ----------
    edge_index, edge_weight, n_nodes, in_features, out_features, heads
        As in `RegularGATv2`.

    Examples
    --------
    >>> star = np.array([[1, 2], [0, 0]])  # node 0 has two in-neighbours, the others have none
    >>> layer = UnionGATv2(star, None, 3, in_features=4, out_features=8, heads=2)
    >>> layer(torch.zeros(5, 3, 4)).shape
    torch.Size([5, 3, 16])
    """

    def __init__(
        self,
        edge_index: np.ndarray,
        edge_weight: np.ndarray | None,
        n_nodes: int,
        in_features: int,
        out_features: int,
        heads: int,
    ) -> None:
        super().__init__()
        edge_dim = None if edge_weight is None else 1
        self.conv = GATv2Conv(in_features, out_features, heads, add_self_loops=False, edge_dim=edge_dim)
        self.n_nodes = n_nodes
        weight = (
            None if edge_weight is None else torch.as_tensor(edge_weight, dtype=torch.get_default_dtype())
        )
        self.register_buffer("union", torch.as_tensor(edge_index), persistent=False)
        self.register_buffer("edge_weight", weight, persistent=False)
        self.n_edges = edge_index.shape[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the new features of the nodes, shape (b, G, heads * out_features)."""
        if torch.compiler.is_exporting():
            return self._plain(x)
        b = len(x)
        edges = self._edges(b)
        weight = None if self.edge_weight is None else self.edge_weight.repeat(b)
        return self.conv(x.flatten(0, 1), edges, weight).unflatten(0, (b, self.n_nodes))

    @property
    def edges(self) -> torch.Tensor:
        """Source and destination of each edge, shape (2, E), in the order of `weights`."""
        return self.union[:, : self.n_edges]

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return the attention weight of each edge, shape (b, E, heads), for `x` as in `forward`."""
        b = len(x)
        weight = None if self.edge_weight is None else self.edge_weight.repeat(b)
        graph = (x.flatten(0, 1), self._edges(b), weight)
        return self.conv(*graph, return_attention_weights=True)[1][1].unflatten(0, (b, self.n_edges))

    def _plain(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the same with ordinary operators, on lists of in-neighbours of one length."""
        source, destination = self.union[:, : self.n_edges].cpu().numpy()
        neighbours, edges, known = padded_lists(source, destination, self.n_nodes)
        places = [torch.as_tensor(a, device=x.device) for a in (neighbours, edges, known)]
        weights = None if self.edge_weight is None else self.conv.lin_edge(self.edge_weight[places[1], None])
        layer = self.conv
        graph = (layer.lin_l(x), layer.lin_r(x), weights, layer.att[0], _SLOPE, places[0], places[2])
        return plain_neighbour_attention(*graph) + layer.bias

    def _edges(self, b: int) -> torch.Tensor:
        """Return the edges of b copies of the graph; the largest union so far is kept."""
        if self.union.shape[1] < b * self.n_edges:
            offsets = torch.arange(b, device=self.union.device).repeat_interleave(self.n_edges) * self.n_nodes
            self.union = self.union[:, : self.n_edges].repeat(1, b) + offsets
        return self.union[:, : b * self.n_edges]


def padded_lists(
    source: np.ndarray, destination: np.ndarray, n_nodes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the in-neighbours of every node, filled up to the largest number of them.

    Parameters
    ----------
    source, destination : ndarray of int, shape (E,)
        Ends of the edges.
    n_nodes : int
        Nodes, G.

    Returns
    -------
    neighbours : ndarray of int64, shape (k, G)
        The j-th in-neighbour of each node; 0 in a free place.
    edges : ndarray of int64, shape (k, G)
        The position of that edge; 0 in a free place.
    known : ndarray of bool, shape (k, G)
        The places that hold an in-neighbour.

    Examples
    --------
    >>> padded_lists(np.array([1, 2, 0]), np.array([0, 0, 1]), 3)[0]
    array([[1, 0, 0],
           [2, 0, 0]])
    """
    degree = np.bincount(destination, minlength=n_nodes)
    order = np.argsort(destination, kind="stable")
    place = np.arange(len(order)) - np.repeat(np.cumsum(degree) - degree, degree)
    shape = (max(int(degree.max(initial=0)), 1), n_nodes)
    neighbours, edges, known = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, bool)
    at = (place, destination[order])
    neighbours[at], edges[at], known[at] = source[order], order, True
    return neighbours, edges, known
