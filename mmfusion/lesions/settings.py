"""Settings of a LesionSegmenter: its parameters, and the values of the preset where none is given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mmfusion.errors import DataError, MMFusionError
from mmfusion.lesions.checks import (
    augmentation_of,
    check_settings,
    modalities_of,
    size_of,
    spacing_of,
)
from mmfusion.lesions.nested import FLAT, PREFIX, plan_of
from mmfusion.limits import check_memory
from mmfusion.nn.segmenters import Segmenter, get_preset
from mmfusion.nn.training import TrainingPlan, reproducible
from mmfusion.preprocessing.augmentation import CropAugmentation
from mmfusion.registry import SEGMENTERS

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

_REFUSED = (ValueError, LookupError, ArithmeticError, AttributeError, AssertionError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings:
    """All settings of a fit.

    Parameters
    ----------
    network : str
        Registered name of the network.
    options : mapping
        Options of its class, those of the preset included.
    modalities : tuple of str
        Modalities of the channels.
    size : tuple of int
        Sides of a patch, voxels: two or three.
    spacing : (z, y, x)
        Voxel size of the patches, mm.
    per_image : int
        Patches of each scan per epoch.
    plan : TrainingPlan
        Training plan.
    augmentation : CropAugmentation or None
        Random changes of the patches.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> settings = settings_of(LesionSegmenter("unet", lr=1e-3))
    >>> settings.size, settings.plan.lr
    ((32, 32, 32), 0.001)
    """

    network: str
    options: Mapping[str, object]
    modalities: tuple[str, ...]
    size: tuple[int, ...]
    spacing: tuple[float, float, float]
    per_image: int
    plan: TrainingPlan
    augmentation: CropAugmentation | None

    def check(self) -> None:
        """Raise the errors that `build` would raise, without its memory, and one if a patch is too large."""
        n_bytes = 4 * math.prod(self.size) * len(self.modalities)
        check_memory(n_bytes, f"a patch of {' x '.join(map(str, self.size))} voxels")
        with reproducible(0), torch.device("meta"):
            self.build()

    def build(self) -> Segmenter:
        """Return a new network. Its weights are drawn from the global generator of torch.

        Raises
        ------
        MMFusionError
            If the network does not take an option, or cannot have its value.
        DataError
            If the patches have another number of sides than the network reads.
        """
        cls = SEGMENTERS.get(self.network)
        try:
            module = cls(in_channels=len(self.modalities), **self.options)
        except TypeError as error:
            raise DataError(
                f"{cls.__name__} does not take these options", parameter="options", got=dict(self.options)
            ) from error
        except MMFusionError:
            raise
        except _REFUSED as error:  # of torch or monai, such as a network without channels
            problem = f"{cls.__name__} cannot have these options: {error}"
            raise DataError(problem, parameter="options", got=dict(self.options)) from error
        if len(self.size) != self.sides(module):
            expected = f"{self.sides(module)} sides"
            raise DataError("the network cannot read patches with this number of sides", parameter="size",
                            expected=expected, got=self.size)  # fmt: skip
        return module

    def for_genes(self, genes: int | None) -> SegmenterSettings:
        """Return the settings of a network that also predicts the expression of genes.

        Parameters
        ----------
        genes : int or None
            Number of genes. None: there is no expression to learn from, and the settings stay as they are.

        Raises
        ------
        DataError
            If there are genes and the network cannot predict expression, or there are none and expression is
            among its tasks.
        """
        tasks = tuple(self.options.get("tasks", ()))
        if genes is None:
            if "expression" in tasks:
                raise DataError("no expression to learn from", hint="fit(X, expression=table)")
            return self
        able = [name for name in SEGMENTERS.frame().index if "expression" in SEGMENTERS.get(name).outputs]
        if self.network not in able or (tasks and "expression" not in tasks):
            raise DataError("this network does not predict expression", parameter="network",
                            expected=f"{' or '.join(able)}, with expression among its tasks",
                            got=self.network)  # fmt: skip
        outputs = tasks or SEGMENTERS.get(self.network).outputs
        return replace(self, options={**self.options, "tasks": outputs, "genes": genes})

    @staticmethod
    def sides(module: Segmenter) -> int:
        """Return the number of sides of a network's patches."""
        return 2 if module.slab else module.spatial_dims


def settings_of(model: LesionSegmenter) -> SegmenterSettings:
    """Return the settings of a fit.

    Raises
    ------
    DataError
        If a parameter is out of range, or a value is given in two places and differs.
    MMFusionError
        If there is no such network or preset.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> settings_of(LesionSegmenter("unet", modalities=["ct", "pet"], spacing=3)).spacing
    (3.0, 3.0, 3.0)
    """
    preset = get_preset(model.network, model.preset)
    check_settings(model)
    options = {**preset.options, **(model.options or {})}
    return SegmenterSettings(
        network=model.network,
        options=options,
        modalities=modalities_of(model),
        size=size_of(model.size, preset, options),
        spacing=spacing_of(preset.spacing if model.spacing is None else model.spacing),
        per_image=preset.per_image,
        plan=plan_of(model),
        augmentation=augmentation_of(model.augment),
    )


def resolved_params(model: LesionSegmenter) -> dict[str, object]:
    """Return all parameters with the values that a fit would use, flat and nested.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> params = resolved_params(LesionSegmenter("unet", max_epochs=5))
    >>> params["training__max_epochs"], params["modalities"], params["size"]
    (5, ('ct',), (32, 32, 32))
    """
    settings = settings_of(model)
    plan = settings.plan.get_params()
    same = {name: getattr(settings, name) for name in ("options", "modalities", "size", "spacing")}
    flat = {name: plan[name] for name in FLAT}
    return model.get_params(deep=False) | same | flat | {f"{PREFIX}{k}": v for k, v in plan.items()}
