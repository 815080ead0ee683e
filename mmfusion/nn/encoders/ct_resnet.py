"""Encoder of scans: a small 3D ResNet with one token per octant of the crop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from monai.networks.nets.resnet import ResNet, ResNetBlock
from torch import nn

from mmfusion.nn.encoders.base import Encoder
from mmfusion.nn.layers.pooling import adaptive_mean
from mmfusion.registry import ENCODERS
from mmfusion.streams import CUBE, StreamSpec

_OCTANTS = 2  # per axis; 2 x 2 x 2 = 8 tokens
_MAP_SIDE = 8  # smallest side of the map that is explained, if the crop is large enough
# group norm, because batch statistics would make a patient's output depend on the other patients
_NORM = ("group", {"num_groups": 8})


class _Trunk(ResNet):
    """MONAI's ResNet with group norm in all layers; its argument `norm` sets only the first (1.6.1)."""

    def _make_layer(self, *args: object, **kwargs: object) -> nn.Sequential:
        return super()._make_layer(*args, **{**kwargs, "norm": _NORM})


@ENCODERS.register("ct_resnet", modality="ct, pet", paper="He et al. 2016, CVPR; MONAI ResNet")
class CTResNet(Encoder):
    """3D ResNet with group normalisation and eight tokens, one per octant of the crop.

    Parameters
    ----------
    spec : StreamSpec
        Stream of cubes, shape (1, S, S, S).
    d, dropout
        Width of the tokens; dropout rate of the tokens.
    widths : sequence of int
        Number of channels of each stage, a multiple of 8.
    layers : sequence of int
        Number of residual blocks of each stage.
    conv1 : int
        Kernel size of the first convolution, which has stride 2.
    max_pool : bool
        Pool after the first convolution, as the original network does. Use it for large crops.

    Notes
    -----
    Input (b, 1, S, S, S) float32 in [0, 1]; output (b, 8, d).

    Examples
    --------
    >>> encoder = CTResNet(StreamSpec("ct", "ct", (1, 16, 16, 16)), d=8)
    >>> encoder(torch.zeros(2, 1, 16, 16, 16)).shape
    torch.Size([2, 8, 8])
    """

    reads = CUBE
    n_tokens = _OCTANTS**3

    def __init__(
        self,
        spec: StreamSpec,
        d: int = 32,
        dropout: float = 0.3,
        *,
        widths: Sequence[int] = (8, 16, 32, 64),
        layers: Sequence[int] = (1, 1, 1, 1),
        conv1: int = 3,
        max_pool: bool = False,
    ) -> None:
        super().__init__(spec, d, dropout)
        self.trunk = _Trunk(
            ResNetBlock,
            list(layers),
            list(widths),
            spatial_dims=3,
            n_input_channels=1,
            conv1_t_size=conv1,
            conv1_t_stride=2,
            no_max_pool=not max_pool,
            feed_forward=False,
            norm=_NORM,
        )
        self.project = nn.Conv3d(widths[-1], d, 1)
        self.position = nn.Parameter(torch.randn(self.n_tokens, d) * 0.02)
        self.drop = nn.Dropout(dropout)

    @property
    def gradcam_layer(self) -> nn.Module:
        """Layer for maps: the deepest stage whose map has at least 8 cells per side, else the first."""
        return getattr(self.trunk, f"layer{self._map_stage}")

    @property
    def gradcam_stride(self) -> int:
        """Voxels between the middles of the cells of this layer; the first is in the middle of voxel 0."""
        return self._stem_stride * 2 ** (self._map_stage - 1)

    @property
    def _stem_stride(self) -> int:
        return 2 if self.trunk.no_max_pool else 4

    @property
    def _map_stage(self) -> int:
        side, stage = -(-min(self.spec.shape[1:]) // self._stem_stride), 1
        while stage < 4 and side // 2 >= _MAP_SIDE:
            side, stage = -(-side // 2), stage + 1
        return stage

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens of the crops, shape (b, 8, d)."""
        net = self.trunk
        # channels last makes the backward pass of such narrow convolutions twice as fast
        x = net.act(net.bn1(net.conv1(x).contiguous(memory_format=torch.channels_last_3d)))
        x = x if net.no_max_pool else net.maxpool(x)
        x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        x = self.project(adaptive_mean(x, _OCTANTS))
        return self.drop(rearrange(x, "b d z y x -> b (z y x) d") + self.position)
