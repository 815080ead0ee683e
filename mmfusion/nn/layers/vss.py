"""Blocks of VMamba networks, and layers that halve or double the sides of a map. Channels are last."""

from __future__ import annotations

import torch
from einops import rearrange
from monai.networks.layers import DropPath
from torch import nn
from torch.nn import functional as F

from mmfusion.nn.layers.gates import ChannelGate
from mmfusion.nn.layers.ssm import SS2D


class VSSBlock(nn.Module):
    """Visual state space block: x + SS2D(LayerNorm(x)), without a feed-forward layer.

    Parameters
    ----------
    d : int
        Channels.
    n_states : int
        Numbers in the state of each channel of the scan.
    drop_path : float in [0, 1]
        Share of the training samples for which the block is skipped.

    References
    ----------
    Liu et al. 2024, "VMamba: visual state space model", NeurIPS.

    Examples
    --------
    >>> VSSBlock(8)(torch.zeros(2, 5, 7, 8)).shape
    torch.Size([2, 5, 7, 8])
    """

    def __init__(self, d: int, *, n_states: int = 16, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm, self.scan, self.drop = nn.LayerNorm(d), SS2D(d, n_states), DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map after the block, shape (b, h, w, d)."""
        return x + self.drop(self.scan(self.norm(x)))


class ChannelVSSBlock(nn.Module):
    """Block of the decoder: s1 x + SS2D(LayerNorm(x)), then s2 x + gated convolutions of LayerNorm(x).

    The convolutions are 3 x 3 from d to d / 3 channels and back. A gate weights their channels. s1 and s2
    have one number per channel and start at 1.

    Parameters
    ----------
    d : int
        Channels.
    n_states : int
        Numbers in the state of each channel of the scan.
    drop_path : float in [0, 1]
        Share of the training samples for which the scan is skipped.

    References
    ----------
    Wan et al. 2024, "Sigma: siamese Mamba network for multi-modal semantic segmentation".

    Examples
    --------
    >>> ChannelVSSBlock(8)(torch.zeros(2, 5, 7, 8)).shape
    torch.Size([2, 5, 7, 8])
    """

    def __init__(self, d: int, *, n_states: int = 4, drop_path: float = 0.0) -> None:
        super().__init__()
        narrow = max(d // 3, 1)
        self.norm, self.scan, self.drop = nn.LayerNorm(d), SS2D(d, n_states), DropPath(drop_path)
        self.conv_norm = nn.LayerNorm(d)
        self.conv = nn.Sequential(
            nn.Conv2d(d, narrow, 3, padding=1), nn.GELU(), nn.Conv2d(narrow, d, 3, padding=1)
        )
        self.gate = ChannelGate(d, reduction=30, spatial_dims=2)
        self.scale, self.conv_scale = nn.Parameter(torch.ones(d)), nn.Parameter(torch.ones(d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map after the block, shape (b, h, w, d)."""
        x = self.scale * x + self.drop(self.scan(self.norm(x)))
        y = self.conv(rearrange(self.conv_norm(x), "b h w d -> b d h w"))
        return self.conv_scale * x + rearrange(y * self.gate(y), "b d h w -> b h w d")


class PatchMerging(nn.Module):
    """Layer that halves the sides of a map and doubles its channels: 2 x 2 pixels become one.

    Parameters
    ----------
    d : int
        Channels of the input.

    References
    ----------
    Liu et al. 2021, "Swin transformer", ICCV, section 3.1.

    Examples
    --------
    >>> PatchMerging(8)(torch.zeros(2, 4, 6, 8)).shape
    torch.Size([2, 2, 3, 16])
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * d), nn.Linear(4 * d, 2 * d, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the smaller map, (b, h / 2, w / 2, 2 d); an odd side is padded by a copy of its edge."""
        _, h, w, _ = x.shape
        if h % 2 or w % 2:
            x = rearrange(x, "b h w d -> b d h w")
            x = F.pad(x, (0, w % 2, 0, h % 2), mode="replicate")
            x = rearrange(x, "b d h w -> b h w d")
        return self.reduce(self.norm(rearrange(x, "b (h i) (w j) d -> b h w (j i d)", i=2, j=2)))


class PatchExpand(nn.Module):
    """Layer that doubles the sides of a map and halves its channels: one pixel becomes 2 x 2.

    Parameters
    ----------
    d : int
        Channels of the input, an even number.

    References
    ----------
    Cao et al. 2021, "Swin-Unet".

    Examples
    --------
    >>> PatchExpand(8)(torch.zeros(2, 4, 6, 8)).shape
    torch.Size([2, 8, 12, 4])
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.expand, self.norm = nn.Linear(d, 2 * d, bias=False), nn.LayerNorm(d // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the larger map, shape (b, 2 h, 2 w, d / 2)."""
        return self.norm(rearrange(self.expand(x), "b h w (i j d) -> b (h i) (w j) d", i=2, j=2))


class LinearUpsample(nn.Module):
    """Layer that changes the channels of a map, then doubles its sides by bilinear interpolation.

    Parameters
    ----------
    d, out : int
        Channels of the input and the output.
    norm : bool
        Apply a layer norm to the result.

    Examples
    --------
    >>> LinearUpsample(8, 4)(torch.zeros(2, 4, 6, 8)).shape
    torch.Size([2, 8, 12, 4])
    """

    def __init__(self, d: int, out: int, *, norm: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(d, out, bias=False)
        self.norm = nn.LayerNorm(out) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the larger map, shape (b, 2 h, 2 w, out)."""
        x = rearrange(self.linear(x), "b h w d -> b d h w")
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
        return self.norm(rearrange(x, "b d h w -> b h w d"))
