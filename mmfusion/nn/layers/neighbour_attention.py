"""Arithmetic of GATv2 on a graph with k in-neighbours per node, forward and backward.

If all messages (patients, nodes, k, channels) were stored, memory bandwidth would limit the speed. Therefore
the batch is processed in chunks that fit the processor's cache, and each chunk one neighbour at a time:
gather rows, add, leaky ReLU, and a product with a thin matrix for the dot products. Weighted sums over
neighbours use `embedding_bag`, which gathers, scales and adds without storing. The backward pass recomputes
the messages instead of reading them from memory. It uses the transposed graph, so that it adds rows instead
of scattering them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

_CHUNK = 2**16  # numbers in the node features of a chunk; a few such arrays fit into a core's cache


class NeighbourAttention(torch.autograd.Function):
    """Attention of each node over its k in-neighbours, with first derivatives only.

    `apply(source, target, edge, att, slope, neighbours, back, back_ptr)` returns a tensor of shape (b, G, H *
    C): sum_j alpha_j source[n_j], with alpha = softmax over j of att . leaky_relu(source[n_j] + target +
    edge_j).

    Parameters
    ----------
    source, target : Tensor, shape (b, G, H * C)
        Projected features of a node as a neighbour of others, and as the node that attends.
    edge : Tensor, shape (k, G, H * C), or None
        Projected features of the edge from the j-th neighbour, the same for all patients.
    att : Tensor, shape (H, C)
        Attention vector of each head.
    slope : float
        Negative slope of the leaky ReLU.
    neighbours : Tensor of int64, shape (k, G)
        Index of the j-th in-neighbour of each node.
    back, back_ptr : Tensor of int64, shapes (2, k * G * H) and (G * H,)
        Transposed graph, from `transpose_lists`.

    Examples
    --------
    >>> neighbours, source = np.array([[1, 0]]), torch.tensor([[[1.0], [2.0]]])  # two nodes, b = H = C = 1
    >>> back, back_ptr = map(torch.as_tensor, transpose_lists(neighbours, heads=1))
    >>> graph = (torch.ones(1, 1), 0.2, torch.as_tensor(neighbours), back, back_ptr)
    >>> NeighbourAttention.apply(source, torch.zeros(1, 2, 1), None, *graph).tolist()
    [[[2.0], [1.0]]]
    """

    @staticmethod
    def forward(ctx, source, target, edge, att, slope, neighbours, back, back_ptr):
        """Compute the attention; see the class."""
        source, target = source.contiguous(), target.contiguous()
        (heads, channels), (k, nodes) = att.shape, neighbours.shape
        dot = torch.block_diag(
            *att
        ).T.contiguous()  # (H * C, H): the dot products of all heads in one product
        chunks, lists = _chunks(source), {}
        out, alphas = torch.empty_like(source), []
        work = source[chunks[0]].flatten(0, 1).clone()
        for rows in chunks:
            src, dst = source[rows].flatten(0, 1), target[rows].flatten(0, 1)
            n, message = len(src), work[: len(src)]
            index, flat, ptr = lists.get(n) or lists.setdefault(n, _incoming(neighbours, n // nodes, heads))
            logits = src.new_empty(k, n, heads)
            for j in range(k):
                torch.index_select(src, 0, index[j], out=message)
                _add(message, dst, edge, j)
                torch.mm(nn.functional.leaky_relu_(message, slope), dot, out=logits[j])
            alphas.append(logits.softmax(0))
            summed = _sums(src.view(-1, channels), flat, ptr, alphas[-1].permute(1, 2, 0).flatten())
            out[rows] = summed.view(-1, nodes, heads * channels)
        ctx.save_for_backward(source, target, edge, att, out, neighbours, back, back_ptr, *alphas)
        ctx.slope = slope
        return out

    @staticmethod
    def backward(ctx, grad):
        """Compute the gradients of source, target, edge and att."""
        if torch.is_grad_enabled():  # an error, because second derivatives would be wrong
            raise NotImplementedError("second derivatives of graph attention are not implemented")
        source, target, edge, att, out, neighbours, back, back_ptr, *alphas = ctx.saved_tensors
        (heads, channels), (k, nodes) = att.shape, neighbours.shape
        grad, scale = grad.contiguous(), att.flatten()
        spread = torch.block_diag(*torch.ones_like(att))  # (H, H * C)
        collect = spread.T.contiguous()
        d_source, d_target, d_att = (
            torch.empty_like(source),
            torch.empty_like(target),
            torch.zeros_like(scale),
        )
        d_edge = None if edge is None else torch.zeros_like(edge)
        chunks, lists = _chunks(source), {}
        work = source.new_empty(k + 2, *source[chunks[0]].flatten(0, 1).shape).flatten()
        for rows, alpha in zip(chunks, alphas, strict=True):
            src, dst, g = source[rows].flatten(0, 1), target[rows].flatten(0, 1), grad[rows].flatten(0, 1)
            n = len(src)
            if n not in lists:
                lists[n] = (
                    _incoming(neighbours, n // nodes, heads)[0],
                    *_outgoing(back, back_ptr, n // nodes, k),
                )
            index, edges, destinations, ptr = lists[n]
            buffers = work[: (k + 2) * src.numel()].view(k + 2, *src.shape)
            # slopes: d_logit leaky_relu'(message), which is the gradient of each message divided by att
            message, product, slopes = buffers[0], buffers[1], buffers[2:]
            # mean: sum_j alpha_j d_alpha_j
            mean = torch.mm(torch.mul(g, out[rows].flatten(0, 1), out=product), collect)
            for j in range(k):
                torch.index_select(src, 0, index[j], out=message)
                d_logit = torch.mm(torch.mul(message, g, out=product), collect).sub_(mean).mul_(alpha[j])
                _add(message, dst, edge, j)
                torch.mm(d_logit, spread, out=product)
                _leaky_relu_backward(product, message, ctx.slope, False, grad_input=slopes[j])  # noqa: FBT003
            to_source = _sums(slopes.view(-1, channels), edges, ptr).view_as(src)
            direct = _sums(g.view(-1, channels), destinations, ptr, alpha.flatten()[edges]).view_as(src)
            to_target = torch.sum(slopes, 0, out=message)
            d_att += torch.mul(to_source, src, out=product).sum(0)
            d_att += torch.mul(to_target, dst, out=product).sum(0)
            if edge is not None:
                d_edge += slopes.view(k, -1, *edge.shape[1:]).sum(1)
            d_source[rows] = direct.addcmul_(to_source, scale).view(-1, nodes, len(scale))
            torch.mul(to_target, scale, out=d_target[rows].flatten(0, 1))
        if edge is not None:
            d_att += (d_edge * edge).sum((0, 1))
            d_edge *= scale
        return d_source, d_target, d_edge, d_att.view_as(att), None, None, None, None


def plain_neighbour_attention(
    source: torch.Tensor,
    target: torch.Tensor,
    edge: torch.Tensor | None,
    att: torch.Tensor,
    slope: float,
    neighbours: torch.Tensor,
    known: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute what `NeighbourAttention` computes with ordinary operators, which ONNX has.

    It stores a message per edge, and is slower. It also takes graphs whose nodes have different numbers of
    in-neighbours, by a mask.

    Parameters
    ----------
    source, target, edge, att, slope, neighbours
        As in `NeighbourAttention`; a node with fewer than k in-neighbours repeats any node in the free
        places.
    known : Tensor of bool, shape (k, G), optional
        The places that hold an in-neighbour; default all. A node without any gives zeros.

    Returns
    -------
    Tensor, shape (b, G, H * C)

    Examples
    --------
    >>> source, neighbours = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[1, 0]])  # b = k = H = C = 1
    >>> plain_neighbour_attention(source, source, None, torch.ones(1, 1), 0.2, neighbours).tolist()
    [[[2.0], [1.0]]]
    """
    alpha, shown = _attend(source, target, edge, att, slope, neighbours, known)
    return (alpha[..., None] * shown).sum(1).flatten(2)


