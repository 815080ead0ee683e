"""Records and genes that scale and shift the scan's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.fusion.base import Fusion, TokenMean
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


@FUSIONS.register("daft", modality="ct + any", paper="Wolf et al. 2022, NeuroImage 260 (DAFT)")
class DAFT(Fusion):
    """Scale and shift of every channel of the scan's features, from the patient's other streams.

    The published layer acts on a residual block's map; here on the tokens pooled from the last map, which is the
    same, because an affine map of a channel and an average commute. A patient without a scan, or without anything
    else, keeps the features as they are; without any scan stream this is concatenation.

    Parameters
    ----------
    streams, n_tokens, d, hidden, dropout
        As in `Fusion`; streams of scans are modulated by all others.
    reduction : int
        Width of the bottleneck: its inputs divided by this.
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        n_tokens: Mapping[str, int],
        d: int,
        hidden: int,
        dropout: float,
        *,
        reduction: int = 4,
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        self.scans = [i for i, spec in enumerate(self.streams) if spec.is_image]
        self.others = [i for i, spec in enumerate(self.streams) if not spec.is_image]
        self.mean = TokenMean(self.names, n_tokens)
        self.layer = self._hidden_layer(len(self.names) * d)
        width = (len(self.others) + 1) * d
        self.film = nn.ModuleDict()
        for i in self.scans if self.others else []:
            last = nn.Linear(max(width // reduction, 1), 2 * d, bias=False)
            nn.init.normal_(last.weight, std=0.02)  # near identity at first
            self.film[self.names[i]] = nn.Sequential(
                nn.Linear(width, last.in_features, bias=False), nn.ReLU(), last
            )

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """The hidden layer over modulated and other vectors, shape (b, hidden)."""
        vectors = self.mean(tokens, present)
        out = list(vectors.unbind(1))
        for i in self.scans if self.others else []:
            inputs = rearrange(vectors[:, [*self.others, i]], "b m d -> b (m d)")
            scale, shift = self.film[self.names[i]](inputs).chunk(2, dim=1)
            both = present[:, i] & present[:, self.others].any(1)
            out[i] = torch.where(both[:, None], out[i] * (1 + scale) + shift, out[i])
        return self.layer(torch.cat(out, dim=1))
