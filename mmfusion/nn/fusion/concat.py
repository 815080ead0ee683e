"""Concatenation fusions, with and without scaling by the number of streams present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange

from mmfusion.nn.fusion.base import Fusion, TokenMean
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


@FUSIONS.register("concat", modality="any", paper="Ngiam et al. 2011, ICML (joint representation)")
class Concat(Fusion):
    """Concatenation of the streams' vectors and one hidden layer; the vector of an absent stream is zero.

    Examples
    --------
    >>> streams = [StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> fusion = Concat(streams, {"rna": 4, "ehr": 1}, d=8, hidden=16, dropout=0.0)
    >>> tokens = {"rna": torch.zeros(2, 4, 8), "ehr": torch.zeros(2, 1, 8)}
    >>> fusion(tokens, torch.tensor([[True, True], [False, True]])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self, streams: Sequence[StreamSpec], n_tokens: Mapping[str, int], d: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        self.mean = TokenMean(self.names, n_tokens)
        self.layer = self._hidden_layer(len(self.names) * d)

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the hidden layer, shape (b, hidden)."""
        vectors = self.scale(present)[:, :, None] * self.mean(tokens, present)
        return self.layer(rearrange(vectors, "b m d -> b (m d)"))

    def scale(self, present: torch.Tensor) -> torch.Tensor:
        """Return the factor of each stream's vector, shape (b, m)."""
        return torch.ones_like(present, dtype=torch.get_default_dtype())


@FUSIONS.register("simple", modality="any", paper="the stage paper's `simple`: equal contributions")
class Simple(Concat):
    """Concatenation of vectors, divided by the square root of the number of streams present.

    The length of the concatenated vector then does not depend on the number of streams.

    Examples
    --------
    >>> streams = [StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> fusion = Simple(streams, {"rna": 4, "ehr": 1}, d=8, hidden=16, dropout=0.0)
    >>> scale = fusion.scale(torch.tensor([[True, True], [False, True]]))
    >>> [round(s, 3) for s in scale[:, 0].tolist()]
    [0.707, 1.0]
    """

    def scale(self, present: torch.Tensor) -> torch.Tensor:
        """Return one over the square root of the number of streams present, shape (b, m)."""
        return present.sum(1, keepdim=True).clamp_min(1).rsqrt().expand_as(present)
