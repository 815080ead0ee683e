"""Base class of the segmentation networks, which map patches of scans to the logits of a mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from mmfusion.errors import MMFusionError, did_you_mean
from mmfusion.nn.layers.resize import resized
from mmfusion.nn.training.plan import TrainingPlan
from mmfusion.registry import SEGMENTERS


@dataclass(frozen=True, kw_only=True)
class SegmenterPreset:
    """One size of a segmentation network, with the patches and the training plan that belong to it.

    Parameters
    ----------
    options : mapping of str to object
        Options of the network's class.
    size : sequence of int
        Sides of a patch, voxels: (z, y, x), or (y, x) for a network that reads slices or slabs.
    spacing : (z, y, x)
        Voxel size of the patches, mm.
    plan : TrainingPlan
        Training plan.
    per_image : int
        Number of patches of each scan per epoch.

    Examples
    --------
    >>> SegmenterPreset(size=(32, 32, 32), spacing=(2.0, 2.0, 2.0)).plan.optimizer
    'adamw'
    """

    options: Mapping[str, object] = field(default_factory=dict)
    size: tuple[int, ...]
    spacing: tuple[float, float, float]
    plan: TrainingPlan = field(default_factory=TrainingPlan)
    per_image: int = 4


class Segmenter(nn.Module):
    """Base class of the segmentation networks; a subclass sets the attributes, and `net` or `run`.

    `net` is a network that returns the logits of the mask. A network with other inputs or outputs overrides
    `run` instead.

    Parameters
    ----------
    in_channels : int
        Channels of the input, one per scan: 1 for CT, 2 for CT and PET, in this order.
    spatial_dims : {2, 3}
        Axes in space of the output.
    divisor : int or sequence of int
        The sides of the input of `run` are multiples of it, one number for all axes or one per axis.
        `forward` takes inputs of any size: it pads the input, and crops the mask.

    Attributes
    ----------
    presets : mapping of str to SegmenterPreset
        "demo", which trains in minutes on two cores, and "full", the size of the paper.
    slab : int
        0 for networks that return a mask of the size of their input. Otherwise the number of slices of the
        input, (b, c, slab, y, x). The mask is then that of the slice in the middle, (b, 1, y, x).
    around : float
        Weight of the loss of the other slices of a slab. 0: only the slice in the middle has a loss.
    loss : str
        Name of the loss that the paper trains with; see `mmfusion.nn.mask_losses`.
    uses_cue : bool
        True if the network reads `cue`, a map of the region in which the lesion lies.
    outputs : sequence of {"mask", "expression"}
        What the network can predict. With "expression" it has two more options: `tasks`, what it predicts of
        these, and `genes`, the number of genes.
    tasks : sequence of {"mask", "expression"}
        What the network predicts.
    feature_levels : sequence of str
        Levels of the features for a classifier, if the network has a method `features(x, cue, level)` that
        returns them, shape (b, n); see `mmfusion.features.DeepFeatures`. Default: none.
    gradcam_layer : nn.Module or None
        Layer for Grad-CAM: it returns one map. None: the network has none.

    Raises
    ------
    MMFusionError
        If `spatial_dims` is neither 2 nor 3.

    Examples
    --------
    >>> class Threshold(Segmenter):
    ...     def run(self, x, cue=None):
    ...         return {"mask": 10 * x.mean(1, keepdim=True) - 5}
    >>> network = Threshold(in_channels=1, spatial_dims=2, divisor=4)
    >>> network(torch.zeros(2, 1, 7, 9))["mask"].shape
    torch.Size([2, 1, 7, 9])
    """

    presets: ClassVar[Mapping[str, SegmenterPreset]] = {}
    slab: int = 0
    around: float = 0.0
    loss: ClassVar[str] = "dice_ce"
    uses_cue: ClassVar[bool] = False
    outputs: ClassVar[tuple[str, ...]] = ("mask",)
    feature_levels: ClassVar[tuple[str, ...]] = ()
    tasks: tuple[str, ...] = ("mask",)
    gradcam_layer: nn.Module | None = None

    def __init__(
        self, *, in_channels: int = 1, spatial_dims: int = 3, divisor: int | tuple[int, ...] = 1
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise MMFusionError("no such number of axes in space", expected="2 or 3", got=spatial_dims)
        self.in_channels, self.spatial_dims = in_channels, spatial_dims
        axes = 3 if self.slab else spatial_dims
        self.divisor = (divisor,) * axes if isinstance(divisor, int) else tuple(divisor)

    def run(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the outputs for an input whose sides are multiples of `divisor`; see `forward`."""
        return {"mask": self.net(x)}

    def forward(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Return the logits of the mask, and further outputs by name.

        Parameters
        ----------
        x : Tensor, shape (b, c, *space), or (b, c, slab, y, x)
            Scans, mapped to [0, 1] by the windows of their modalities.
        cue : Tensor, shape (b, 1, *space), optional
            Region in which the lesion lies, 0 to 1; None means everywhere. Only networks with `uses_cue` read
            it.

        Returns
        -------
        dict of str to Tensor
            "mask": logits, shape (b, 1, *space). Networks that predict expression add "expression", shape
            (b, P), for P genes. While they are trained, networks with deep supervision add "deep": a list of
            further logits of the mask, at lower resolutions or from shallower parts of the network. Networks
            whose `around` is above 0 then add "around": the logits of the other slices of the slab, shape
            (b, slab - 1, y, x).

        Raises
        ------
        MMFusionError
            If the input has another number of axes or channels.
        """
        axes = len(self.divisor)
        if x.ndim != 2 + axes or x.shape[1] != self.in_channels or (self.slab and x.shape[2] != self.slab):
            space = f"{self.slab}, y, x" if self.slab else "z, y, x"[-3 * axes + 2 :]
            raise MMFusionError(
                f"{type(self).__name__} cannot read this input",
                expected=f"shape (b, {self.in_channels}, {space})",
                got=tuple(x.shape),
            )
        sides = x.shape[2:]
        margin = [-side % step for side, step in zip(sides, self.divisor, strict=True)]
        if not any(margin):
            return self.run(x, cue)
        pads = [p for m in reversed(margin) for p in (m // 2, m - m // 2)]
        x = F.pad(x, pads, mode="replicate")
        out = self.run(x, None if cue is None else F.pad(cue, pads, mode="replicate"))
        if "mask" not in out:  # a network that predicts expression alone
            return out
        flat = out["mask"].ndim - 2
        box = [slice(m // 2, m // 2 + side) for m, side in zip(margin, sides, strict=True)][-flat:]
        cropped = {**out, **{name: out[name][(..., *box)] for name in ("mask", "around") if name in out}}
        if "deep" in out:  # at full size, because the margin need not be whole voxels of a coarse mask
            cropped["deep"] = [resized(one, out["mask"].shape[2:])[(..., *box)] for one in out["deep"]]
        return cropped

    def start_from(self, weights: Mapping[str, torch.Tensor]) -> Segmenter:
        """Take over the weights of a trained network, and return this network.

        Parameters
        ----------
        weights : mapping of str to Tensor
            `state_dict()` of a network with the same options.

        Raises
        ------
        MMFusionError
            If the weights are those of another network.
        """
        try:
            self.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise MMFusionError(
                "the weights are those of another network",
                expected=f"weights of a {type(self).__name__} with the same options",
                got=str(error).splitlines()[-1].strip(),
            ) from error
        return self

    @classmethod
    def from_preset(cls, preset: str, **options: object) -> Segmenter:
        """Return the network in one of its sizes; `options` replace those of the preset.

        Raises
        ------
        MMFusionError
            If there is no such preset, or the network does not take an option.
        """
        chosen = get_preset(cls, preset)
        try:
            return cls(**{**chosen.options, **options})
        except TypeError as error:
            raise MMFusionError(f"{cls.__name__} does not take these options", got=options) from error


def get_preset(network: str | type[Segmenter], preset: str) -> SegmenterPreset:
    """Return a preset of a network, which is given by its class or its registered name.

    Raises
    ------
    MMFusionError
        If there is no such network or preset.

    Examples
    --------
    >>> get_preset("unet", "demo").size
    (32, 32, 32)
    """
    cls = network if isinstance(network, type) else SEGMENTERS.get(network)
    if not isinstance(preset, str) or preset not in cls.presets:
        known, hint = ", ".join(cls.presets) or "none", did_you_mean(preset, cls.presets)
        raise MMFusionError(f"{cls.__name__} has no preset {preset!r}", expected=known, got=preset, hint=hint)
    return cls.presets[preset]
