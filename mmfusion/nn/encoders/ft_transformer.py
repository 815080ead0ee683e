"""Encoder of tables: a transformer with a token per feature, and a learned token for a missing value."""

from __future__ import annotations

import torch
from torch import nn

from mmfusion.nn.encoders.base import Encoder
from mmfusion.nn.layers.attention import Block
from mmfusion.registry import ENCODERS
from mmfusion.streams import TABLE, StreamSpec


@ENCODERS.register(
    "table_transformer", modality="ehr, ct features", paper="Gorishniy et al. 2021, NeurIPS (FT-Transformer)"
)
class FTTransformer(Encoder):
    """FT-Transformer with one block; the output is the CLS token.

    Every feature is a token. A missing value has a learned token per feature.

    Parameters
    ----------
    spec : StreamSpec
        Stream of a table, shape (2, n), with n encoded columns.
    d, dropout
        Width of the tokens, a multiple of `heads`; dropout rate of the block.
    heads : int
        Number of attention heads.

    Notes
    -----
    Input (b, 2, n) float32: values and mask of observed cells; output (b, 1, d). The imputed number of a
    missing value is not read.

    Examples
    --------
    >>> FTTransformer(StreamSpec("ehr", "ehr", (2, 3)), d=8)(torch.zeros(5, 2, 3)).shape
    torch.Size([5, 1, 8])
    """

    reads = TABLE

    def __init__(self, spec: StreamSpec, d: int = 32, dropout: float = 0.3, *, heads: int = 4) -> None:
        super().__init__(spec, d, dropout)
        self.weight = nn.Parameter(torch.randn(spec.shape[1], d) * d**-0.5)
        self.bias = nn.Parameter(torch.randn(spec.shape[1], d) * d**-0.5)
        self.missing = nn.Parameter(torch.randn(spec.shape[1], d) * d**-0.5)
        self.cls = nn.Parameter(torch.randn(1, 1, d) * d**-0.5)
        self.block = Block(d, heads, dropout)
        self.norm = nn.LayerNorm(d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the CLS token of each row, shape (b, 1, d)."""
        values, observed = x[:, 0, :, None], x[:, 1, :, None] > 0.5
        tokens = torch.where(observed, values * self.weight + self.bias, self.missing)
        tokens = torch.cat([self.cls.expand(x.shape[0], -1, -1), tokens], dim=1)
        return self.norm(self.block(tokens)[:, :1])
