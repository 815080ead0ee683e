"""Rectification: the maps of two scans are multiplied by weights that are computed from both scans.

A rectifier returns two pairs: the rectified maps of both scans, and the maps to which fused features are
added.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.norms import BatchNorm2d
from mmfusion.nn.layers.ssm import SS1D

Pair = tuple[torch.Tensor, torch.Tensor]
_GRID = (16, 16)  # maps of any size are averaged to this size


class ChannelRectification(nn.Module):
    """Weights of the channels of two scans, from a selective scan over all channels: x + w x.

    Each channel is a token: its pixels, mapped to `width` numbers. The tokens of CT come first, then those of
    PET. Fused features are added to the original maps.

    Parameters
    ----------
    channels : int
        Channels of each map, C.
    size : (y, x), optional
        Sides of the maps, pixels. All pixels are then read, as in the paper. Default: maps of any size, which
        are averaged to 16 x 16 first.
    width : int
        Width of the tokens.

    References
    ----------
    Mei et al. 2025, "Cross-modal interactive perception network with Mamba for lung tumor segmentation in
    PET-CT images", CVPR, channel-wise rectification module.

    Examples
    --------
    >>> (ct, pet), _ = ChannelRectification(6)(torch.ones(2, 6, 8, 8), torch.ones(2, 6, 8, 8))
    >>> bool(((ct > 1) & (ct < 2)).all())
    True
    """

    def __init__(self, channels: int, size: tuple[int, int] | None = None, *, width: int = 96) -> None:
        super().__init__()
        self.size = size
        pixels = (size or _GRID)[0] * (size or _GRID)[1]
        self.embed = nn.Sequential(nn.LayerNorm(pixels), nn.Linear(pixels, width), nn.GELU())
        self.scan = SS1D(width)
        self.weigh = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1), nn.Sigmoid())

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> tuple[Pair, Pair]:
        """Return the rectified maps and the original maps, each of shape (b, C, y, x).

        Raises
        ------
        MMFusionError
            If the network was built for maps of another size.
        """
        x = torch.cat([ct, pet], 1)
        if self.size is None:
            x = F.adaptive_avg_pool2d(x, _GRID)
        elif x.shape[2:] != self.size:
            raise MMFusionError(
                "the network was built for inputs of one size",
                expected=f"a map of {self.size}",
                got=tuple(x.shape[2:]),
                hint="give `size` when you build the network, or build it with faithful=False",
            )
        weights = self.weigh(self.scan(self.embed(x.flatten(2))))[..., None]
        first, second = weights.chunk(2, 1)
        return (ct + first * ct, pet + second * pet), (ct, pet)


class ContextGate(nn.Module):
    """Gates of the channels and positions of two scans, computed from both scans: x + g x.

    The gate of a scan is the product of the weights of its channels, from the means of both maps, and the
    weights of its positions, from a convolution of both maps. Fused features are added to the gated maps.

    Parameters
    ----------
    channels : int
        Channels of each map, C.
    reduction : int
        The hidden layer has C / `reduction` units, but at least 32.

    References
    ----------
    vMambaX, context-gated cross-modal perception for PET/CT, 2025.

    Examples
    --------
    >>> (ct, pet), base = ContextGate(6)(torch.ones(2, 6, 8, 8), torch.ones(2, 6, 8, 8))
    >>> torch.equal(ct, base[0]), bool(((ct > 1) & (ct < 2)).all())
    (True, True)
    """

    def __init__(self, channels: int, *, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(channels // reduction, 32)
        self.channel = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2 * channels, hidden, 1),
                BatchNorm2d(hidden),
                nn.GELU(),
                nn.Conv2d(hidden, channels, 1),
            )
            for _ in range(2)
        )
        self.spatial = nn.ModuleList(nn.Conv2d(2 * channels, 1, 3, padding=1) for _ in range(2))

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> tuple[Pair, Pair]:
        """Return the gated maps twice, each of shape (b, C, y, x)."""
        gated = []
        for one, other, channel, spatial in zip(
            (ct, pet), (pet, ct), self.channel, self.spatial, strict=True
        ):
            both = torch.cat([other, one], 1)
            weights = torch.sigmoid(channel(both.mean((2, 3), keepdim=True)))
            gated.append(one + weights * torch.sigmoid(spatial(both)) * one)
        return tuple(gated), tuple(gated)


class NoRectification(nn.Module):
    """Rectification that leaves the maps of both scans as they are.

    Examples
    --------
    >>> one = torch.ones(1, 2, 3, 3)
    >>> NoRectification()(one, one)[0][0] is one
    True
    """

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> tuple[Pair, Pair]:
        """Return the maps twice."""
        return (ct, pet), (ct, pet)
