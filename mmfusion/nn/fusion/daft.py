"""Fusion that scales and shifts the scan's features by the other streams (DAFT)."""

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
    """DAFT: scale and shift every channel of the scan's features by the patient's other streams.

    The published layer acts on the map of a residual block. Here it acts on the tokens pooled from the last
    map. The result is the same, because an affine map of a channel and an average commute. The features of a
    patient without a scan, or with nothing but a scan, are not changed. Without any scan stream this is
    concatenation.

    Parameters
    ----------
    streams, n_tokens, d, hidden, dropout
        As in `Fusion`; all other streams modulate the streams of scans.
    reduction : int
        Number by which the width of the inputs is divided to give the width of the bottleneck.

    Examples
    --------
    >>> streams = [StreamSpec("ct", "ct", (1, 32, 32, 32)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> fusion = DAFT(streams, {"ct": 8, "ehr": 1}, d=8, hidden=16, dropout=0.0)
    >>> tokens = {"ct": torch.zeros(2, 8, 8), "ehr": torch.zeros(2, 1, 8)}
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
            nn.init.normal_(last.weight, std=0.02)  # starts near the identity
            self.film[self.names[i]] = nn.Sequential(
                nn.Linear(width, last.in_features, bias=False), nn.ReLU(), last
            )

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the hidden layer over modulated and other vectors, shape (b, hidden)."""
        vectors = self.mean(tokens, present)
        out = list(vectors.unbind(1))
        for i in self.scans if self.others else []:
            inputs = rearrange(vectors[:, [*self.others, i]], "b m d -> b (m d)")
            scale, shift = self.film[self.names[i]](inputs).chunk(2, dim=1)
            both = present[:, i] & present[:, self.others].any(1)
            out[i] = torch.where(both[:, None], out[i] * (1 + scale) + shift, out[i])
        return self.layer(torch.cat(out, dim=1))
