"""RA-Seg: a 3-D U-Net whose skip connections are gated by a box, with a ConvLSTM over its deepest slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from einops import rearrange
from monai.networks.blocks import Convolution
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.convlstm import ConvLSTM
from mmfusion.nn.layers.gates import CueGate
from mmfusion.nn.segmenters.base import Segmenter, SegmenterPreset
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS


@SEGMENTERS.register("raseg", modality="ct", dims="3", paper="Gollini et al. 2022, arXiv 2211.06620")
class RASeg(Segmenter):
    """RA-Seg, a U-Net with box-gated skip connections and a ConvLSTM over the slices.

    Parameters
    ----------
    in_channels, spatial_dims
        As for `Segmenter`; `spatial_dims` is 3.
    channels : sequence of int
        Channels of the four levels of the encoder.
    hidden : int
        Channels of the states of the ConvLSTM.
    layers : int
        Layers of the ConvLSTM. 0: no ConvLSTM; the decoder reads the deepest map of the encoder.
    bidirectional : bool
        Let the ConvLSTM read the slices in both directions; the paper reads them in one.
    bottleneck : int, optional
        Number of channels to which a convolution of side 1 reduces the map before the ConvLSTM. Most weights
        of the network are in the ConvLSTM, so a bottleneck makes the network much smaller.
    dropout : float in [0, 1)
        Share of the channels that are set to zero in training.

    Raises
    ------
    MMFusionError
        If `spatial_dims` is not 3.

    Examples
    --------
    >>> net = RASeg.from_preset("demo").eval()
    >>> scan, box = torch.zeros(1, 1, 32, 32, 32), torch.ones(1, 1, 32, 32, 32)
    >>> net(scan, box)["mask"].shape, net.features(scan, box).shape
    (torch.Size([1, 1, 32, 32, 32]), torch.Size([1, 128]))
    """

    presets: ClassVar = {
        "demo": SegmenterPreset(
            options={"channels": (8, 16, 32, 64), "hidden": 64, "dropout": 0.0},
            size=(48, 48, 48),
            spacing=(2.0, 2.0, 2.0),
            plan=TrainingPlan(lr=3e-3, max_epochs=40, batch_size=4),
        ),
        "full": SegmenterPreset(
            size=(256, 256, 256),
            spacing=(1.5, 1.0, 1.0),
            plan=TrainingPlan(
                optimizer="adam", lr=1e-4, weight_decay=0.0, schedule="constant", max_epochs=300,
                batch_size=1, patience=30,
            ),
            per_image=1,
        ),
    }  # fmt: skip
    uses_cue: ClassVar[bool] = True
    feature_levels: ClassVar[tuple[str, ...]] = ("high", "mid", "multi")

    def __init__(
        self,
        *,
        in_channels: int = 1,
        spatial_dims: int = 3,
        channels: Sequence[int] = (64, 128, 256, 512),
        hidden: int = 512,
        layers: int = 3,
        bidirectional: bool = False,
        bottleneck: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        if spatial_dims != 3:
            raise MMFusionError("RASeg reads volumes", expected="spatial_dims=3", got=spatial_dims)
        super().__init__(in_channels=in_channels, divisor=2 ** len(channels))
        block = {"strides": 2, "dropout": dropout, "dropout_dim": 3}
        before = (in_channels, *channels[:-1])
        self.encoder = nn.ModuleList(Convolution(3, a, b, **block) for a, b in zip(before, channels))
        self.gates = nn.ModuleList(CueGate(c) for c in channels)
        self.squeeze = nn.Conv3d(channels[-1], bottleneck, 1) if bottleneck else nn.Identity()
        deepest = bottleneck or channels[-1]
        self.recurrent = (
            ConvLSTM(deepest, hidden, layers=layers, bidirectional=bidirectional) if layers else nn.Identity()
        )
        # a step reads the map below it and the skip connection of its level, from the deepest to the finest
        wide = (self.recurrent.out_channels if layers else deepest, *channels[-2::-1])
        self.decoder = nn.ModuleList(
            Convolution(3, below + skip, out, is_transposed=True, **block)
            for below, skip, out in zip(wide, channels[:0:-1], wide[1:])
        )
        self.head = Convolution(3, 2 * channels[0], 1, strides=2, is_transposed=True, conv_only=True)

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the mask."""
        skip, _, high = self._maps(x, cue)
        return {"mask": self.head(torch.cat([high, skip], 1))}

    def features(self, x: torch.Tensor, cue: torch.Tensor | None = None, level: str = "high") -> torch.Tensor:
        """Return the features from which the paper predicts mutations: means of maps over each slice.

        Parameters
        ----------
        x : Tensor, shape (b, c, z, y, x)
            Scans, as for `forward`; the sides are multiples of `divisor`.
        cue : Tensor, shape (b, 1, z, y, x), optional
            Box of the lesion; None means everywhere.
        level : {"high", "mid", "multi"}
            "high": the map before the last step of the decoder. "mid": the output of the ConvLSTM. "multi":
            both.

        Returns
        -------
        Tensor, shape (b, n)
            n is C z / 2 for "high", with C channels at the first level: 64 * 128 = 8192 in the paper. For
            "mid" it is `recurrent.out_channels` z / 16, also 8192 in the paper.

        Raises
        ------
        MMFusionError
            If there is no such level, or the input has another form.
        """
        if level not in self.feature_levels:
            raise MMFusionError(
                "unknown level of features", expected=", ".join(self.feature_levels), got=level
            )
        if (
            x.ndim != 5
            or x.shape[1] != self.in_channels
            or any(side % step for side, step in zip(x.shape[2:], self.divisor))
        ):
            expected = f"shape (b, {self.in_channels}, z, y, x), sides multiples of {self.divisor[0]}"
            raise MMFusionError("RASeg has no features of this input", expected=expected, got=tuple(x.shape))
        mid, high = (one.mean((3, 4)).flatten(1) for one in self._maps(x, cue)[1:])
        return {"high": high, "mid": mid, "multi": torch.cat([high, mid], 1)}[level]

    def _maps(
        self, x: torch.Tensor, cue: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the finest skip connection, the output of the ConvLSTM, and the map before the last step."""
        if x[0, 0].numel() == self.divisor[0] ** 3:
            raise MMFusionError(
                "RASeg cannot normalise a single voxel at its lowest level",
                expected=f"a side above {self.divisor[0]} voxels",
                got=tuple(x.shape[2:]),
            )
        cue = torch.ones_like(x[:, :1]) if cue is None else cue
        skips = []
        for block, gate in zip(self.encoder, self.gates):
            x = block(x)
            skips.append(gate(x, cue))
        slices = self.recurrent(rearrange(self.squeeze(x), "b c z y x -> b z c y x"))
        recurrent = x = rearrange(slices, "b z c y x -> b c z y x")
        for block, skip in zip(self.decoder, skips[:0:-1]):
            x = block(torch.cat([x, skip], 1))
        return skips[0], recurrent, x
