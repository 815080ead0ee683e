"""A pre-norm transformer block, in einops: the batch axis is never an attention axis."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn

from mmfusion.errors import MMFusionError


class Attention(nn.Module):
    """Multi-head attention between the tokens of one patient (Vaswani et al. 2017).

    Parameters
    ----------
    d : int
        Width of tokens, a multiple of `heads`.
    heads : int
        Attention heads.

    Raises
    ------
    MMFusionError
        If `d` is not a multiple of `heads`.
    """

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        if d % heads:
            raise MMFusionError(
                "the width of tokens is not a multiple of the attention heads", got=f"d={d}, heads={heads}"
            )
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """Attend.

        Parameters
        ----------
        x : Tensor, shape (b, t, d)
            Tokens: patients first, always.
        allowed : Tensor of bool, shape (b, t, t), optional
            Which token (row) may look at which (column); every row needs at least one.
        """
        q, k, v = rearrange(self.qkv(x), "b t (three h c) -> three b h t c", three=3, h=self.heads)
        mask = None if allowed is None else allowed[:, None]
        x = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(rearrange(x, "b h t c -> b t (h c)"))


class Block(nn.Module):
    """Attention and a feed-forward layer, each after a layer norm, each added to its input (Xiong et al. 2020).

    Parameters
    ----------
    d, heads : int
        Width of tokens; attention heads.
    dropout : float
        Dropout on both branches.
    expansion : int
        Width of the feed-forward layer, in multiples of `d`.
    """

    def __init__(self, d: int, heads: int, dropout: float, *, expansion: int = 2) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = Attention(d, heads)
        self.feed_forward = nn.Sequential(
            nn.Linear(d, expansion * d), nn.GELU(), nn.Dropout(dropout), nn.Linear(expansion * d, d)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """Tokens, shape (b, t, d), after one round of attention; `allowed` as in `Attention`."""
        x = x + self.drop(self.attention(self.norm1(x), allowed))
        return x + self.drop(self.feed_forward(self.norm2(x)))
