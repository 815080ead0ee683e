"""Dense block with a shortcut: each convolution reads the outputs of all before it."""

from __future__ import annotations

import torch
from monai.networks.blocks import DenseBlock
from monai.networks.layers.factories import Conv, Norm
from torch import nn


class ResidualDenseBlock(nn.Module):
    """Dense block plus its input, which a convolution of side 1 brings to the same number of channels.

    Each layer is norm, ReLU, convolution of side 1 to 4 `growth` channels, norm, ReLU, convolution of side 3.

    Parameters
    ----------
    channels : int
        Channels of the input, C.
    growth : int
        Channels that each layer adds.
    layers : int
        Number of layers.
    spatial_dims : {2, 3}
        Axes in space.

    Attributes
    ----------
    out_channels : int
        Channels of the output, C + layers * growth.

    References
    ----------
    Huang et al. 2017, "Densely connected convolutional networks", CVPR (DenseNet-B).

    Examples
    --------
    >>> ResidualDenseBlock(8, growth=4, layers=3, spatial_dims=2)(torch.zeros(2, 8, 6, 6)).shape
    torch.Size([2, 20, 6, 6])
    """

    def __init__(self, channels: int, *, growth: int, layers: int, spatial_dims: int = 3) -> None:
        super().__init__()
        self.out_channels = channels + layers * growth
        inputs = range(channels, self.out_channels, growth)
        self.dense = DenseBlock([_layer(n, growth, spatial_dims) for n in inputs])
        self.shortcut = Conv[Conv.CONV, spatial_dims](channels, self.out_channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map, (b, C, *space) -> (b, out_channels, *space)."""
        return self.dense(x) + self.shortcut(x)


def _layer(channels: int, growth: int, spatial_dims: int) -> nn.Sequential:
    conv, norm = Conv[Conv.CONV, spatial_dims], Norm[Norm.BATCH, spatial_dims]
    wide = 4 * growth
    return nn.Sequential(
        norm(channels),
        nn.ReLU(),
        conv(channels, wide, 1, bias=False),
        norm(wide),
        nn.ReLU(),
        conv(wide, growth, 3, padding=1, bias=False),
    )
