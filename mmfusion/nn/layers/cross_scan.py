"""Cross-scan: a map read as four sequences, and the four sequences added up to one map again."""

from __future__ import annotations

import torch
from einops import rearrange


def cross_scan(x: torch.Tensor) -> torch.Tensor:
    """Read a map in four directions: by rows, by columns, and both from the end to the start.

    Parameters
    ----------
    x : Tensor, shape (b, h, w, d)
        Map with the channels last.

    Returns
    -------
    Tensor, shape (b, h * w, 4, d)
        The four sequences.

    References
    ----------
    Liu et al. 2024, "VMamba: visual state space model", NeurIPS.

    Examples
    --------
    >>> image = torch.tensor([[1, 2], [3, 4]]).reshape(1, 2, 2, 1)
    >>> cross_scan(image)[0, :, :, 0].T.tolist()
    [[1, 2, 3, 4], [1, 3, 2, 4], [4, 3, 2, 1], [4, 2, 3, 1]]
    """
    both = torch.stack([rearrange(x, "b h w d -> b (h w) d"), rearrange(x, "b h w d -> b (w h) d")], 2)
    return torch.cat([both, both.flip(1)], 2)


def cross_merge(y: torch.Tensor, h: int, w: int) -> torch.Tensor:
    """Return the sum of four sequences as a map, each value at the place from which `cross_scan` read it.

    Parameters
    ----------
    y : Tensor, shape (b, h * w, 4, d)
        Sequences, in the order of `cross_scan`.
    h, w : int
        Sides of the map.

    Returns
    -------
    Tensor, shape (b, h, w, d)

    Examples
    --------
    >>> image = torch.arange(6.0).reshape(1, 2, 3, 1)
    >>> torch.equal(cross_merge(cross_scan(image), 2, 3), 4 * image)
    True
    """
    rows, columns = (y[:, :, :2] + y[:, :, 2:].flip(1)).unbind(2)
    rows = rearrange(rows, "b (h w) d -> b h w d", h=h, w=w)
    return rows + rearrange(columns, "b (w h) d -> b h w d", h=h, w=w)
