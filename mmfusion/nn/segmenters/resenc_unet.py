"""U-Net with a residual encoder, of the form that nnU-Net plans (MONAI's `DynUNet`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from monai.networks.nets import DynUNet

from mmfusion.errors import MMFusionError
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_DEMO_PLAN = TrainingPlan(lr=2e-3, max_epochs=40, batch_size=2)
_FULL_PLAN = TrainingPlan(
    optimizer="sgd", lr=1e-2, momentum=0.99, weight_decay=3e-5, schedule="poly", clip_norm=12.0,
    max_epochs=1000, batch_size=2, patience=None,
)  # fmt: skip

Levels = Sequence[int | Sequence[int]]


@SEGMENTERS.register("resenc_unet", modality="ct", dims="2, 3", paper="Isensee et al. 2021, Nat Methods")
class ResEncUNet(Segmenter):
    """U-Net with residual blocks and deep supervision, as planned by nnU-Net.

    Each level of the encoder is one residual block of two convolutions, and the decoder has plain blocks. The
    later "ResEnc" presets of nnU-Net have up to six residual blocks per level.

    `nnunet_plan` computes the options for a cohort: `ResEncUNet(**nnunet_plan(shapes, spacings).options)`.
    The full preset is nnU-Net's plan for the lung tumours of the Medical Segmentation Decathlon (Task06).

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`.
    channels : sequence of int
        Channels of each level, three levels or more.
    strides : sequence of int or of (z, y, x), optional
        Stride of each level. Default: 1 for the first level, 2 for the others. A 2D network ignores z.
    kernels : sequence of int or of (z, y, x), optional
        Kernel of each level. Default: 3.
    deep_supervision : bool
        While the network is trained, return "deep": logits at the lower resolutions, without the two lowest.

    Raises
    ------
    MMFusionError
        If there are fewer than three levels, or if channels, strides and kernels differ in number.

    Examples
    --------
    >>> network = ResEncUNet.from_preset("demo")
    >>> out = network.train()(torch.zeros(1, 1, 32, 32, 32))
    >>> out["mask"].shape, [coarse.shape for coarse in out["deep"]]
    (torch.Size([1, 1, 32, 32, 32]), [torch.Size([1, 1, 16, 16, 16])])
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={"channels": (8, 16, 32, 64)},
            size=(32, 32, 32),
            spacing=(2.0, 2.0, 2.0),
            plan=_DEMO_PLAN,
        ),
        "full": SegmenterPreset(
            options={
                "channels": (32, 64, 128, 256, 320, 320),
                "strides": (1, 2, 2, 2, 2, (1, 2, 2)),
            },
            size=(80, 192, 160),
            spacing=(1.24, 0.785, 0.785),
            plan=_FULL_PLAN,
        ),
    }

    def __init__(
        self,
        *,
        in_channels: int = 1,
        spatial_dims: int = 3,
        channels: Sequence[int] = (32, 64, 128, 256, 320, 320),
        strides: Levels | None = None,
        kernels: Levels | None = None,
        deep_supervision: bool = True,
    ) -> None:
        levels = len(channels)
        strides = _per_axis(strides or (1,) + (2,) * (levels - 1), spatial_dims)
        kernels = _per_axis(kernels or (3,) * levels, spatial_dims)
        if levels < 3 or not levels == len(strides) == len(kernels):
            raise MMFusionError(
                "ResEncUNet cannot have these levels",
                expected="three levels or more; as many strides and kernels as channels",
                got=f"{levels} channels, {len(strides)} strides, {len(kernels)} kernels",
            )
        super().__init__(
            in_channels=in_channels,
            spatial_dims=spatial_dims,
            divisor=tuple(np.prod(strides, axis=0).tolist()),
        )
        coarse = levels - 3 if deep_supervision else 0
        net = DynUNet(
            spatial_dims,
            in_channels,
            out_channels=1,
            kernel_size=kernels,
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=tuple(channels),
            res_block=True,
            deep_supervision=coarse > 0,
            deep_supr_num=max(coarse, 1),
        )
        # only these two parts are kept: DynUNet has each layer under two names, and safetensors refuses that
        self.levels, self.head = net.skip_layers, net.output_block
        self._coarse = net.heads if coarse else []
        self._forget_coarse()

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the mask and, in training, of coarser masks."""
        out = {"mask": self.head(self.levels(x))}
        if self.training and self._coarse:
            out["deep"] = list(self._coarse)
        self._forget_coarse()
        return out

    def _forget_coarse(self) -> None:
        # the layers put their coarse logits into this list; the network could not be copied with them
        self._coarse[:] = [torch.empty(0)] * len(self._coarse)


def _per_axis(levels: Levels, axes: int) -> list[tuple[int, ...]]:
    return [(one,) * axes if isinstance(one, int) else tuple(one)[-axes:] for one in levels]
