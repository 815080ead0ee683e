"""SliceNet: CIPA for slabs of neighbouring slices, which interact at each scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from einops import rearrange
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.layers.slice_interaction import SliceConcatenation, SliceInteraction
from mmfusion.nn.segmenters.base import Segmenter
from mmfusion.nn.segmenters.cipa import Cipa
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS

_JOIN = {
    "slice": SliceInteraction,
    "concat": lambda channels, slices, reduction: SliceConcatenation(channels, slices),
}


@SEGMENTERS.register(
    "slicenet", modality="ct, pet", dims="2.5", paper="Multimodal slice interaction 2025 (arXiv 2509.22841)"
)
class SliceNet(Segmenter):
    """Network for slabs of PET/CT, in which neighbouring slices interact, built on CIPA.

    CIPA's encoder reads every slice with the same weights. At each scale, the maps of all slices become one
    map of the slice in the middle, and CIPA's decoder makes the mask of this slice. Before training, the mask
    equals that of CIPA to the bit, so that the training can start from a trained CIPA; see `load_2d`.

    Parameters
    ----------
    in_channels : {2, 1}
        As for `Cipa`.
    slab : int
        Number of slices of the input, S: 3, 5, 7, ... At the ends of a scan, the last slice is repeated.
    interaction : {"slice", "concat", "none"}
        "slice": the slice interaction of the paper. "concat": a convolution of the channels of all slices.
        "none": the network reads the slice in the middle only.
    reduction : int
        Reduction of the gates of the slice interaction.
    around : float
        Weight of the loss of the other slices of the slab, 0 or above. Their masks are decoded without
        interaction. 0: only the slice in the middle has a loss. With a weight above 0, such as 0.25, a
        training step takes longer.
    **plane : object
        Options of `Cipa`.

    Raises
    ------
    MMFusionError
        If `slab`, `interaction`, `around` or an option of `Cipa` has another value.

    Notes
    -----
    The encoder reads the slices in the middle in a batch of their own. Its batch norms then get the same
    numbers as in CIPA, so that the masks are equal to the bit in training mode too.

    For training that starts from CIPA, a plan with `freeze={"plane.encoder": 5}` and
    `lr_groups={"plane.encoder": 0.1}` keeps the encoder for 5 epochs, and then changes it slowly.

    Examples
    --------
    >>> network = SliceNet(slab=3, width=8, depths=(1, 1), decoder_depth=1).eval()
    >>> x = torch.rand(1, 2, 3, 16, 16)
    >>> torch.equal(network(x)["mask"], network.plane(x[:, :, 1])["mask"])
    True
    """

    presets: ClassVar = {
        "demo": Cipa.presets["demo"],
        "full": replace(
            Cipa.presets["full"], plan=TrainingPlan(lr=1e-4, max_epochs=60, batch_size=4, patience=15)
        ),
    }
    loss: ClassVar[str] = Cipa.loss

    def __init__(
        self,
        *,
        in_channels: int = 2,
        slab: int = 3,
        interaction: str = "slice",
        reduction: int = 16,
        around: float = 0.0,
        **plane: object,
    ) -> None:
        if type(slab) is not int or slab < 3 or slab % 2 == 0:
            raise MMFusionError(
                "a slab has one slice in the middle", expected="3, 5, 7, ... slices", got=slab
            )
        if interaction not in (*_JOIN, "none"):
            raise MMFusionError(
                "no such interaction of slices", expected=", ".join((*_JOIN, "none")), got=interaction
            )
        if isinstance(around, bool) or not 0 <= around < float("inf"):
            raise MMFusionError(
                "the loss of the other slices has no such weight", expected="0 or above", got=around
            )
        cipa = Cipa(in_channels=in_channels, **plane)
        self.slab, self.around = slab, float(around)
        super().__init__(in_channels=in_channels, spatial_dims=2, divisor=(1, *cipa.divisor))
        self.plane = cipa
        join = _JOIN.get(interaction)
        self.joins = nn.ModuleList(join(c, slab, reduction=reduction) for c in cipa.channels if join)

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the mask of the slice in the middle; in training, "around" too."""
        middle, out = self.slab // 2, {}
        supervised = self.around > 0 and self.training
        maps = self.plane.features(x[:, :, middle])
        if self.joins or supervised:
            others = torch.cat([x[:, :, :middle], x[:, :, middle + 1 :]], 2)
            around = self.plane.features(rearrange(others, "b c s y x -> (b s) c y x"))
        if self.joins:
            maps = [
                join(_insert(one, rearrange(other, "(b s) c y x -> b s c y x", b=len(x)), middle))
                for join, one, other in zip(self.joins, maps, around, strict=True)
            ]
        out["mask"] = self.plane.decode(maps)
        if supervised:
            out["around"] = rearrange(self.plane.decode(around), "(b s) 1 y x -> b s y x", b=len(x))
        return out

    def start_from(self, weights: Mapping[str, torch.Tensor]) -> Segmenter:
        """Take over the weights of a trained `SliceNet`, or of a `Cipa` as `load_2d` does."""
        own = any(name.startswith("plane.") for name in weights)
        return super().start_from(weights) if own else self.load_2d(weights)

    def load_2d(self, weights: Mapping[str, torch.Tensor]) -> SliceNet:
        """Take over the weights of a `Cipa` with the same options; the interaction of slices is not changed.

        Parameters
        ----------
        weights : mapping of str to Tensor
            `Cipa.state_dict()`.

        Returns
        -------
        SliceNet
            This network.

        Raises
        ------
        MMFusionError
            If the weights are those of another network.

        Examples
        --------
        >>> size = {"width": 8, "depths": (1, 1), "decoder_depth": 1}
        >>> network = SliceNet(**size).load_2d(Cipa(**size).state_dict())
        """
        try:
            self.plane.load_state_dict(weights)
        except RuntimeError as error:
            raise MMFusionError(
                "these weights do not fit the network for single slices",
                expected="weights of a Cipa with the same options",
                got=str(error).splitlines()[-1].strip(),
            ) from error
        return self


def _insert(one: torch.Tensor, others: torch.Tensor, middle: int) -> torch.Tensor:
    """Return the maps of all slices, (b, S, C, y, x), with the one in the middle at its place."""
    return torch.cat([others[:, :middle], one[:, None], others[:, middle:]], 1)
