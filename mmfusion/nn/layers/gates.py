"""Gates: weights between 0 and 1 for the channels and the positions of a map, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv, Norm
from torch import nn
from torch.nn import functional as F

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.resize import LINEAR


class ChannelGate(nn.Module):
    """Weights of the channels: sigmoid(MLP(mean over space) + MLP(maximum over space)).

    Parameters
    ----------
    channels : int
        Channels of the map, C.
    reduction : int
        The hidden layer of the MLP has 1 / `reduction` of the MLP's inputs, but at least 4 units.
    spatial_dims : {2, 3}
        Axes in space.
    condition_channels : int
        Channels of `condition`, a second map that the MLP reads beside the first; 0 if there is none.

    References
    ----------
    Woo et al. 2018, "CBAM: convolutional block attention module", ECCV, equation 2.

    Examples
    --------
    >>> ChannelGate(6, spatial_dims=2)(torch.zeros(2, 6, 5, 7)).shape
    torch.Size([2, 6, 1, 1])
    """

    def __init__(
        self, channels: int, reduction: int = 8, spatial_dims: int = 3, condition_channels: int = 0
    ) -> None:
        super().__init__()
        conv, inputs = Conv[Conv.CONV, spatial_dims], channels + condition_channels
        hidden = max(inputs // reduction, 4)
        self.condition_channels = condition_channels
        self.mlp = nn.Sequential(conv(inputs, hidden, 1), nn.ReLU(), conv(hidden, channels, 1))

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return the weights of the channels in (0, 1), shape (b, C, 1, ..., 1).

        Parameters
        ----------
        x : Tensor, shape (b, C, *space)
            Map.
        condition : Tensor, shape (b, condition_channels, *space), optional
            Second map, which may have other sides.

        Raises
        ------
        MMFusionError
            If `condition` does not have `condition_channels` channels.
        """
        _check(condition, self.condition_channels)
        maps = (x,) if condition is None else (x, condition)
        axes = tuple(range(2, x.ndim))
        mean = torch.cat([one.mean(axes, keepdim=True) for one in maps], 1)
        peak = torch.cat([one.amax(axes, keepdim=True) for one in maps], 1)
        return torch.sigmoid(self.mlp(mean) + self.mlp(peak))


