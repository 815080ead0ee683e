"""Encoder of genes: a plain perceptron, the control of the graph network."""

from __future__ import annotations

import torch
from torch import nn

from mmfusion.nn.encoders.base import Encoder
from mmfusion.registry import ENCODERS
from mmfusion.streams import GENES, StreamSpec


@ENCODERS.register("gene_mlp", modality="rna", paper="this project (a plain two-layer perceptron)")
class GeneMLP(Encoder):
    """Perceptron with one hidden layer on all genes, without a graph; one token.

    Parameters
    ----------
    spec : StreamSpec
        Stream of G genes, shape (G,).
    d, dropout
        Width of the token; dropout rate of the genes and of the hidden layer.
    hidden : int
        Width of the hidden layer.

    Notes
    -----
    Input (b, G) float32, z-scores; output (b, 1, d).

    Examples
    --------
    >>> GeneMLP(StreamSpec("rna", "rna", (100,)), d=8)(torch.zeros(5, 100)).shape
    torch.Size([5, 1, 8])
    """

    reads = GENES

    def __init__(self, spec: StreamSpec, d: int = 32, dropout: float = 0.3, *, hidden: int = 256) -> None:
        super().__init__(spec, d, dropout)
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(spec.shape[0], hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, d),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the token of each row, shape (b, 1, d)."""
        return self.layers(x)[:, None]
