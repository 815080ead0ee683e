"""Head of a decoder: the finest map is resized to the grid of the scan and mapped to logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution
from torch import nn

from mmfusion.nn.layers.resize import resized
from mmfusion.nn.layers.separable import conv3


class MaskHead(nn.Module):
    """Logits of a mask: conv3 (P to P / 2), upsampling, conv3 (P / 2 to P / 4), conv1 (to 1).

    Parameters
    ----------
    channels : int
        Channels of the map, P.
    spatial_dims : {2, 3}
        Axes in space.

    Examples
    --------
    >>> MaskHead(8, spatial_dims=2)(torch.rand(1, 8, 16, 16), (32, 32)).shape
    torch.Size([1, 1, 32, 32])
    """

    def __init__(self, channels: int, *, spatial_dims: int = 3) -> None:
        super().__init__()
        half, quarter = max(channels // 2, 1), max(channels // 4, 1)
        self.coarse = conv3(spatial_dims, channels, half, separable=False, ordering="NA")
        self.fine = conv3(spatial_dims, half, quarter, separable=False, ordering="NA")
        self.logits = Convolution(spatial_dims, quarter, 1, kernel_size=1, conv_only=True)

    def forward(self, x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Return logits of shape (b, 1, *size) for a map of shape (b, P, *space)."""
        return self.logits(self.fine(resized(self.coarse(x), size)))
