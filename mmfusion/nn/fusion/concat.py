"""Concatenation, with and without making up for what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange

from mmfusion.nn.fusion.base import Fusion, TokenMean
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


@FUSIONS.register("concat", modality="any", paper="Ngiam et al. 2011, ICML (joint representation)")
class Concat(Fusion):
    """One hidden layer over the streams' vectors side by side; zeros stand for a missing one."""

    def __init__(
        self, streams: Sequence[StreamSpec], n_tokens: Mapping[str, int], d: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        self.mean = TokenMean(self.names, n_tokens)
        self.layer = self._hidden_layer(len(self.names) * d)

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """The hidden layer, shape (b, hidden)."""
        vectors = self.scale(present)[:, :, None] * self.mean(tokens, present)
        return self.layer(rearrange(vectors, "b m d -> b (m d)"))

    def scale(self, present: torch.Tensor) -> torch.Tensor:
        """Factor of each stream's vector, shape (b, m)."""
        return torch.ones_like(present, dtype=torch.get_default_dtype())


@FUSIONS.register("simple", modality="any", paper="the stage paper's `simple`: equal contributions")
class Simple(Concat):
    """Concatenation of vectors divided by the root of how many are there, so that its length does not tell."""

    def scale(self, present: torch.Tensor) -> torch.Tensor:
        """One over the root of the number of streams present, shape (b, m)."""
        return present.sum(1, keepdim=True).clamp_min(1).rsqrt().expand_as(present)
