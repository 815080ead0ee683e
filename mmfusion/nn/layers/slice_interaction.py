"""Slice interaction: the maps of neighbouring slices become one map of the slice in the middle.

Before training, both modules return the map of the middle slice unchanged, to the bit. A network for slabs
therefore starts as the network for single slices whose weights it takes over.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from mmfusion.nn.layers.gates import ChannelGate


class SliceInteraction(nn.Module):
    """Interaction of the slices of a slab, and the sum of its slices for the slice in the middle.

    1. U: depthwise convolution 3 x 3 x 3 of the maps F over slices and space, batch norm, GELU.
    2. a_c: weights of the channels of each slice, from the mean and the maximum of U over space.
    3. a_s: weights of the positions of each slice, from the mean and the maximum of U over channels.
    4. V = F + a_c U + a_s U.
    5. y = V_middle + w sum_s p_s V_s, where p is the softmax over the slices of g . mean(V_s).

    w, g and the scale of the batch norm start at 0, so that y is F_middle.

    Parameters
    ----------
    channels : int
        Channels of the maps, C.
    slices : int
        Slices of a slab, S, an odd number.
    reduction : int
        The hidden layer of step 2 has S C / `reduction` units.

    References
    ----------
    After the abstract of "Multimodal slice interaction network", arXiv 2509.22841: a channel branch and a
    spatial branch between slices, with depthwise convolutions. All other details are this project's choice.

    Examples
    --------
    >>> maps = torch.rand(2, 3, 4, 6, 6)
    >>> torch.equal(SliceInteraction(4, 3)(maps), maps[:, 1])
    True
    """

    def __init__(self, channels: int, slices: int, *, reduction: int = 16) -> None:
        super().__init__()
        self.mix = nn.Conv3d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.norm.weight)
        self.channel = ChannelGate(slices * channels, reduction, spatial_dims=2)
        self.spatial = nn.Sequential(
            nn.Conv2d(2 * slices, 2 * slices, 7, padding=3, groups=2 * slices),
            nn.Conv2d(2 * slices, slices, 1),
            nn.Sigmoid(),
        )
        self.query = nn.Parameter(torch.zeros(channels))
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the map of the slice in the middle, shape (b, C, y, x).

        Parameters
        ----------
        maps : Tensor, shape (b, S, C, y, x)
            Maps of all slices.
        """
        return self.aggregate(self.refine(maps))

    def refine(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps V of all slices after steps 1 to 4, shape (b, S, C, y, x)."""
        mixed = self.norm(self.mix(rearrange(maps, "b s c h w -> b c s h w")))
        u = F.gelu(rearrange(mixed, "b c s h w -> b s c h w"))
        channel = self.channel(rearrange(u, "b s c h w -> b (s c) h w"))
        channel = rearrange(channel, "b (s c) h w -> b s c h w", s=maps.shape[1])
        spatial = self.spatial(torch.cat([u.mean(2), u.amax(2)], 1))[:, :, None]
        return maps + channel * u + spatial * u

    def aggregate(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the map of the middle slice after step 5, shape (b, C, y, x)."""
        share = (maps.mean((3, 4)) @ self.query).softmax(1)
        mean = torch.einsum("bs,bschw->bchw", share, maps)
        return maps[:, maps.shape[1] // 2] + self.weight[:, None, None] * mean


class SliceConcatenation(nn.Module):
    """Simple alternative to `SliceInteraction`: F_middle plus a 1 x 1 convolution of all slices.

    The weights of the convolution start at 0, so that the result is F_middle.

    Parameters
    ----------
    channels : int
        Channels of the maps, C.
    slices : int
        Slices of a slab, S, an odd number.

    Examples
    --------
    >>> maps = torch.rand(2, 3, 4, 6, 6)
    >>> torch.equal(SliceConcatenation(4, 3)(maps), maps[:, 1])
    True
    """

    def __init__(self, channels: int, slices: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(slices * channels, channels, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the map of the slice in the middle, shape (b, C, y, x), of maps (b, S, C, y, x)."""
        return maps[:, maps.shape[1] // 2] + self.mix(rearrange(maps, "b s c h w -> b (s c) h w"))
