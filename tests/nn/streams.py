"""Small streams of every usual shape, for tests of networks."""

from __future__ import annotations

import numpy as np
import torch

from mmfusion.streams import TABLE, ShapePattern, StreamSpec

GENES, SIDE = 24, 16
# the first are genes of the signatures of the package
SYMBOLS = (
    "CA9",
    "VEGFA",
    "LDHA",
    "PDCD1",
    "LAG3",
    "TIGIT",
    "GZMA",
    "PRF1",
    *(f"G{k}" for k in range(GENES - 8)),
)


def knn_edges(genes: int = GENES, k: int = 3, seed: int = 0) -> np.ndarray:
    """A graph in which every gene has k in-neighbours, and out-degrees differ; shape (2, genes * k)."""
    rng = np.random.default_rng(seed)
    sources = np.stack([rng.choice(np.delete(np.arange(genes), i), k, replace=False) for i in range(genes)])
    return np.stack([sources.ravel(), np.repeat(np.arange(genes), k)])


def specs(*names: str) -> list[StreamSpec]:
    """The streams of these names, all four by default."""
    edges = knn_edges()
    weights = np.random.default_rng(1).random(edges.shape[1], dtype=np.float32)
    known = {
        "ct": StreamSpec("ct", "ct", (1, SIDE, SIDE, SIDE)),
        "ct_table": StreamSpec("ct_table", "ct", (2, 5)),
        "rna": StreamSpec("rna", "rna", (GENES,), SYMBOLS, edge_index=edges, edge_weight=weights),
        "ehr": StreamSpec("ehr", "ehr", (2, 7)),
    }
    return [known[name] for name in names or known]


def that_fits(pattern: ShapePattern) -> StreamSpec:
    """One stream that fits a pattern of shapes."""
    return next(spec for spec in specs() if spec.fits(pattern))


def shape(spec: StreamSpec, b: int) -> tuple[int, ...]:
    """Shape of a batch of the stream."""
    return (b, *spec.shape)


def draw(spec: StreamSpec, b: int, seed: int = 0) -> torch.Tensor:
    """A random batch of the stream."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape(spec, b), generator=generator)
    if spec.is_image:
        return x.sigmoid()
    if spec.fits(TABLE):
        x[:, 1] = (x[:, 1] > -0.5).float()
    return x


def build(factory, seed: int = 0):
    """What `factory` builds under a seed, leaving the random state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return factory()
