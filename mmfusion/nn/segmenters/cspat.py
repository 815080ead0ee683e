"""CSPAT: Swin backbone, cross-scale path aggregation, and two heads for the mask and gene expression."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from monai.networks.blocks import Convolution
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.backbones.swin import SwinBackbone
from mmfusion.nn.decoders.light import LightDecoder
from mmfusion.nn.decoders.mask_head import MaskHead
from mmfusion.nn.decoders.ushaped import UShapedDecoder
from mmfusion.nn.layers.expression_head import ExpressionHead
from mmfusion.nn.layers.resize import resized
from mmfusion.nn.necks.path_aggregation import CrossScalePathAggregation
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

TASKS = ("mask", "expression")
PANEL = 16  # genes of the default panel

# full convolutions, because depthwise ones are slower on a CPU in three dimensions
_DEMO = {
    "embed_dim": 12,
    "depths": (1, 2, 1, 1),
    "heads": (3, 3, 6, 6),
    "window": 4,
    "drop_path": 0.0,
    "width": 32,
    "separable": False,
}
_DEMO_PLAN = TrainingPlan(lr=2e-3, warmup_epochs=1, max_epochs=40, batch_size=2)
_FULL_PLAN = TrainingPlan(
    lr=5e-4,
    lr_groups={"backbone": 0.2},
    min_lr=1e-6,
    warmup_epochs=10,
    max_epochs=200,
    batch_size=2,
    accumulate=4,
    patience=30,
)


@SEGMENTERS.register(
    "cspat", modality="ct", dims="2, 3", paper="Cross-scale path aggregation transformer (CSPAT)"
)
class CSPAT(Segmenter):
    """Cross-scale path aggregation transformer for the mask of a lesion and the expression of genes.

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`.
    embed_dim, depths, heads, window, drop_path
        As for `SwinBackbone`, with three or four stages. The neck reads the maps at strides 2 to 16. A fourth
        stage, at stride 32, gives context, which is added to the map at stride 16.
    width : int
        Channels of the neck and of the heads, P.
    neck : {"pan", "fpn", "none"}
        "pan": top-down and bottom-up paths. "fpn": the top-down path only. "none": no neck, and a U-shaped
        decoder with skip connections.
    gate, cross_scale, separable
        As for `CrossScalePathAggregation`. The decoder is always separable.
    tasks : sequence of {"mask", "expression"}
        What the network predicts.
    genes : int
        Genes of the panel, if expression is predicted.
    mask_pool : bool
        Pool features for the expression also inside the predicted mask. It needs both tasks.
    deep_supervision : bool
        Predict the mask also at strides 4 and 8 while the network is trained.

    Raises
    ------
    MMFusionError
        If there is no such neck or task, or the tasks and the other options do not fit each other.

    Examples
    --------
    >>> network = CSPAT.from_preset("demo", spatial_dims=2, tasks=("mask", "expression"), genes=4)
    >>> {name: tuple(one.shape) for name, one in network(torch.zeros(1, 1, 64, 64)).items()}
    {'mask': (1, 1, 64, 64), 'expression': (1, 4)}
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(options=_DEMO, size=(32, 32, 32), spacing=(2.0, 2.0, 2.0), plan=_DEMO_PLAN),
        "demo2d": SegmenterPreset(
            options=_DEMO | {"spatial_dims": 2},
            size=(64, 64),
            spacing=(2.0, 2.0, 2.0),
            plan=_DEMO_PLAN.replace(lr=5e-3, batch_size=8),
        ),
        "full": SegmenterPreset(size=(96, 96, 96), spacing=(1.0, 1.0, 1.0), plan=_FULL_PLAN),
        "full2d": SegmenterPreset(
            options={"spatial_dims": 2}, size=(256, 256), spacing=(1.0, 1.0, 1.0), plan=_FULL_PLAN
        ),
    }
    loss: ClassVar[str] = "dice_focal"
    outputs: ClassVar = TASKS

    def __init__(
        self,
        *,
        in_channels: int = 1,
        spatial_dims: int = 3,
        embed_dim: int = 48,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int = 7,
        drop_path: float = 0.1,
        width: int = 192,
        neck: str = "pan",
        gate: bool = True,
        cross_scale: bool = True,
        separable: bool = True,
        tasks: Sequence[str] = ("mask",),
        genes: int = PANEL,
        mask_pool: bool = False,
        deep_supervision: bool = False,
    ) -> None:
        _check(neck, tasks, genes, depths, mask_pool=mask_pool)
        # twice the stride of the neck's coarsest map, because an instance norm needs more than one position
        super().__init__(in_channels=in_channels, spatial_dims=spatial_dims, divisor=32)
        self.tasks = tuple(tasks)
        self.backbone = SwinBackbone(
            in_channels=in_channels,
            spatial_dims=spatial_dims,
            embed_dim=embed_dim,
            depths=depths,
            heads=heads,
            window=window,
            drop_path=drop_path,
        )
        channels = self.backbone.channels[:4]
        self.context = (
            Convolution(spatial_dims, self.backbone.channels[4], channels[3], kernel_size=1, conv_only=True)
            if len(depths) == 4
            else None
        )
        self.neck = _NECKS[neck](
            channels,
            width,
            spatial_dims=spatial_dims,
            cross_scale=cross_scale,
            gate=gate,
            separable=separable,
        )
        channels = channels if self.neck is None else self.neck.channels
        self.expression_head = (
            ExpressionHead(channels, genes, width=width, mask_pool=mask_pool)
            if "expression" in tasks
            else None
        )
        if "mask" in tasks:
            decoder = UShapedDecoder if self.neck is None else LightDecoder
            self.decoder = decoder(channels, spatial_dims=spatial_dims)
            self.mask_head = MaskHead(channels[0], spatial_dims=spatial_dims)
            deep = channels[1:3] if deep_supervision else ()
            self.deep_heads = nn.ModuleList(
                Convolution(spatial_dims, c, 1, kernel_size=1, conv_only=True) for c in deep
            )

    @property
    def gradcam_layer(self) -> nn.Module | None:
        """Layer that makes the finest map of the pyramid; None if there is no neck."""
        if self.neck is None:
            return None
        return (self.neck.bottom_convs or self.neck.top_convs)[0]

    def pyramid(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the four maps that the heads read, at strides 2, 4, 8 and 16.

        Parameters
        ----------
        x : Tensor, shape (b, in_channels, *space)
            Scans whose sides are multiples of `divisor`.

        Returns
        -------
        list of Tensor, shape (b, width, *space / stride)
            Without a neck, the channels are those of the backbone. `expression_head.scales` and
            `mmfusion.nn.layers.recorded` show how the scales and the links are weighted.
        """
        maps = self.backbone(x)
        if self.context is not None:
            context = self.context(maps.pop())
            maps[-1] = maps[-1] + resized(context, maps[-1].shape[2:])
        return maps if self.neck is None else self.neck(maps)

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return "mask", "expression" and "deep", as far as they are among the tasks."""
        maps = self.pyramid(x)
        out = self._masks(maps, x) if "mask" in self.tasks else {}
        if self.expression_head is not None:
            probability = out["mask"].detach().sigmoid() if "mask" in out else None
            out["expression"] = self.expression_head(maps, probability)
        return out

    def _masks(self, maps: list[torch.Tensor], x: torch.Tensor) -> dict[str, torch.Tensor]:
        decoded = self.decoder(maps)
        out = {"mask": self.mask_head(decoded[0], x.shape[2:])}
        if self.training and self.deep_heads:
            out["deep"] = [head(one) for head, one in zip(self.deep_heads, decoded[1:], strict=False)]
        return out


def _check(neck: str, tasks: Sequence[str], genes: int, depths: Sequence[int], *, mask_pool: bool) -> None:
    if neck not in _NECKS:
        raise MMFusionError("no such neck", expected=", ".join(_NECKS), got=neck)
    if isinstance(tasks, str) or not tasks or set(tasks) - set(TASKS):
        raise MMFusionError("no such tasks", expected=f"a list of {' and '.join(TASKS)}", got=tasks)
    if mask_pool and set(tasks) != set(TASKS):
        raise MMFusionError("pooling inside the predicted mask needs both tasks", expected=TASKS, got=tasks)
    if "expression" in tasks and genes < 1:
        raise MMFusionError("expression needs a panel of genes", expected="genes, 1 or more", got=genes)
    if len(depths) not in (3, 4):
        raise MMFusionError("CSPAT has three stages, and a fourth for context", expected="3 or 4", got=depths)


def _no_neck(*_: object, **__: object) -> None:
    """Return None: the decoder reads the maps of the backbone."""


_NECKS = {
    "pan": CrossScalePathAggregation,
    "fpn": partial(CrossScalePathAggregation, bottom_up=False),
    "none": _no_neck,
}