def neighbour_weights(
    source: torch.Tensor,
    target: torch.Tensor,
    edge: torch.Tensor | None,
    att: torch.Tensor,
    slope: float,
    neighbours: torch.Tensor,
) -> torch.Tensor:
    """Return the weight that each node gives to each of its in-neighbours, shape (b, k, G, H).

    The arguments are those of `NeighbourAttention`. The weights of a node add up to 1.

    Examples
    --------
    >>> source, neighbours = torch.zeros(1, 2, 1), torch.tensor([[1, 0], [0, 1]])  # two nodes, k = 2
    >>> neighbour_weights(source, source, None, torch.ones(1, 1), 0.2, neighbours)[0, :, 0, 0].tolist()
    [0.5, 0.5]
    """
    return _attend(source, target, edge, att, slope, neighbours)[0]


def _attend(
    source: torch.Tensor,
    target: torch.Tensor,
    edge: torch.Tensor | None,
    att: torch.Tensor,
    slope: float,
    neighbours: torch.Tensor,
    known: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights (b, k, G, H) and the features of the in-neighbours (b, k, G, H, C)."""
    (k, nodes), (heads, channels) = neighbours.shape, att.shape
    shown = source[:, neighbours.flatten()].reshape(-1, k, nodes, heads, channels)
    message = shown + target.reshape(-1, 1, nodes, heads, channels)
    if edge is not None:
        message = message + edge.reshape(1, k, nodes, heads, channels)
    logits = (nn.functional.leaky_relu(message, slope) * att).sum(-1)
    if known is None:
        alpha = logits.softmax(1)
    else:
        there = known[None, :, :, None]
        alpha = torch.where(there, logits, torch.finfo(logits.dtype).min).softmax(1) * there
    return alpha, shown


def transpose_lists(neighbours: np.ndarray, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """List the edges that leave each node, once per head, for the backward pass of `NeighbourAttention`.

    Parameters
    ----------
    neighbours : ndarray of int, shape (k, G)
        Index of the j-th in-neighbour of each node.
    heads : int
        Number of attention heads, H.

    Returns
    -------
    back : ndarray of int64, shape (2, k * G * H)
        Edges sorted by (source, head). Row 0 is the position j of the source among the in-neighbours of the
        destination, row 1 is destination * H + head.
    back_ptr : ndarray of int64, shape (G * H,)
        Position of the first edge of each (source, head).

    Examples
    --------
    >>> back, back_ptr = transpose_lists(np.array([[1, 0, 0]]), heads=1)
    >>> back.tolist(), back_ptr.tolist()
    ([[0, 0, 0], [1, 2, 0]], [0, 2, 3])
    """
    nodes = neighbours.shape[1]
    key = (neighbours[:, :, None] * heads + np.arange(heads)).ravel()
    order = np.argsort(key, kind="stable")
    counts = np.bincount(key, minlength=nodes * heads)
    back = np.stack([order // (nodes * heads), order % (nodes * heads)])
    return back.astype(np.int64), (np.cumsum(counts) - counts).astype(np.int64)


_leaky_relu_backward = torch.ops.aten.leaky_relu_backward.grad_input


def _chunks(x: torch.Tensor) -> list[slice]:
    """Return slices of a few patients each; the first slice is the largest."""
    step = max(_CHUNK // (x.shape[1] * x.shape[2]), 1)
    return [slice(start, min(start + step, len(x))) for start in range(0, len(x), step)]


def _incoming(neighbours: torch.Tensor, copies: int, heads: int) -> tuple[torch.Tensor, ...]:
    """Return the in-neighbours of the nodes of several patients, which are stacked as n rows.

    The result is the row of each j-th neighbour, shape (k, n); lists of (row, head) for `_sums`; and their
    starts.
    """
    k, nodes = neighbours.shape
    copy, head = (torch.arange(n, device=neighbours.device) for n in (copies, heads))
    index = (neighbours[:, None] + copy[:, None] * nodes).flatten(1)
    flat = (index.T[:, None] * heads + head[:, None]).flatten()
    return index, flat, torch.arange(0, len(flat), k, device=flat.device)


def _outgoing(back: torch.Tensor, ptr: torch.Tensor, copies: int, k: int) -> tuple[torch.Tensor, ...]:
    """Return lists by source (row, head): edges (j, row, head), destinations (row, head), and starts."""
    copy = torch.arange(copies, device=back.device)[:, None]
    size = back.shape[1] // k
    destinations = (back[1] + copy * size).flatten()
    edges = (back[0] * (copies * size)).repeat(copies) + destinations
    return edges, destinations, (ptr + copy * back.shape[1]).flatten()


def _add(message: torch.Tensor, target: torch.Tensor, edge: torch.Tensor | None, j: int) -> None:
    message.add_(target)
    if edge is not None:
        message.view(-1, *edge.shape[1:]).add_(edge[j])


def _sums(
    rows: torch.Tensor, lists: torch.Tensor, ptr: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the sum of (weighted) rows for each list; an empty list gives zeros."""
    return torch.embedding_bag(rows, lists, ptr, False, 0, False, weights)[0]  # noqa: FBT003
