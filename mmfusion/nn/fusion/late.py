"""Late fusion, the baseline of all other fusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.fusion.base import Fusion, TokenMean
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


@FUSIONS.register("late", modality="any", paper="Kittler et al. 1998, IEEE TPAMI 20(3) (mean rule)")
class Late(Fusion):
    """Late fusion: average of one-stream models over the streams present, without interaction.

    Each stream has its own hidden layer in its own columns of the output, divided by the number of streams
    present. A linear head on this output is the average of the logits of one-stream models with separate
    weights.

    Examples
    --------
    >>> streams = [StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> fusion = Late(streams, {"rna": 4, "ehr": 1}, d=8, hidden=16, dropout=0.0)
    >>> tokens = {"rna": torch.zeros(2, 4, 8), "ehr": torch.zeros(2, 1, 8)}
    >>> fusion(tokens, torch.tensor([[True, True], [False, True]])).shape  # 16 columns per stream
    torch.Size([2, 32])
    """

    def __init__(
        self, streams: Sequence[StreamSpec], n_tokens: Mapping[str, int], d: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        self.mean = TokenMean(self.names, n_tokens)
        self.layers = nn.ModuleList(self._hidden_layer(d) for _ in self.names)
        self.out_features = hidden * len(self.names)

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the concatenated hidden layers of the streams, shape (b, m * hidden)."""
        vectors = self.mean(tokens, present).unbind(1)
        hidden = torch.stack([layer(v) for layer, v in zip(self.layers, vectors)], dim=1)
        share = present / present.sum(1, keepdim=True).clamp_min(1)
        return rearrange(hidden * share[:, :, None], "b m h -> b (m h)")
