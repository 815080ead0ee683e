"""U-Net for PET/CT, with parts of three papers as options: MSAM, ISA-Net and wavelet input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from monai.networks.layers.factories import Conv
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.haar import haar, inverse_haar
from mmfusion.nn.layers.petct import DualEncoders, EarlyFusion, PETAttention, UpPath
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_ENCODERS = {"none": EarlyFusion, "msam": PETAttention, "isa": DualEncoders}


@SEGMENTERS.register(
    "petct_unet",
    modality="ct, pet",
    dims="2, 3",
    paper="Fu et al. 2021, IEEE JBHI; Huang et al. 2022 (ISA-Net)",
)
class PETCTUNet(Segmenter):
    """U-Net for PET/CT, with attention between the scans, wavelet input and deep supervision as options.

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`; `in_channels` is 2, CT and PET.
    channels : sequence of int
        Channels of each level, multiples of 4.
    attention : {"isa", "msam", "none"}
        "none": one encoder reads both scans. "msam": the maps of CT are multiplied by an attention map from
        PET. "isa": each scan has an encoder with multi-scale spatial gates, and the decoder reads the maps of
        both.
    wavelet : bool
        Work at half resolution on the Haar wavelet coefficients of the scans. The mask comes from the inverse
        transform of predicted coefficients.
    deep_supervision : bool
        In training, also return logits at the lower resolutions, in "deep", the finest first.

    Raises
    ------
    MMFusionError
        If `in_channels` or `attention` has another value.

    Examples
    --------
    >>> net = PETCTUNet.from_preset("demo", deep_supervision=True)
    >>> out = net(torch.zeros(1, 2, 32, 32, 32))
    >>> out["mask"].shape[2:], [tuple(one.shape[2:]) for one in out["deep"]]
    (torch.Size([32, 32, 32]), [(8, 8, 8)])
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={"channels": (16, 32, 64), "wavelet": True},
            size=(32, 32, 32),
            spacing=(2.0, 2.0, 2.0),
            plan=TrainingPlan(lr=2e-3, max_epochs=40, batch_size=2),
        ),
        "full": SegmenterPreset(
            options={"channels": (32, 64, 128, 256), "deep_supervision": True},
            size=(96, 96, 96),
            spacing=(2.0, 2.0, 2.0),
            plan=TrainingPlan(lr=1e-3, max_epochs=300, batch_size=2, patience=30),
        ),
    }

    def __init__(
        self,
        *,
        in_channels: int = 2,
        spatial_dims: int = 3,
        channels: Sequence[int] = (32, 64, 128, 256),
        attention: str = "isa",
        wavelet: bool = False,
        deep_supervision: bool = False,
    ) -> None:
        if in_channels != 2:
            raise MMFusionError("PETCTUNet reads CT and PET", expected="in_channels=2", got=in_channels)
        if attention not in _ENCODERS:
            raise MMFusionError(
                "PETCTUNet has no such attention", expected=", ".join(_ENCODERS), got=attention
            )
        depth = len(channels) - 1 + wavelet
        super().__init__(in_channels=2, spatial_dims=spatial_dims, divisor=2**depth)
        parts = 2**spatial_dims if wavelet else 1
        self.wavelet = wavelet
        self.encoder = _ENCODERS[attention](parts, channels, spatial_dims)
        self.decoder = UpPath(self.encoder.out_channels, channels[:-1], spatial_dims)
        conv = Conv[Conv.CONV, spatial_dims]
        self.head = conv(channels[0], parts, 1)
        deep = channels[1:-1] if deep_supervision else ()
        self.deep_heads = nn.ModuleList(conv(n, 1, 1) for n in deep)

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the mask; in training, with deep supervision, also "deep"."""
        scans = x.split(1, dim=1)
        finest, *coarser = self.decoder(self.encoder(*(map(haar, scans) if self.wavelet else scans)))
        mask = self.head(finest)
        out = {"mask": inverse_haar(mask) if self.wavelet else mask}
        if self.training and len(self.deep_heads):
            out["deep"] = [head(one) for head, one in zip(self.deep_heads, coarser)]
        return out
