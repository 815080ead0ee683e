"""Regression of gene expression from a pyramid of maps, by attention over channels and scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.layers.resize import resized


class ExpressionHead(nn.Module):
    """Expression of a panel of genes, from all scales of a pyramid.

    Each scale s is pooled (mean and maximum) and projected to P numbers v_s. Channels are weighted by
    a = sigmoid(MLP([v_1, ..., v_S])) and scales by alpha = softmax_s(q tanh(W v_s)). The descriptor
    sum_s alpha_s a_s v_s is mapped to the genes by two layers.

    Parameters
    ----------
    in_channels : sequence of int
        Channels of the maps, from fine to coarse.
    genes : int
        Genes of the panel.
    width : int
        Length of the descriptor, P.
    hidden : int
        Units between the descriptor and the genes.
    dropout : float in [0, 1)
        Dropout of these units.
    mask_pool : bool
        Pool also inside the lesion: the mean weighted by `probability`.

    Examples
    --------
    >>> head = ExpressionHead((8, 8), genes=5, width=8)
    >>> maps = [torch.rand(2, 8, 4, 4, 4), torch.rand(2, 8, 2, 2, 2)]
    >>> head(maps).shape, head.scales(head.pooled(maps)).shape
    (torch.Size([2, 5]), torch.Size([2, 2, 1]))
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        genes: int,
        *,
        width: int = 192,
        hidden: int = 128,
        dropout: float = 0.3,
        mask_pool: bool = False,
    ) -> None:
        super().__init__()
        self.mask_pool = mask_pool
        every = len(in_channels) * width
        self.project = nn.ModuleList(nn.Linear((2 + mask_pool) * c, width) for c in in_channels)
        self.channel = nn.Sequential(nn.Linear(every, every // 8), nn.ReLU(), nn.Linear(every // 8, every))
        self.scale = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.Tanh(), nn.Linear(width, 1, bias=False)
        )
        self.regress = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, genes),
        )

    def pooled(self, maps: Sequence[torch.Tensor], probability: torch.Tensor | None = None) -> torch.Tensor:
        """Return the pooled and projected scales v, shape (b, S, P); parameters as in `forward`."""
        return torch.stack(
            [
                project(torch.cat(self._pool(one, probability), 1))
                for project, one in zip(self.project, maps, strict=True)
            ],
            1,
        )

    def _pool(self, x: torch.Tensor, probability: torch.Tensor | None) -> list[torch.Tensor]:
        flat = x.flatten(2)
        parts = [flat.mean(2), flat.amax(2)]
        if self.mask_pool:
            weight = resized(probability, x.shape[2:]).flatten(2)
            parts.append((flat * weight).sum(2) / weight.sum(2).clamp_min(1e-3))
        return parts

    def scales(self, v: torch.Tensor) -> torch.Tensor:
        """Return the weights of the scales, alpha, shape (b, S, 1); they sum to 1 over the scales."""
        return self.scale(v).softmax(1)

    def forward(self, maps: Sequence[torch.Tensor], probability: torch.Tensor | None = None) -> torch.Tensor:
        """Return the expression of the genes, shape (b, genes).

        Parameters
        ----------
        maps : sequence of Tensor, shape (b, in_channels[s], *space)
            Pyramid.
        probability : Tensor, shape (b, 1, *space), optional
            Predicted probability of the lesion, 0 to 1, which is read if `mask_pool`. It is never the true
            mask.
        """
        v = self.pooled(maps, probability)
        gate = rearrange(
            torch.sigmoid(self.channel(rearrange(v, "b s p -> b (s p)"))), "b (s p) -> b s p", s=v.shape[1]
        )
        return self.regress((self.scales(v) * gate * v).sum(1))
