"""Fusion by a gated multimodal unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import einsum, rearrange
from torch import nn

from mmfusion.nn.fusion.base import Fusion, TokenMean
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


@FUSIONS.register("gmu", modality="any", paper="Arevalo et al. 2017, ICLR workshop (arXiv 1702.01992)")
class GatedMultimodalUnit(Fusion):
    """Gated multimodal unit: a gate per hidden unit weights the streams and is computed from all of them.

    The two tied gates of the paper, z and 1 - z, are a softmax over two streams. Here the softmax runs over
    the streams that are present.

    Examples
    --------
    >>> streams = [StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> fusion = GatedMultimodalUnit(streams, {"rna": 4, "ehr": 1}, d=8, hidden=16, dropout=0.0)
    >>> tokens = {"rna": torch.zeros(2, 4, 8), "ehr": torch.zeros(2, 1, 8)}
    >>> fusion(tokens, torch.tensor([[True, True], [False, True]])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self, streams: Sequence[StreamSpec], n_tokens: Mapping[str, int], d: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        m = len(self.names)
        self.mean = TokenMean(self.names, n_tokens)
        self.content = nn.ModuleList(nn.Linear(d, hidden) for _ in range(m))
        self.gate = nn.Linear(m * d, m * hidden, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the gated sum of the streams' contents, shape (b, hidden)."""
        vectors = self.mean(tokens, present)
        content = torch.stack([layer(v) for layer, v in zip(self.content, vectors.unbind(1))], dim=1).tanh()
        gates = rearrange(
            self.gate(rearrange(vectors, "b m d -> b (m d)")), "b (m h) -> b m h", m=len(self.names)
        )
        there = present | ~present.any(1, keepdim=True)
        gates = torch.where(there[:, :, None], gates, -torch.inf).softmax(1)
        content = torch.where(present[:, :, None], content, 0.0)
        return self.drop(einsum(gates, content, "b m h, b m h -> b h"))
