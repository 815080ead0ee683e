"""Adaptive average pooling written with slices, so that it exports to ONNX."""

from __future__ import annotations

import torch


def adaptive_mean(x: torch.Tensor, size: int) -> torch.Tensor:
    """Average a map over `size` windows along each spatial axis.

    The windows are those of `torch.nn.functional.adaptive_avg_pool3d`, which ONNX has no operator for.

    Parameters
    ----------
    x : Tensor, shape (b, c, *spatial)
        A map with any number of spatial axes.
    size : int
        Windows per axis.

    Returns
    -------
    Tensor, shape (b, c, size, ..., size)

    Examples
    --------
    >>> adaptive_mean(torch.arange(6.0).reshape(1, 1, 6), 2)
    tensor([[[1., 4.]]])
    """
    for axis in range(2, x.ndim):
        n = x.shape[axis]
        windows = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
        x = torch.stack([x.narrow(axis, low, high - low).mean(axis) for low, high in windows], dim=axis)
    return x
