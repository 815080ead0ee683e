"""Tables: values and their missing mask through one hidden layer."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.encoders.base import Encoder
from mmfusion.registry import ENCODERS
from mmfusion.streams import TABLE, StreamSpec


@ENCODERS.register(
    "table_mlp", modality="ehr, ct features", paper="this project (a plain two-layer perceptron)"
)
class TableMLP(Encoder):
    """Values and observed-mask, concatenated, through one hidden layer with layer norm; one token.

    Parameters
    ----------
    spec : StreamSpec
        Of shape (2, n): n encoded columns.
    d, dropout
        Width of the token; dropout after the hidden layer.
    hidden : int
        Width of the hidden layer.

    Notes
    -----
    Input (b, 2, n) float32, values and observed mask; output (b, 1, d).
    """

    reads = TABLE

    def __init__(self, spec: StreamSpec, d: int = 32, dropout: float = 0.3, *, hidden: int = 64) -> None:
        super().__init__(spec, d, dropout)
        self.layers = nn.Sequential(
            nn.Linear(2 * spec.shape[1], hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, d),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The token of each row, shape (b, 1, d)."""
        return self.layers(rearrange(x, "b two n -> b 1 (two n)"))
