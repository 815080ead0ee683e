"""Resizing of feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

LINEAR = {2: "bilinear", 3: "trilinear"}  # axes in space -> torch's name of linear interpolation


def resized(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return a map on a larger grid, by linear interpolation, or on a smaller grid, by means.

    Parameters
    ----------
    x : Tensor, shape (b, c, y, x) or (b, c, z, y, x)
        Map.
    size : sequence of int
        Sides of the new grid: all at least those of `x`, or all at most those of `x`.

    Examples
    --------
    >>> resized(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), (1, 1)).item()
    4.0
    """
    if tuple(size) == tuple(x.shape[2:]):
        return x
    if any(new < old for new, old in zip(size, x.shape[2:], strict=True)):
        pool = {2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}[x.ndim - 2]
        return pool(x, tuple(size))
    return F.interpolate(x, size=tuple(size), mode=LINEAR[x.ndim - 2], align_corners=False)
