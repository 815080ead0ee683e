"""Fusion by cross-modal attention between tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.fusion.base import Fusion, TokenMean
from mmfusion.nn.layers.attention import Block
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


@FUSIONS.register(
    "crossmodal", modality="any", paper="Tsai et al. 2019, ACL (MulT); token design of this project"
)
class CrossModal(Fusion):
    """Cross-modal attention: tokens attend to the tokens of other streams, and a CLS token attends to all.

    Tokens never attend to their own stream. They may attend to the CLS token, so that the tokens of a
    patient's only stream have a token to attend to. No token attends to an absent stream. All streams share
    the blocks; a learned embedding per stream distinguishes them.

    Parameters
    ----------
    streams, n_tokens, d, hidden, dropout
        As in `Fusion`; `d` is a multiple of `heads`.
    blocks : int
        Number of attention blocks.
    heads : int
        Number of attention heads.

    Examples
    --------
    >>> streams = [StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> fusion = CrossModal(streams, {"rna": 4, "ehr": 1}, d=8, hidden=16, dropout=0.0)
    >>> tokens = {"rna": torch.zeros(2, 4, 8), "ehr": torch.zeros(2, 1, 8)}
    >>> fusion(tokens, torch.tensor([[True, True], [False, True]])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        n_tokens: Mapping[str, int],
        d: int,
        hidden: int,
        dropout: float,
        *,
        blocks: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        counts = [1, *(n_tokens[name] for name in self.names)]
        owner = torch.tensor([i for i, count in enumerate(counts) for _ in range(count)])  # 0 is CLS
        may_look = owner[:, None] != owner[None, :]
        may_look[0, 0] = True  # so that a row of the mask is never empty, even if all streams are absent
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("may_look", may_look, persistent=False)
        self.cls = nn.Parameter(torch.randn(1, 1, d) * d**-0.5)
        self.modality = nn.Parameter(torch.randn(len(self.names), d) * d**-0.5)
        self.blocks = nn.ModuleList(Block(d, heads, dropout) for _ in range(blocks))
        self.mean = TokenMean(self.names, n_tokens)
        self.norm = nn.LayerNorm(d)
        self.layer = self._hidden_layer((1 + len(self.names)) * d)

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the hidden layer over the CLS token and the streams' mean vectors, shape (b, hidden)."""
        streams = [tokens[name] + embedding for name, embedding in zip(self.names, self.modality)]
        x = torch.cat([self.cls.expand(present.shape[0], -1, -1), *streams], dim=1)
        there = torch.cat([torch.ones_like(present[:, :1]), present], dim=1)[:, self.owner]
        x = torch.where(there[:, :, None], x, 0.0)
        allowed = self.may_look & there[:, None, :]
        for block in self.blocks:
            x = block(x, allowed)
        vectors = self.mean(tokens, present)
        return self.layer(torch.cat([self.norm(x[:, 0]), rearrange(vectors, "b m d -> b (m d)")], dim=1))
