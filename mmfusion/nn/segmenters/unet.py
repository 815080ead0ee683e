"""U-Net: encoder, decoder and skip connections, built by MONAI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from monai.networks.nets import UNet as MonaiUNet

from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_DEMO_PLAN = TrainingPlan(lr=2e-3, max_epochs=40, batch_size=2)
_FULL_PLAN = TrainingPlan(lr=1e-3, max_epochs=300, batch_size=2, patience=30)


@SEGMENTERS.register("unet", modality="ct", dims="2, 3", paper="Ronneberger et al. 2015, MICCAI")
class UNet(Segmenter):
    """U-Net with residual units (MONAI's `UNet`).

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`.
    channels : sequence of int
        Channels of each level.
    num_res_units : int
        Residual units per level.

    Examples
    --------
    >>> import torch
    >>> UNet.from_preset("demo")(torch.zeros(1, 1, 32, 32, 32))["mask"].shape
    torch.Size([1, 1, 32, 32, 32])
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={"channels": (12, 24, 48, 96)},
            size=(32, 32, 32),
            spacing=(2.0, 2.0, 2.0),
            plan=_DEMO_PLAN,
        ),
        "full": SegmenterPreset(
            options={"channels": (32, 64, 128, 256, 512)},
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
        channels: Sequence[int] = (32, 64, 128, 256, 512),
        num_res_units: int = 2,
    ) -> None:
        super().__init__(in_channels=in_channels, spatial_dims=spatial_dims, divisor=2 ** (len(channels) - 1))
        self.net = MonaiUNet(
            spatial_dims,
            in_channels,
            out_channels=1,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=num_res_units,
        )
