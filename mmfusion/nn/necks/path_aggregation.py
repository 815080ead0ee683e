"""Cross-scale path aggregation: maps are added from coarse to fine and back, with a gate on each link."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution
from torch import nn

from mmfusion.nn.layers.gates import ChannelGate, SpatialGate
from mmfusion.nn.layers.norms import INSTANCE
from mmfusion.nn.layers.resize import resized
from mmfusion.nn.layers.separable import conv3


class GateNode(nn.Module):
    """Fusion of a map x with maps y_k from other scales.

    z = x + sum_k softmax(w)_k c_k s_k y_k, where c_k are the weights of the channels, computed from x and
    y_k, s_k are the weights of the positions, computed from x + y_k, and w are learned numbers.

    Parameters
    ----------
    channels : int
        Channels of all maps, P.
    incoming : int
        Number of maps y_k; 0 returns x.
    spatial_dims : {2, 3}
        Axes in space.
    gate : bool
        False sets c_k and s_k to 1.

    Examples
    --------
    >>> node = GateNode(8, 2, spatial_dims=2)
    >>> node(torch.zeros(1, 8, 4, 4), [torch.ones(1, 8, 4, 4), torch.ones(1, 8, 4, 4)]).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self, channels: int, incoming: int, *, spatial_dims: int = 3, gate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(incoming)) if incoming else None
        gates = range(incoming if gate else 0)
        # the MLP reads 2 P numbers; 1/16 of them is P / 8 hidden units
        self.channel = nn.ModuleList(ChannelGate(channels, 16, spatial_dims, channels) for _ in gates)
        self.spatial = nn.ModuleList(SpatialGate(7, spatial_dims) for _ in gates)

    def forward(self, x: torch.Tensor, incoming: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the fused map, shape (b, P, *space) as x; the incoming maps have this shape too."""
        if self.weight is None:
            return x
        if self.channel:
            incoming = [
                channel(y, x) * spatial(x + y) * y
                for channel, spatial, y in zip(self.channel, self.spatial, incoming, strict=True)
            ]
        shares = self.weight.softmax(0)
        return x + sum(share * y for share, y in zip(shares, incoming, strict=True))


class CrossScalePathAggregation(nn.Module):
    """Bidirectional neck: a top-down path, then a bottom-up path, with gates and non-adjacent links.

    All maps are projected to P channels, `L_i = norm(conv1(E_i))`. From coarse to fine,
    `T_i = conv3(node(L_i, up(T_i+1), up(T_i+2), ...))`; then from fine to coarse,
    `N_i = conv3(node(T_i, down(N_i-1), down(N_i-2), ...))`.

    Parameters
    ----------
    in_channels : sequence of int
        Channels of the maps, from fine to coarse.
    channels : int
        Channels of all outputs, P.
    spatial_dims : {2, 3}
        Axes in space.
    cross_scale : bool
        False: only links between adjacent scales.
    gate : bool
        False: the maps of a node are added without gates.
    bottom_up : bool
        False: only the top-down path, as in a feature pyramid network (Lin et al. 2017, CVPR).
    separable : bool
        Depthwise separable convolutions; False: full ones.

    Attributes
    ----------
    channels : tuple of int
        Channels of each output.

    References
    ----------
    Liu et al. 2018, "Path aggregation network for instance segmentation", CVPR (both paths). The gates and
    the non-adjacent links are those of CSPAT.

    Examples
    --------
    >>> neck = CrossScalePathAggregation((6, 12, 24), 8, spatial_dims=2)
    >>> maps = [torch.rand(1, c, s, s) for c, s in ((6, 16), (12, 8), (24, 4))]
    >>> [tuple(one.shape) for one in neck(maps)]
    [(1, 8, 16, 16), (1, 8, 8, 8), (1, 8, 4, 4)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        spatial_dims: int = 3,
        cross_scale: bool = True,
        gate: bool = True,
        bottom_up: bool = True,
        separable: bool = True,
    ) -> None:
        super().__init__()
        n = len(in_channels)
        self.channels, self.cross_scale = (channels,) * n, cross_scale
        self.lateral = nn.ModuleList(
            Convolution(spatial_dims, c, channels, kernel_size=1, adn_ordering="N", norm=INSTANCE)
            for c in in_channels
        )

        def convs(stride: int, number: int) -> nn.ModuleList:
            return nn.ModuleList(
                conv3(spatial_dims, channels, channels, stride=stride, separable=separable)
                for _ in range(number)
            )

        def nodes(incoming: Sequence[Sequence[int]]) -> nn.ModuleList:
            return nn.ModuleList(
                GateNode(channels, len(other), spatial_dims=spatial_dims, gate=gate) for other in incoming
            )

        self.above = [self._near(range(i + 1, n)) for i in range(n)]
        self.below = [self._near(range(i - 1, -1, -1)) for i in range(n)] if bottom_up else []
        self.top_nodes, self.top_convs = nodes(self.above), convs(1, n)
        self.bottom_nodes, self.bottom_convs = nodes(self.below), convs(1, len(self.below))
        self.downs = nn.ModuleList(convs(2, len(other)) for other in self.below)

    def _near(self, levels: Sequence[int]) -> list[int]:
        return list(levels if self.cross_scale else levels[:1])

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return one map of P channels for each map, on the same grid, from fine to coarse."""
        maps = [project(x) for project, x in zip(self.lateral, maps, strict=True)]
        for i in reversed(range(len(maps))):
            size = maps[i].shape[2:]
            incoming = [resized(maps[j], size) for j in self.above[i]]
            maps[i] = self.top_convs[i](self.top_nodes[i](maps[i], incoming))
        for i, others in enumerate(self.below):
            size = maps[i].shape[2:]
            incoming = [resized(down(maps[j]), size) for down, j in zip(self.downs[i], others, strict=True)]
            maps[i] = self.bottom_convs[i](self.bottom_nodes[i](maps[i], incoming))
        return maps
