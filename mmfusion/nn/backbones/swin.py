"""Swin transformer: feature maps at strides 2, 4, 8, ..., from attention within shifted windows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import PatchEmbed
from monai.networks.nets.swin_unetr import BasicLayer, PatchMerging
from torch import nn
from torch.nn import functional as F

from mmfusion.errors import MMFusionError

PATCH = 2


class SwinBackbone(nn.Module):
    """Swin transformer in two or three dimensions, from the blocks of MONAI's `SwinTransformer`.

    The first map is the embedding of patches of 2 voxels. Each stage of transformer blocks then halves the
    sides and doubles the channels. The channels of each map are normalised at each position.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    spatial_dims : {2, 3}
        Axes in space.
    embed_dim : int
        Channels of the first map.
    depths : sequence of int
        Transformer blocks of each stage. The number of maps is the number of stages + 1.
    heads : sequence of int
        Attention heads of each stage.
    window : int
        Side of a window, in positions of the map.
    drop_path : float in [0, 1)
        Probability with which the last block is skipped in training. It rises from 0 at the first block.

    Attributes
    ----------
    channels, strides : tuple of int
        Channels and stride of each map, from fine to coarse.

    Raises
    ------
    MMFusionError
        If `depths` and `heads` differ in length, or the heads do not divide the channels.

    References
    ----------
    Liu et al. 2021, "Swin transformer: hierarchical vision transformer using shifted windows", ICCV.

    Examples
    --------
    >>> backbone = SwinBackbone(spatial_dims=2, embed_dim=12, depths=(1, 1, 1), heads=(3, 3, 6), window=4)
    >>> backbone.channels, backbone.strides
    ((12, 24, 48, 96), (2, 4, 8, 16))
    >>> [tuple(one.shape) for one in backbone(torch.zeros(1, 1, 32, 32))][-1]
    (1, 96, 2, 2)
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        spatial_dims: int = 3,
        embed_dim: int = 48,
        depths: Sequence[int] = (2, 2, 2),
        heads: Sequence[int] = (3, 6, 12),
        window: int = 7,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [embed_dim * 2**stage for stage in range(len(depths) + 1)]
        if len(depths) != len(heads) or any(c % h for c, h in zip(widths, heads, strict=False)):
            raise MMFusionError(
                "these attention heads do not fit the stages",
                expected=f"{len(depths)} numbers that divide {', '.join(map(str, widths[:-1]))}",
                got=tuple(heads),
            )
        self.channels = tuple(widths)
        self.strides = tuple(PATCH * 2**stage for stage in range(len(widths)))
        self.embed = PatchEmbed(
            patch_size=PATCH,
            in_chans=in_channels,
            embed_dim=embed_dim,
            norm_layer=None,
            spatial_dims=spatial_dims,
        )
        # plain numbers, because MONAI's own list cannot be made on the meta device
        rates = [drop_path * k / max(sum(depths) - 1, 1) for k in range(sum(depths))]
        self.stages = nn.ModuleList(
            BasicLayer(
                dim=widths[stage],
                depth=depths[stage],
                num_heads=heads[stage],
                window_size=(window,) * spatial_dims,
                drop_path=rates[sum(depths[:stage]) : sum(depths[: stage + 1])],
                qkv_bias=True,
                downsample=PatchMerging,
            )
            for stage in range(len(depths))
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps from fine to coarse.

        Parameters
        ----------
        x : Tensor, shape (b, in_channels, *space)
            Scans. Sides that are not multiples of a stride are padded with zeros at the end.

        Returns
        -------
        list of Tensor, shape (b, channels[k], *(space / strides[k]))
        """
        x = self.embed(x)
        maps = [_normalised(x)]
        for stage in self.stages:
            x = stage(x.contiguous())
            maps.append(_normalised(x))
        return maps


def _normalised(x: torch.Tensor) -> torch.Tensor:
    """Return a map whose channels have mean 0 and variance 1 at each position."""
    return F.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1)
