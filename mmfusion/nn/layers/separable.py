"""Convolution of 3 voxels, full or depthwise separable, with an optional norm and activation."""

from __future__ import annotations

from monai.networks.blocks import Convolution
from torch import nn

from mmfusion.nn.layers.norms import INSTANCE


def conv3(
    spatial_dims: int,
    in_channels: int,
    out_channels: int,
    *,
    stride: int = 1,
    separable: bool = True,
    ordering: str = "A",
) -> nn.Module:
    """Return a convolution with kernel 3 and padding 1.

    Parameters
    ----------
    spatial_dims : {2, 3}
        Axes in space.
    in_channels, out_channels : int
        Channels of the input and of the output.
    stride : int
        Stride.
    separable : bool
        True: a convolution of each channel alone, then a mixture of the channels at each position (Chollet
        2017, "Xception", CVPR). With P channels in and out it has 27 P + P^2 weights in 3-D, and the full
        convolution 27 P^2.
    ordering : str
        Layers after the convolution, as in MONAI's `Convolution`: "N" is an instance norm, "A" a GELU, ""
        nothing.

    Examples
    --------
    >>> [sum(p.numel() for p in conv3(3, 64, 64, separable=s).parameters()) for s in (True, False)]
    [5952, 110656]
    """
    after = {"adn_ordering": ordering, "act": "GELU", "norm": INSTANCE}
    if not separable:
        return Convolution(spatial_dims, in_channels, out_channels, strides=stride, kernel_size=3, **after)
    return nn.Sequential(
        Convolution(
            spatial_dims,
            in_channels,
            in_channels,
            strides=stride,
            kernel_size=3,
            groups=in_channels,
            conv_only=True,
        ),
        Convolution(spatial_dims, in_channels, out_channels, kernel_size=1, **after),
    )