class SpatialGate(nn.Module):
    """Weights of the positions: sigmoid(conv([mean over channels; maximum over channels])).

    Parameters
    ----------
    kernel : int
        Side of the convolution, an odd number of voxels.
    spatial_dims : {2, 3}
        Axes in space.

    References
    ----------
    Woo et al. 2018, "CBAM: convolutional block attention module", ECCV, equation 3.

    Examples
    --------
    >>> SpatialGate(3, spatial_dims=2)(torch.zeros(2, 6, 5, 7)).shape
    torch.Size([2, 1, 5, 7])
    """

    def __init__(self, kernel: int = 7, spatial_dims: int = 3) -> None:
        super().__init__()
        self.conv = Conv[Conv.CONV, spatial_dims](2, 1, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weights of a map (b, C, *space) in (0, 1), shape (b, 1, *space)."""
        return torch.sigmoid(self.conv(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


class MultiScaleGate(nn.Module):
    """Weights of the positions, from convolutions of several sizes side by side, as in ISA-Net.

    Parameters
    ----------
    channels : int
        Channels of the map, C.
    kernels : sequence of int
        Sides of the convolutions, odd numbers of voxels.
    reduction : int
        The convolutions read and give C / `reduction` channels, but at least 4.
    spatial_dims : {2, 3}
        Axes in space.

    References
    ----------
    Huang et al. 2022, "ISA-Net: improved spatial attention network for PET-CT tumor segmentation".

    Examples
    --------
    >>> MultiScaleGate(6, spatial_dims=2)(torch.zeros(2, 6, 5, 7)).shape
    torch.Size([2, 1, 5, 7])
    """

    def __init__(
        self, channels: int, kernels: Sequence[int] = (3, 5, 7), reduction: int = 8, spatial_dims: int = 3
    ) -> None:
        super().__init__()
        conv, hidden = Conv[Conv.CONV, spatial_dims], max(channels // reduction, 4)
        self.squeeze = conv(channels, hidden, 1)
        self.scales = nn.ModuleList(conv(hidden, hidden, k, padding=k // 2) for k in kernels)
        self.join = conv(hidden * len(self.scales), 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weights of a map (b, C, *space) in (0, 1), shape (b, 1, *space)."""
        x = self.squeeze(x).relu()
        return torch.sigmoid(self.join(torch.cat([scale(x).relu() for scale in self.scales], 1)))


class ResidualGate(nn.Module):
    """A map plus its gated copies: x + M_s x + M_c x ("sum"), or x + M_c M_s x ("product").

    M_c are the weights of a `ChannelGate` and M_s those of a `SpatialGate`.

    Parameters
    ----------
    channels : int
        Channels of the map, C.
    combine : {"sum", "product"}
        How the two gates are joined. "sum" is the residual attention of RAEMD-Net.
    reduction, kernel, spatial_dims, condition_channels
        As for `ChannelGate` and `SpatialGate`. With `condition_channels`, both gates also read `condition`.

    Raises
    ------
    MMFusionError
        If there is no such `combine`.

    Examples
    --------
    >>> gate = ResidualGate(6, "product", spatial_dims=2)
    >>> gate(torch.ones(2, 6, 5, 7)).shape
    torch.Size([2, 6, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        combine: str = "sum",
        *,
        reduction: int = 8,
        kernel: int = 7,
        spatial_dims: int = 3,
        condition_channels: int = 0,
    ) -> None:
        super().__init__()
        if combine not in _COMBINE:
            raise MMFusionError("unknown way to join two gates", expected=", ".join(_COMBINE), got=combine)
        self.combine = combine
        self.channel = ChannelGate(channels, reduction, spatial_dims, condition_channels)
        self.spatial = SpatialGate(kernel, spatial_dims)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return the gated map, shape (b, C, *space) as `x`.

        `condition` has the shape (b, condition_channels, *space), on the same grid as `x`.
        """
        channel = self.channel(x, condition)
        spatial = self.spatial(x if condition is None else torch.cat([x, condition], 1))
        return x + _COMBINE[self.combine](channel, spatial) * x


class CueGate(nn.Module):
    """A map plus a copy that a cue gates: x + x sigmoid(norm(conv(cue))), as the boxes of RA-Seg do.

    Parameters
    ----------
    channels : int
        Channels of the map, C.
    spatial_dims : {2, 3}
        Axes in space.

    Notes
    -----
    The convolution pads the cue with copies of its border, so that a constant cue gives the same weights
    everywhere.

    References
    ----------
    Gollini et al. 2022, arXiv 2211.06620, equation 1.

    Examples
    --------
    >>> CueGate(6, spatial_dims=2)(torch.zeros(2, 6, 4, 4), torch.ones(2, 1, 16, 16)).shape
    torch.Size([2, 6, 4, 4])
    """

    def __init__(self, channels: int, spatial_dims: int = 3) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims](1, channels, 3, padding=1, padding_mode="replicate")
        self.gate = nn.Sequential(conv, Norm[Norm.BATCH, spatial_dims](channels), nn.Sigmoid())
        self.mode = LINEAR[spatial_dims]

    def forward(self, x: torch.Tensor, cue: torch.Tensor) -> torch.Tensor:
        """Return the gated map, shape (b, C, *space), from a cue (b, 1, *finer space) in [0, 1]."""
        return x + x * self.gate(F.interpolate(cue, size=x.shape[2:], mode=self.mode))


_COMBINE = {"sum": torch.add, "product": torch.mul}


def _check(condition: torch.Tensor | None, channels: int) -> None:
    got = 0 if condition is None else condition.shape[1]
    if got != channels:
        raise MMFusionError("a gate cannot read this condition", expected=f"{channels} channels", got=got)
