"""U-Net++: a U-Net with nested, dense skip connections, built by MONAI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from monai.networks.nets import BasicUNetPlusPlus
from torch import nn

from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_DEMO_PLAN = TrainingPlan(lr=2e-3, max_epochs=40, batch_size=2)
_FULL_PLAN = TrainingPlan(lr=3e-4, max_epochs=300, batch_size=2, patience=30)


@SEGMENTERS.register("unetpp", modality="ct", dims="2, 3", paper="Zhou et al. 2018, DLMIA")
class UNetPlusPlus(Segmenter):
    """U-Net with nested skip connections and deep supervision (MONAI's `BasicUNetPlusPlus`).

    Four decoders of growing depth share the encoder, and each gives a mask at full resolution. The mask is
    that of the deepest decoder ("fast mode" of the paper).

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`.
    channels : sequence of 6 int
        Channels of the five levels, and of the last feature map.
    deep_supervision : bool
        While the network is trained, return "deep": the logits of the three shallower decoders.

    Examples
    --------
    >>> network = UNetPlusPlus.from_preset("demo", spatial_dims=2)
    >>> len(network.train()(torch.zeros(1, 1, 32, 32))["deep"])
    3
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={"channels": (4, 8, 16, 32, 64, 4)},
            size=(32, 32, 32),
            spacing=(2.0, 2.0, 2.0),
            plan=_DEMO_PLAN,
        ),
        "full": SegmenterPreset(
            options={"channels": (32, 64, 128, 256, 512, 32)},
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
        channels: Sequence[int] = (32, 64, 128, 256, 512, 32),
        deep_supervision: bool = True,
    ) -> None:
        super().__init__(in_channels=in_channels, spatial_dims=spatial_dims, divisor=16)
        self.net = BasicUNetPlusPlus(spatial_dims, in_channels, 1, tuple(channels), deep_supervision)
        if not deep_supervision:
            for head in ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3"):
                setattr(self.net, head, nn.Identity())  # MONAI computes these outputs even if they are unused

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the mask and, in training, of the shallower decoders."""
        *shallow, mask = self.net(x)
        return {"mask": mask, "deep": shallow[::-1]} if self.training and shallow else {"mask": mask}
