"""Attention between the tokens of one patient, and a pre-norm transformer block, written with einops."""

from __future__ import annotations

import torch
from einops import einsum, rearrange
from torch import nn

from mmfusion.errors import MMFusionError


class Attention(nn.Module):
    """Multi-head attention between the tokens of one patient (Vaswani et al. 2017).

    Parameters
    ----------
    d : int
        Width of the tokens, a multiple of `heads`.
    heads : int
        Number of attention heads.

    Raises
    ------
    MMFusionError
        If `d` is not a multiple of `heads`.

    References
    ----------
    Vaswani et al. 2017, "Attention is all you need", NeurIPS.

    Examples
    --------
    >>> Attention(8, heads=2)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
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
        """Return the tokens after attention, shape (b, t, d).

        Parameters
        ----------
        x : Tensor, shape (b, t, d)
            Tokens. The first axis is always the patients.
        allowed : Tensor of bool, shape (b, t, t), optional
            True where a token (row) may attend to another token (column). Every row needs at least one True.
        """
        q, k, v = self._projected(x)
        mask = None if allowed is None else allowed[:, None]
        x = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(rearrange(x, "b h t c -> b t (h c)"))

    def weights(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """Return how much each token (row) attends to each other (column), shape (b, heads, t, t).

        The arguments are those of `forward`. Rows add up to 1.
        """
        q, k, _ = self._projected(x)
        logits = einsum(q, k, "b h i c, b h j c -> b h i j") * q.shape[-1] ** -0.5
        if allowed is not None:
            logits = logits.masked_fill(~allowed[:, None], -torch.inf)
        return logits.softmax(-1)

    def _projected(self, x: torch.Tensor) -> torch.Tensor:
        """Return queries, keys and values, shape (3, b, heads, t, d / heads)."""
        return rearrange(self.qkv(x), "b t (three h c) -> three b h t c", three=3, h=self.heads)


class Block(nn.Module):
    """Pre-norm transformer block: attention and a feed-forward layer with residual connections.

    A layer norm precedes each of the two.

    Parameters
    ----------
    d, heads : int
        Width of the tokens; number of attention heads.
    dropout : float
        Dropout rate of both branches.
    expansion : int
        Width of the feed-forward layer, in multiples of `d`.

    References
    ----------
    Xiong et al. 2020, "On layer normalization in the transformer architecture", ICML.

    Examples
    --------
    >>> Block(8, heads=2, dropout=0.1)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
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
        """Return the tokens after the block, shape (b, t, d); `allowed` is as in `Attention`."""
        x = x + self.drop(self.attention(self.norm1(x), allowed))
        return x + self.drop(self.feed_forward(self.norm2(x)))
