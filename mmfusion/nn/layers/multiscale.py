"""Multi-scale stem: convolutions with several sizes of the receptive field, side by side."""

from __future__ import annotations

import torch
from monai.networks.blocks import Convolution
from torch import nn
from torch.nn import functional as F

from mmfusion.nn.layers.resize import resized


class MultiScaleStem(nn.Module):
    """Four branches side by side: fine, middle, coarse and pooled; their outputs are concatenated.

    "fine" is a convolution of side 3, "middle" one of side 5, "coarse" one of side 3 with a dilation of 3,
    which spans 7 voxels. "pooled" is a convolution of side 3 on the map at half resolution. Batch norm and
    ReLU follow each of them.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    channels : int
        Channels of each branch.
    spatial_dims : {2, 3}
        Axes in space.

    Attributes
    ----------
    out_channels : int
        Channels of the output, 4 * channels.

    Examples
    --------
    >>> MultiScaleStem(1, 8, spatial_dims=2)(torch.zeros(2, 1, 12, 12)).shape
    torch.Size([2, 32, 12, 12])
    """

    def __init__(self, in_channels: int, channels: int, *, spatial_dims: int = 3) -> None:
        super().__init__()
        self.out_channels = 4 * channels

        def branch(kernel: int, dilation: int = 1) -> Convolution:
            return Convolution(
                spatial_dims, in_channels, channels, kernel_size=kernel, dilation=dilation,
                act="relu", norm="batch", bias=False,
            )  # fmt: skip

        self.fine, self.middle, self.coarse = branch(3), branch(5), branch(3, dilation=3)
        self.pooled = branch(3)
        self.pool = (F.avg_pool2d, F.avg_pool3d)[spatial_dims - 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map, (b, in_channels, *space) -> (b, out_channels, *space); sides are 2 or more."""
        pooled = resized(self.pooled(self.pool(x, 2)), x.shape[2:])
        return torch.cat([self.fine(x), self.middle(x), self.coarse(x), pooled], 1)
