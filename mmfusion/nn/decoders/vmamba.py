"""Decoder with state space blocks and a gate of the channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.layers.vss import ChannelVSSBlock, LinearUpsample, PatchExpand


class VMambaDecoder(nn.Module):
    """Decoder of maps at strides 4, 8, 16, ...: from the deepest to a mask of the size of the image.

    Each level adds the map of the encoder and applies blocks. The sides double between the levels, and twice
    at the end.

    Parameters
    ----------
    channels : sequence of int
        Channels of the maps; each has twice as many as the one before.
    depth : int
        Blocks of each level.
    n_states : int
        Numbers in the state of each channel of the scans.
    drop_path : float in [0, 1]
        Share of the training samples for which the scan of a block is skipped.

    References
    ----------
    Wan et al. 2024, "Sigma: siamese Mamba network for multi-modal semantic segmentation".

    Examples
    --------
    >>> maps = [torch.zeros(2, 4, 8, 8), torch.zeros(2, 8, 4, 4)]
    >>> VMambaDecoder((4, 8), depth=1)(maps).shape
    torch.Size([2, 1, 32, 32])
    """

    def __init__(
        self, channels: Sequence[int], depth: int = 4, *, n_states: int = 4, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        *upper, deepest = channels
        upper = upper[::-1]
        self.rise = nn.ModuleList([PatchExpand(deepest), *(LinearUpsample(d, d // 2) for d in upper[:-1])])
        self.levels = nn.ModuleList(
            nn.Sequential(*(ChannelVSSBlock(d, n_states=n_states, drop_path=drop_path) for _ in range(depth)))
            for d in upper
        )
        last = channels[0]
        self.finish = nn.Sequential(LinearUpsample(last, last, norm=False), LinearUpsample(last, last))
        self.head = nn.Conv2d(last, 1, 1)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the logits of the mask, shape (b, 1, y, x).

        Parameters
        ----------
        maps : sequence of Tensor, shapes (b, channels[i], y / strides[i], x / strides[i])
            Maps of the encoder, the one with the smallest stride first.
        """
        *skips, x = (rearrange(one, "b d h w -> b h w d").contiguous() for one in maps)
        for rise, level, skip in zip(self.rise, self.levels, reversed(skips), strict=True):
            x = level(rise(x) + skip)
        return self.head(rearrange(self.finish(x), "b h w d -> b d h w"))
