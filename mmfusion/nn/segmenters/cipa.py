"""CIPA: one VMamba encoder for CT and PET, whose maps interact region by region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from einops import rearrange
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.backbones.vmamba import VMamba
from mmfusion.nn.decoders.vmamba import VMambaDecoder
from mmfusion.nn.layers.rectification import ChannelRectification, ContextGate, NoRectification
from mmfusion.nn.layers.regions import RegionInteraction
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_RECTIFY = {
    "crm": ChannelRectification,
    "context_gate": lambda channels, size: ContextGate(channels),
    "none": lambda channels, size: NoRectification(),
}
_FULL_PLAN = TrainingPlan(lr=6e-5, min_lr=6e-11, max_epochs=50, batch_size=4, patience=15)


def _full(width: int, depths: tuple[int, ...]) -> SegmenterPreset:
    return SegmenterPreset(
        options={"width": width, "depths": depths, "drop_path": 0.2, "faithful": True},
        size=(512, 512),
        spacing=(3.0, 1.0, 1.0),
        plan=_FULL_PLAN,
    )


@SEGMENTERS.register("cipa", modality="ct, pet", dims="2", paper="Mei et al. 2025, CVPR (arXiv 2503.17261)")
class Cipa(Segmenter):
    """Mamba network for slices of PET/CT, with one encoder for both scans and interaction by regions (CIPA).

    At each scale, a rectification weights the channels of both scans, an interaction fuses them, and the
    fused map is added to the maps of both scans. The decoder makes the mask.

    Presets: "demo", "full" (the paper's tiny size), "small" and "base".

    Parameters
    ----------
    in_channels : {2, 1}
        2: CT and PET. 1: one of them, which is read in the place of both. The weights are the same.
    width : int
        Channels of the first stage of the encoder.
    depths : sequence of int
        Blocks of each stage of the encoder.
    decoder_depth : int
        Blocks of each level of the decoder.
    drop_path : float in [0, 1]
        Share of the training samples for which a block is skipped; see `VMamba` and `VMambaDecoder`.
    rectify : {"crm", "context_gate", "none"}
        "crm": the paper's channel rectification. "context_gate": the gates of vMambaX. "none": no
        rectification.
    faithful : bool
        Build the network as the authors did: three copies of each scan as colour channels, and a
        rectification that reads all pixels, so that all inputs have the size `size`. If False, inputs have
        any size.
    size : (y, x)
        Sides of the input, pixels, multiples of 32. Only read if `faithful`.

    Attributes
    ----------
    channels : tuple of int
        Channels of the maps that `features` returns.

    Raises
    ------
    MMFusionError
        If `in_channels` or `rectify` has another value.

    Examples
    --------
    >>> Cipa.from_preset("demo").eval()(torch.zeros(1, 2, 32, 32))["mask"].shape
    torch.Size([1, 1, 32, 32])
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={"width": 16, "depths": (1, 1, 1, 1), "decoder_depth": 1},
            size=(64, 64),
            spacing=(3.0, 2.0, 2.0),
            plan=TrainingPlan(lr=2e-3, max_epochs=20, batch_size=4),
        ),
        "full": _full(96, (2, 2, 9, 2)),
        "small": _full(96, (2, 2, 27, 2)),
        "base": _full(128, (2, 2, 27, 2)),
    }
    loss: ClassVar[str] = "bce_soft_dice"

    def __init__(
        self,
        *,
        in_channels: int = 2,
        width: int = 96,
        depths: Sequence[int] = (2, 2, 9, 2),
        decoder_depth: int = 4,
        drop_path: float = 0.0,
        rectify: str = "crm",
        faithful: bool = False,
        size: tuple[int, int] = (512, 512),
    ) -> None:
        _check(in_channels, rectify)
        strides = [4 * 2**stage for stage in range(len(depths))]
        super().__init__(in_channels=in_channels, spatial_dims=2, divisor=strides[-1])
        self.colours = 3 if faithful else 1
        self.encoder = VMamba(self.colours, width, depths, drop_path=drop_path)
        channels = self.channels = self.encoder.channels
        sizes = [(size[0] // s, size[1] // s) if faithful else None for s in strides]
        self.rectify = nn.ModuleList(map(_RECTIFY[rectify], channels, sizes))
        self.interact = nn.ModuleList(map(RegionInteraction, channels))
        self.decoder = VMambaDecoder(channels, decoder_depth, drop_path=drop_path)

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the mask."""
        return {"mask": self.decode(self.features(x))}

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the fused maps of all scales, shapes (b, channels[i], y / strides[i], x / strides[i]).

        Parameters
        ----------
        x : Tensor, shape (b, in_channels, y, x)
            Scans in [0, 1], with sides that are multiples of `divisor`.
        """
        # `cat` makes one layout in memory, because the last bits of a convolution depend on it
        scans = torch.cat(x.unbind(1))[:, None] * 3.2 - 1.6  # the authors' range of values
        fused = []
        for maps, rectify, interact in zip(
            self.encoder(scans.expand(-1, self.colours, -1, -1)), self.rectify, self.interact, strict=True
        ):
            each = rearrange(maps, "(m b) d h w -> m b d h w", m=self.in_channels)
            (ct, pet), (ct_base, pet_base) = rectify(each[0], each[-1])
            fused.append(ct_base + pet_base + interact(ct, pet))
        return fused

    def decode(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the logits, shape (b, 1, y, x), of the maps that `features` gives."""
        return self.decoder(maps)


def _check(in_channels: int, rectify: str) -> None:
    if in_channels not in (1, 2):
        raise MMFusionError(
            "the network reads CT and PET, or one of them", expected="1 or 2 channels", got=in_channels
        )
    if rectify not in _RECTIFY:
        raise MMFusionError("no such rectification", expected=", ".join(_RECTIFY), got=rectify)
