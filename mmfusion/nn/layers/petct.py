"""Encoders of PET/CT for U-Nets: one for both scans, one of CT with attention from PET, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.layers.factories import Conv
from monai.networks.nets.basic_unet import Down, TwoConv, UpCat
from torch import nn
from torch.nn import functional as F

from mmfusion.nn.layers.gates import MultiScaleGate

# group norm, because the deepest map of a small patch may be a single voxel
_STYLE = {"act": "leakyrelu", "norm": ("group", {"num_groups": 4}), "bias": True}


class Pyramid(nn.Module):
    """Encoder of a U-Net: pairs of convolutions, with the sides halved between them.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    channels : sequence of int
        Channels of each level, multiples of 4.
    spatial_dims : {2, 3}
        Axes in space.

    Examples
    --------
    >>> [tuple(one.shape) for one in Pyramid(1, (4, 8), 2)(torch.zeros(1, 1, 8, 8))]
    [(1, 4, 8, 8), (1, 8, 4, 4)]
    """

    def __init__(self, in_channels: int, channels: Sequence[int], spatial_dims: int) -> None:
        super().__init__()
        first = TwoConv(spatial_dims, in_channels, channels[0], **_STYLE)
        others = [Down(spatial_dims, a, b, **_STYLE) for a, b in pairwise(channels)]
        self.levels = nn.ModuleList([first, *others])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return one map per level, the finest first; sides are multiples of 2^(levels - 1)."""
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


class UpPath(nn.Module):
    """Decoder of a U-Net: each level doubles the sides and joins the encoder's map, from deepest to finest.

    Parameters
    ----------
    inputs : sequence of int
        Channels of the maps of each level, the finest first.
    channels : sequence of int
        Channels of the output at each level but the deepest, the finest first.
    spatial_dims : {2, 3}
        Axes in space.

    Examples
    --------
    >>> maps = [torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 4, 4)]
    >>> [tuple(one.shape) for one in UpPath((4, 8), (4,), 2)(maps)]
    [(1, 4, 8, 8)]
    """

    def __init__(self, inputs: Sequence[int], channels: Sequence[int], spatial_dims: int) -> None:
        super().__init__()
        below = [*channels[1:], inputs[-1]]
        self.steps = nn.ModuleList(
            UpCat(spatial_dims, *three, **_STYLE) for three in zip(below, inputs, channels)
        )

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the output at each level but the deepest, the finest first."""
        out = [maps[-1]]
        for step, skip in zip(reversed(self.steps), maps[-2::-1]):
            out.append(step(out[-1], skip))
        return out[:0:-1]


class EarlyFusion(nn.Module):
    """One encoder that reads CT and PET as channels of one image.

    Parameters
    ----------
    in_channels : int
        Channels of each of the two scans.
    channels, spatial_dims
        As for `Pyramid`.

    Attributes
    ----------
    out_channels : tuple of int
        Channels of the maps of each level.

    Examples
    --------
    >>> scan = torch.zeros(1, 1, 8, 8)
    >>> [tuple(one.shape) for one in EarlyFusion(1, (4, 8), 2)(scan, scan)]
    [(1, 4, 8, 8), (1, 8, 4, 4)]
    """

    def __init__(self, in_channels: int, channels: Sequence[int], spatial_dims: int) -> None:
        super().__init__()
        self.both = Pyramid(2 * in_channels, channels, spatial_dims)
        self.out_channels = tuple(channels)

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> list[torch.Tensor]:
        """Return one map per level, the finest first."""
        return self.both(torch.cat([ct, pet], 1))


class PETAttention(nn.Module):
    """Encoder of CT whose maps are multiplied by an attention map, which a small U-Net computes from PET.

    Parameters
    ----------
    in_channels, channels, spatial_dims
        As for `EarlyFusion`. The U-Net of PET has half the channels, but at least 4.

    Attributes
    ----------
    out_channels : tuple of int
        Channels of the maps of each level.

    References
    ----------
    Fu et al. 2021, "Multimodal spatial attention module for targeting multimodal PET-CT lung tumor
    segmentation", IEEE JBHI (MSAM).

    Examples
    --------
    >>> scan = torch.zeros(1, 1, 8, 8)
    >>> [tuple(one.shape) for one in PETAttention(1, (4, 8), 2)(scan, scan)]
    [(1, 4, 8, 8), (1, 8, 4, 4)]
    """

    def __init__(self, in_channels: int, channels: Sequence[int], spatial_dims: int) -> None:
        super().__init__()
        self.ct = Pyramid(in_channels, channels, spatial_dims)
        half = [max(n // 8 * 4, 4) for n in channels]
        self.pet = Pyramid(in_channels, half, spatial_dims)
        self.up = UpPath(half, half[:-1], spatial_dims)
        self.squeeze = Conv[Conv.CONV, spatial_dims](half[0], 1, 1)
        self.pool = (F.avg_pool2d, F.avg_pool3d)[spatial_dims - 2]
        self.out_channels = tuple(channels)

    def attention(self, pet: torch.Tensor) -> torch.Tensor:
        """Return the attention map of a PET in (0, 1), shape (b, 1, *space)."""
        return torch.sigmoid(self.squeeze(self.up(self.pet(pet))[0]))

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> list[torch.Tensor]:
        """Return one map per level, the finest first."""
        seen, maps = self.attention(pet), self.ct(ct)
        return [one * (self.pool(seen, 2**k) if k else seen) for k, one in enumerate(maps)]


class DualEncoders(nn.Module):
    """Encoders of CT and of PET, whose maps are weighted by multi-scale spatial gates and concatenated.

    Parameters
    ----------
    in_channels, channels, spatial_dims
        As for `EarlyFusion`.

    Attributes
    ----------
    out_channels : tuple of int
        Channels of the maps of each level, 2 * channels.

    References
    ----------
    Huang et al. 2022, "ISA-Net: improved spatial attention network for PET-CT tumor segmentation".

    Examples
    --------
    >>> scan = torch.zeros(1, 1, 8, 8)
    >>> [tuple(one.shape) for one in DualEncoders(1, (4, 8), 2)(scan, scan)]
    [(1, 8, 8, 8), (1, 16, 4, 4)]
    """

    def __init__(self, in_channels: int, channels: Sequence[int], spatial_dims: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(Pyramid(in_channels, channels, spatial_dims) for _ in range(2))
        self.gates = nn.ModuleList(
            nn.ModuleList(MultiScaleGate(n, spatial_dims=spatial_dims) for n in channels) for _ in range(2)
        )
        self.out_channels = tuple(2 * n for n in channels)

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> list[torch.Tensor]:
        """Return one map per level, the finest first."""
        gated = [
            [one * (1 + gate(one)) for one, gate in zip(encoder(scan), gates)]
            for encoder, gates, scan in zip(self.encoders, self.gates, (ct, pet))
        ]
        return [torch.cat(pair, 1) for pair in zip(*gated)]
