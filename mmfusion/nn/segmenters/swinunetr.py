"""Swin UNETR: a Swin transformer as the encoder and a convolutional decoder, built by MONAI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from monai.networks.nets import SwinUNETR as MonaiSwinUNETR
from torch.overrides import TorchFunctionMode

from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_DEMO_PLAN = TrainingPlan(lr=1e-3, max_epochs=40, batch_size=2)
_FULL_PLAN = TrainingPlan(
    lr=8e-4, weight_decay=1e-5, warmup_epochs=50, max_epochs=800, batch_size=2, patience=None
)


@SEGMENTERS.register("swinunetr", modality="ct", dims="2, 3", paper="Hatamizadeh et al. 2022, BrainLes")
class SwinUNETR(Segmenter):
    """Swin transformer with a convolutional decoder (MONAI's `SwinUNETR`).

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`.
    features : int
        Width of the first stage, a multiple of 12.
    depths, heads : sequence of 4 int
        Blocks and attention heads of each stage.
    window : int
        Side of the windows of the attention, in tokens.
    norm : str or (str, dict)
        Normalisation of the convolutions, a name of MONAI. "instance" needs patches of 64 voxels or more for
        training, because the deepest feature map is 32 times smaller than the input.

    Examples
    --------
    >>> SwinUNETR.from_preset("demo", spatial_dims=2)(torch.zeros(1, 1, 32, 32))["mask"].shape
    torch.Size([1, 1, 32, 32])
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={
                "features": 12,
                "depths": (1, 1, 1, 1),
                "heads": (3, 3, 6, 6),
                "window": 4,
                "norm": ("group", {"num_groups": 4}),
            },
            size=(32, 32, 32),
            spacing=(2.0, 2.0, 2.0),
            plan=_DEMO_PLAN,
        ),
        "full": SegmenterPreset(
            options={"features": 48},
            size=(96, 96, 96),
            spacing=(1.0, 1.0, 1.0),
            plan=_FULL_PLAN,
        ),
    }

    def __init__(
        self,
        *,
        in_channels: int = 1,
        spatial_dims: int = 3,
        features: int = 48,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int = 7,
        norm: str | tuple[str, dict] = "instance",
    ) -> None:
        super().__init__(in_channels=in_channels, spatial_dims=spatial_dims, divisor=32)
        with _RangesOnCPU():
            self.net = MonaiSwinUNETR(
                in_channels,
                out_channels=1,
                depths=tuple(depths),
                num_heads=tuple(heads),
                window_size=window,
                feature_size=features,
                norm_name=norm,
                spatial_dims=spatial_dims,
            )


class _RangesOnCPU(TorchFunctionMode):
    """`torch.linspace` on the CPU: MONAI reads numbers from it, which the meta device does not have."""

    def __torch_function__(
        self, func: Callable[..., object], types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        device = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **{**(kwargs or {}), **device})
