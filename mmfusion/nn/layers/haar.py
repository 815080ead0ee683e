"""Haar wavelets: a map at half resolution with more channels, without loss, and back."""

from __future__ import annotations

import torch

from mmfusion.errors import MMFusionError

_ROOT = 2**-0.5


def haar(x: torch.Tensor) -> torch.Tensor:
    """Return one level of the Haar wavelet transform along all axes in space.

    Pairs of neighbours (a, b) become (a + b) / sqrt(2) and (a - b) / sqrt(2). The sum of squares stays the
    same.

    Parameters
    ----------
    x : Tensor, shape (b, c, *space)
        Map with even sides.

    Returns
    -------
    Tensor, shape (b, 2^d c, *space / 2)
        d is the number of axes in space. The first c channels are the sums along all axes.

    Raises
    ------
    MMFusionError
        If a side is odd.

    Examples
    --------
    >>> haar(torch.tensor([[[1.0, 3.0, 2.0, 2.0]]])).mul(2**0.5)
    tensor([[[ 4.0000,  4.0000],
             [-2.0000,  0.0000]]])
    """
    if any(side % 2 for side in x.shape[2:]):
        raise MMFusionError("no Haar wavelets of this map", expected="even sides", got=tuple(x.shape[2:]))
    for axis in range(2, x.ndim):
        a, b = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
        x = torch.cat([a + b, a - b], 1) * _ROOT
    return x


def inverse_haar(x: torch.Tensor) -> torch.Tensor:
    """Return the map that `haar` would turn into `x`.

    Parameters
    ----------
    x : Tensor, shape (b, 2^d c, *space)
        Wavelet coefficients; d is the number of axes in space.

    Returns
    -------
    Tensor, shape (b, c, *2 space)

    Raises
    ------
    MMFusionError
        If the number of channels is not a multiple of 2^d.

    Examples
    --------
    >>> x = torch.arange(8.0).reshape(1, 1, 2, 4)
    >>> torch.allclose(inverse_haar(haar(x)), x, atol=1e-5)
    True
    """
    parts = 2 ** (x.ndim - 2)
    if x.shape[1] % parts:
        raise MMFusionError(
            "these are no Haar wavelets", expected=f"a multiple of {parts} channels", got=x.shape[1]
        )
    for axis in reversed(range(2, x.ndim)):
        plus, minus = x.chunk(2, dim=1)
        x = (torch.stack([plus + minus, plus - minus], axis + 1) * _ROOT).flatten(axis, axis + 1)
    return x
