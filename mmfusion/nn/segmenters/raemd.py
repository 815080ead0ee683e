"""RAEMD-Net: dense encoder of single slices, a bidirectional ConvLSTM over them, and residual attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from einops import rearrange
from monai.networks.blocks import Convolution
from monai.networks.nets.basic_unet import TwoConv, UpCat
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.convlstm import ConvLSTM
from mmfusion.nn.layers.dense import ResidualDenseBlock
from mmfusion.nn.layers.gates import ResidualGate
from mmfusion.nn.layers.multiscale import MultiScaleStem
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_STYLE = {"act": "relu", "norm": "batch", "bias": False}


@SEGMENTERS.register("raemd", modality="ct", dims="3", paper="RAEMD-Net, residual attention with a BiLSTM")
class RAEMD(Segmenter):
    """RAEMD-Net, which encodes each slice alone, and reads the slices as a series at its deepest level.

    The first axis of a patch, z, is the series of slices. The encoder reduces y and x only.

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`; `spatial_dims` is 3.
    base : int
        Channels of each branch of the stem.
    growth, layers : int
        Channels that each layer of the two dense blocks adds, and layers of each block.
    hidden : int
        Channels of the states of the ConvLSTM, per direction.
    multi_scale, dense, attention : bool
        Parts that can be switched off, as in the paper's ablation. Without `multi_scale` the stem is one
        convolution of side 3. Without `dense` the dense blocks are pairs of convolutions.
    lstm : {"conv", "pooled", "none"}
        Layer that reads the series. "conv": a bidirectional ConvLSTM on the maps. "pooled": a bidirectional
        LSTM on the means of the maps, whose states scale and shift the channels (FiLM, Perez et al. 2018).
        "none": no layer, so that each slice is segmented alone.

    Raises
    ------
    MMFusionError
        If `spatial_dims` or `lstm` has another value.

    Examples
    --------
    >>> RAEMD.from_preset("demo")(torch.zeros(1, 1, 5, 64, 64))["mask"].shape
    torch.Size([1, 1, 5, 64, 64])
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={"base": 8, "growth": 8, "layers": 4, "hidden": 16},
            size=(5, 64, 64),
            spacing=(2.0, 1.0, 1.0),
            plan=TrainingPlan(lr=3e-3, max_epochs=30, batch_size=4),
        ),
        "full": SegmenterPreset(
            size=(8, 128, 128),
            spacing=(1.0, 0.5, 0.5),
            plan=TrainingPlan(optimizer="adam", lr=1e-3, weight_decay=0.0, schedule="plateau", max_epochs=100,
                              batch_size=16),
        ),
    }  # fmt: skip

    def __init__(
        self,
        *,
        in_channels: int = 1,
        spatial_dims: int = 3,
        base: int = 32,
        growth: int = 32,
        layers: int = 6,
        hidden: int = 64,
        multi_scale: bool = True,
        dense: bool = True,
        lstm: str = "conv",
        attention: bool = True,
    ) -> None:
        if spatial_dims != 3:
            raise MMFusionError("RAEMD reads series of slices", expected="spatial_dims=3", got=spatial_dims)
        if lstm not in _SERIES:
            raise MMFusionError("RAEMD has no such LSTM", expected=", ".join(_SERIES), got=lstm)
        super().__init__(in_channels=in_channels, divisor=(1, 4, 4))
        wide, block = 4 * base, _dense if dense else _plain
        self.stem = (
            MultiScaleStem(in_channels, base, spatial_dims=2)
            if multi_scale
            else Convolution(2, in_channels, wide, **_STYLE)
        )
        self.down = Convolution(2, wide, 2 * base, strides=2, **_STYLE)
        self.fine = block(2 * base, growth, layers)
        half = 2 * base + layers * growth
        self.transition = nn.Sequential(
            Convolution(2, half, half // 2, kernel_size=1, **_STYLE), nn.AvgPool2d(2)
        )
        self.deep = block(half // 2, growth, layers)
        deep = half // 2 + layers * growth
        self.series = _SERIES[lstm](deep, hidden)
        self.gates = nn.ModuleList(
            ResidualGate(n, "sum", spatial_dims=2) if attention else nn.Identity() for n in (wide, half, deep)
        )
        self.up_half, self.up_full = _up(deep, half, wide), _up(wide, wide, 2 * base)
        self.head = nn.Conv2d(2 * base, 1, 1)

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the masks of all slices."""
        b = len(x)
        full = self.stem(rearrange(x, "b c t y x -> (b t) c y x"))
        half = self.fine(self.down(full))
        deep = rearrange(self.deep(self.transition(half)), "(b t) c y x -> b t c y x", b=b)
        deep = rearrange(self.series(deep), "b t c y x -> (b t) c y x")
        full, half, deep = (gate(one) for gate, one in zip(self.gates, (full, half, deep)))
        mask = self.head(self.up_full(self.up_half(deep, half), full))
        return {"mask": rearrange(mask, "(b t) c y x -> b c t y x", b=b)}


class _ConvSeries(nn.Module):
    """Bidirectional ConvLSTM, and a convolution of side 1 back to the channels of the map."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lstm = ConvLSTM(channels, hidden, bidirectional=True)
        self.project = nn.Conv2d(2 * hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states = self.lstm(x)
        return self.project(states.flatten(0, 1)).unflatten(0, states.shape[:2])


class _PooledSeries(nn.Module):
    """Bidirectional LSTM on the means of the maps; it scales and shifts their channels."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, 4 * hidden, batch_first=True, bidirectional=True)
        self.film = nn.Linear(8 * hidden, 2 * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, shift = self.film(self.lstm(x.mean((3, 4)))[0])[..., None, None].chunk(2, dim=2)
        return x * (1 + scale) + shift


class _NoSeries(nn.Identity):
    """Layer that returns the slices as they are; it takes the arguments of the other layers."""


_SERIES = {"conv": _ConvSeries, "pooled": _PooledSeries, "none": _NoSeries}


def _dense(channels: int, growth: int, layers: int) -> ResidualDenseBlock:
    return ResidualDenseBlock(channels, growth=growth, layers=layers, spatial_dims=2)


def _plain(channels: int, growth: int, layers: int) -> TwoConv:
    return TwoConv(2, channels, channels + layers * growth, **_STYLE)


def _up(below: int, skip: int, out: int) -> UpCat:
    return UpCat(2, below, skip, out, **_STYLE, upsample="nontrainable", pre_conv=None, align_corners=False)
