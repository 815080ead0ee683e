"""Time of our GATv2 layer and of PyG's on the disjoint union of the batch: forward and backward, one thread.

    python benchmarks/gene_graph.py

For each case, the script prints the medians of interleaved runs, their ratio, and the largest absolute
difference of outputs and gradients in float64. PyG's union of edges is built beforehand and not timed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch_geometric.nn import GATv2Conv

from mmfusion.nn.layers.gatv2 import RegularGATv2

FEATURES, CHANNELS, HEADS, K = 9, 16, 2, 10
CASES = [
    (2000, 16, False),
    (2000, 16, True),
    (500, 16, True),
    (200, 32, True),
]  # genes, patients, edge weights
RUNS = 9


def pair(genes: int, patients: int, *, weighted: bool, dtype: torch.dtype) -> tuple[Callable, Callable]:
    """Return steps of PyG's layer and of ours with equal weights; each returns output and gradients."""
    rng = np.random.default_rng(0)
    sources = np.stack([rng.choice(np.delete(np.arange(genes), i), K, replace=False) for i in range(genes)])
    edges = np.stack([sources.ravel(), np.repeat(np.arange(genes), K)])
    weight = rng.random(edges.shape[1], dtype=np.float32) if weighted else None
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = GATv2Conv(
            FEATURES, CHANNELS, HEADS, add_self_loops=False, edge_dim=1 if weighted else None
        ).to(dtype)
        ours = RegularGATv2(edges, weight, genes, FEATURES, CHANNELS, HEADS).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(patients, genes, FEATURES, generator=generator, dtype=dtype, requires_grad=True)
    upstream = torch.randn(patients, genes, HEADS * CHANNELS, generator=generator, dtype=dtype)
    union = torch.as_tensor(edges).repeat(1, patients)
    union = union + torch.arange(patients).repeat_interleave(edges.shape[1]) * genes
    union_weight = None if weight is None else torch.as_tensor(weight, dtype=dtype).repeat(patients)

    def step(layer: torch.nn.Module, forward: Callable) -> list[torch.Tensor]:
        parameters = [p for _, p in sorted(layer.named_parameters())]
        out = forward().view_as(upstream)
        return [out, *torch.autograd.grad(out, [x, *parameters], upstream)]

    return (
        lambda: step(theirs, lambda: theirs(x.flatten(0, 1), union, union_weight)),
        lambda: step(ours, lambda: ours(x)),
    )


def seconds(step: Callable) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(1)
    print("| genes | patients | edge weights | PyG, ms | ours, ms | ratio | largest difference, float64 |")
    print("|---|---|---|---|---|---|---|")
    for genes, patients, weighted in CASES:
        theirs, ours = pair(genes, patients, weighted=weighted, dtype=torch.float64)
        difference = max(float((a - b).detach().abs().max()) for a, b in zip(theirs(), ours(), strict=True))
        theirs, ours = pair(genes, patients, weighted=weighted, dtype=torch.float32)
        theirs(), ours()
        times = [(seconds(theirs), seconds(ours)) for _ in range(RUNS)]
        a, b = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
        flag = "yes" if weighted else "no"
        print(
            f"| {genes} | {patients} | {flag} | {a:.1f} | {b:.1f} | {a / b:.2f} | {difference:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
