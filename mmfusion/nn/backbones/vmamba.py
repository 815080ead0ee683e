"""VMamba encoder: stages of visual state space blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.layers.vss import PatchMerging, VSSBlock


class VMamba(nn.Module):
    """Encoder of images with state space blocks; it returns a map of each stage, at strides 4, 8, 16, ...

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    width : int
        Channels of the first stage; each further stage has twice as many.
    depths : sequence of int
        Blocks of each stage.
    drop_path : float in [0, 1]
        Share of the training samples for which the last block is skipped. It rises linearly from 0 in the
        first block.

    Attributes
    ----------
    channels, strides : tuple of int
        Channels and strides of the maps.

    References
    ----------
    Liu et al. 2024, "VMamba: visual state space model", NeurIPS.

    Examples
    --------
    >>> encoder = VMamba(1, width=4, depths=(1, 1))
    >>> [tuple(one.shape) for one in encoder(torch.zeros(2, 1, 16, 24))]
    [(2, 4, 4, 6), (2, 8, 2, 3)]
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 96,
        depths: Sequence[int] = (2, 2, 9, 2),
        *,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = tuple(width * 2**stage for stage in range(len(depths)))
        self.strides = tuple(4 * 2**stage for stage in range(len(depths)))
        rates = iter(torch.linspace(0, drop_path, sum(depths), device="cpu").tolist())
        self.embed = nn.Conv2d(in_channels, width, 4, stride=4)
        self.embed_norm = nn.LayerNorm(width)
        self.stages = nn.ModuleList(
            nn.Sequential(*(VSSBlock(d, drop_path=next(rates)) for _ in range(depth)))
            for d, depth in zip(self.channels, depths, strict=True)
        )
        self.merges = nn.ModuleList(PatchMerging(d) for d in self.channels[:-1])
        self.norms = nn.ModuleList(nn.LayerNorm(d) for d in self.channels)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of all stages, each of shape (b, channels[i], y / strides[i], x / strides[i]).

        Parameters
        ----------
        x : Tensor, shape (b, c, y, x)
            Images. Their sides are multiples of 4.
        """
        x = self.embed_norm(rearrange(self.embed(x), "b d h w -> b h w d"))
        maps = []
        for k, (stage, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            x = stage(self.merges[k - 1](x) if k else x)
            maps.append(rearrange(norm(x), "b h w d -> b d h w"))
        return maps
