"""Light decoder: the maps of a pyramid are added from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmfusion.nn.layers.resize import resized
from mmfusion.nn.layers.separable import conv3


class LightDecoder(nn.Module):
    """Decoder for maps of equal channels: x <- conv3(up(x) + N_i), from coarse to fine.

    Parameters
    ----------
    in_channels : sequence of int
        Channels of the maps, from fine to coarse; all are equal.
    spatial_dims : {2, 3}
        Axes in space.

    Attributes
    ----------
    channels : tuple of int
        Channels of each output.

    Examples
    --------
    >>> decoder = LightDecoder((8, 8), spatial_dims=2)
    >>> [tuple(one.shape) for one in decoder([torch.rand(1, 8, 16, 16), torch.rand(1, 8, 8, 8)])]
    [(1, 8, 16, 16), (1, 8, 8, 8)]
    """

    def __init__(self, in_channels: Sequence[int], *, spatial_dims: int = 3) -> None:
        super().__init__()
        self.channels = tuple(in_channels)
        self.convs = nn.ModuleList(conv3(spatial_dims, c, c, ordering="NA") for c in self.channels[:-1])

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return one map for each map, on the same grid, from fine to coarse."""
        decoded = [maps[-1]]
        for conv, skip in zip(reversed(self.convs), reversed(maps[:-1]), strict=True):
            decoded.append(conv(resized(decoded[-1], skip.shape[2:]) + skip))
        return decoded[::-1]
