"""Region interaction: each small region of one scan is combined with one token of the other scan."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from mmfusion.nn.layers.norms import BatchNorm2d
from mmfusion.nn.layers.ssm import SS2D

_SIDE = 4  # of a region, pixels


class RegionInteraction(nn.Module):
    """Dynamic cross-modality interaction of CIPA: regions of 4 x 4 pixels of the CT, tokens of the PET.

    The map of PET is reduced to one token per region, and a selective scan runs over all tokens. Another
    selective scan runs over the pixels of CT inside each region. Then the token of a region is added to all
    of its pixels.

    Parameters
    ----------
    channels : int
        Channels of each map, C.

    References
    ----------
    Mei et al. 2025, "Cross-modal interactive perception network with Mamba for lung tumor segmentation in
    PET-CT images", CVPR, dynamic cross-modality interaction module.

    Examples
    --------
    >>> RegionInteraction(8)(torch.zeros(2, 8, 6, 8), torch.zeros(2, 8, 6, 8)).shape
    torch.Size([2, 8, 6, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [max(channels // part, 1) for part in (16, 8, 4)]
        self.inner = nn.Sequential(_conv(channels, widths[2]), _conv(widths[2], channels))
        self.outer = nn.Sequential(
            _conv(channels, widths[0]),
            _conv(widths[0], widths[1], stride=2),
            _conv(widths[1], widths[2], stride=2),
            _conv(widths[2], channels),
        )
        self.inner_norm, self.inner_scan = nn.LayerNorm((_SIDE, _SIDE, channels)), SS2D(channels)
        self.outer_norm, self.outer_scan = nn.LayerNorm(channels), SS2D(channels)

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> torch.Tensor:
        """Return the fused map, shape (b, C, y, x) as `ct` and `pet`.

        Sides that are not multiples of 4 are padded with copies of the edge, and the result is cropped.
        """
        h, w = ct.shape[2:]
        tokens = rearrange(self.outer(pet), "b d r s -> b r s d")
        tokens = tokens + self.outer_scan(self.outer_norm(tokens))
        r, s = tokens.shape[1:3]
        pixels = F.pad(self.inner(ct), (0, s * _SIDE - w, 0, r * _SIDE - h), mode="replicate")
        regions = rearrange(pixels, "b d (r i) (s j) -> (b r s) i j d", i=_SIDE, j=_SIDE)
        regions = regions + self.inner_scan(self.inner_norm(regions))
        regions = regions + rearrange(tokens, "b r s d -> (b r s) 1 1 d")
        return rearrange(regions, "(b r s) i j d -> b d (r i) (s j)", r=r, s=s)[..., :h, :w]


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), BatchNorm2d(outputs), nn.ReLU()
    )
