"""Checks of a saved model before memory is taken: its network has the shapes of the weights that it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from mmfusion.errors import BundleError
from mmfusion.limits import check_memory
from mmfusion.nn.net import FusionNet

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier

_USUAL = 4096  # largest number among the settings of a network whose weights are small


def check_state(model: StageClassifier, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise a `BundleError` if parts of a model contradict each other, or ask for more than its weights hold.

    Parameters
    ----------
    model : StageClassifier
        Model with everything but the network.
    tensors : mapping of str to Tensor
        Weights of the network.
    """
    classes = len(model.classes_)
    prior = np.asarray(list(model.prior_.values()) if isinstance(model.prior_, Mapping) else model.prior_)
    if not 2 <= classes == len(set(model.classes_)) == prior.size:
        raise BundleError(
            "classes and their shares do not match", expected=f"{classes} of both", got=prior.size
        )
    for spec in model.transformer_.specs_:
        check_memory(4.0 * math.prod(spec.shape), f"the stream {spec.name}", error=BundleError)
        held = np.shape(model.background_.arrays[spec.name])[1:]
        if held != tuple(spec.shape):
            problem = f"the shape of the stream {spec.name} does not match the stored patients"
            raise BundleError(problem, expected=tuple(spec.shape), got=held)
    most = max([_USUAL, len(tensors), *(n for tensor in tensors.values() for n in tensor.shape)])
    if (large := _largest(model.settings.network.get_params())) > most:
        raise BundleError(
            "a setting of the network does not fit its weights", expected=f"at most {most}", got=large
        )


def build_members(model: StageClassifier, tensors: Mapping[str, torch.Tensor]) -> list[FusionNet]:
    """Return the untrained networks of a model, after checking that its weights have exactly their shapes.

    The network is first built without memory, on the meta device.

    Raises
    ------
    BundleError
        If weights are missing, belong to another network, or have other shapes.
    """
    network, specs = model.settings.network, model.transformer_.specs_
    n = len(model.history_)
    found = len({name.split(".")[1] for name in tensors if name.count(".") > 1})
    if not 1 <= n == found:
        raise BundleError("another number of networks", expected=f"{n}, as trained", got=found)
    with torch.device("meta"):
        one = network.build(specs, len(model.classes_), model.fusion).state_dict()
    shapes = {f"members.{k}.{name}": tuple(tensor.shape) for k in range(n) for name, tensor in one.items()}
    held = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wrong := sorted(name for name in shapes.keys() | held.keys() if shapes.get(name) != held.get(name)):
        name = wrong[0]
        raise BundleError(
            f"{len(wrong)} weights do not fit the network, such as {name}",
            expected=shapes.get(name, "none"),
            got=held.get(name, "none"),
        )
    return [network.build(specs, len(model.classes_), model.fusion) for _ in range(n)]


def _largest(value: object) -> float:
    """Return the largest number in a setting, at any depth; 0 if there is none."""
    if isinstance(value, Mapping):
        return max(map(_largest, value.values()), default=0)
    if isinstance(value, list | tuple):
        return max(map(_largest, value), default=0)
    return 0 if isinstance(value, bool) or not isinstance(value, int | float) else abs(value)
