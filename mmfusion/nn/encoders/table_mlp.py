"""Encoder of tables: a perceptron on the values and the mask of observed cells."""

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
    """Perceptron with one hidden layer on the concatenated values and mask of observed cells; one token.

    Parameters
    ----------
    spec : StreamSpec
        Stream of a table, shape (2, n), with n encoded columns.
    d, dropout
        Width of the token; dropout rate after the hidden layer.
    hidden : int
        Width of the hidden layer.

    Notes
    -----
    Input (b, 2, n) float32: values and mask of observed cells; output (b, 1, d).

    Examples
    --------
    >>> TableMLP(StreamSpec("ehr", "ehr", (2, 3)), d=8)(torch.zeros(5, 2, 3)).shape
    torch.Size([5, 1, 8])
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
        """Return the token of each row, shape (b, 1, d)."""
        return self.layers(rearrange(x, "b two n -> b 1 (two n)"))
