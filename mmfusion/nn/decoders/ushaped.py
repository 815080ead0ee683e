"""U-shaped decoder: the maps of a backbone are joined from coarse to fine by skip connections."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.basic_unet import UpCat
from torch import nn

from mmfusion.nn.layers.norms import INSTANCE


class UShapedDecoder(nn.Module):
    """Decoder of a U-Net: x <- two convolutions of [up(x); E_i], from coarse to fine (MONAI's `UpCat`).

    Parameters
    ----------
    in_channels : sequence of int
        Channels of the maps, from fine to coarse.
    spatial_dims : {2, 3}
        Axes in space.

    Attributes
    ----------
    channels : tuple of int
        Channels of each output, which are those of the inputs.

    References
    ----------
    Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", MICCAI.

    Examples
    --------
    >>> decoder = UShapedDecoder((8, 16), spatial_dims=2)
    >>> [tuple(one.shape) for one in decoder([torch.rand(1, 8, 16, 16), torch.rand(1, 16, 8, 8)])]
    [(1, 8, 16, 16), (1, 16, 8, 8)]
    """

    def __init__(self, in_channels: Sequence[int], *, spatial_dims: int = 3) -> None:
        super().__init__()
        self.channels = tuple(in_channels)
        pairs = zip(self.channels[:-1], self.channels[1:], strict=True)
        self.steps = nn.ModuleList(
            UpCat(
                spatial_dims,
                in_chns=coarse,
                cat_chns=fine,
                out_chns=fine,
                act="GELU",
                norm=INSTANCE,
                bias=False,
                upsample="nontrainable",
                align_corners=False,
            )
            for fine, coarse in pairs
        )

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return one map for each map, on the same grid, from fine to coarse."""
        decoded = [maps[-1]]
        for step, skip in zip(reversed(self.steps), reversed(maps[:-1]), strict=True):
            decoded.append(step(decoded[-1], skip))
        return decoded[::-1]
