"""Checks of a saved model: its parts fit together, and it takes no more memory than its files hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from mmfusion.errors import BundleError, MMFusionError, gathered
from mmfusion.limits import check_memory
from mmfusion.nn.net import FusionNet
from mmfusion.nn.network import NetworkPlan
from mmfusion.preprocessing.base import FoldFitted, Stateful
from mmfusion.preprocessing.harmonisation import harmonised

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier

_USUAL = 4096  # largest number among the settings of a network whose weights are small


def check_state(model: StageClassifier) -> None:
    """Raise a `BundleError` if the parts of a model, without its networks, contradict each other."""
    classes = len(model.classes_)
    prior = np.asarray(list(model.prior_.values()) if isinstance(model.prior_, Mapping) else model.prior_)
    if not 2 <= classes == len(set(model.classes_)) == prior.size:
        problem = "classes and their shares do not match"
        raise BundleError(problem, expected=f"{classes} of both", got=prior.size)
    if (names := model.feature_names_in_).nlevels != 2 or names.has_duplicates:
        raise BundleError("not the columns of a cohort", expected="pairs (modality, feature), each once")
    if not all(isinstance(block, str) for block in model.transformer_.blocks_):
        raise BundleError("not the modalities of a cohort", column="blocks_", expected="names")
    for name in ("transformers_", "harmonisers_", "graphs_"):
        parts = getattr(model.transformer_, name, {})
        if not isinstance(parts, Mapping) or not all(isinstance(part, Stateful) for part in parts.values()):
            raise BundleError("a part of the preprocessing is not fitted", column=name)
    for spec in model.transformer_.specs_:
        check_memory(4.0 * math.prod(spec.shape), f"the stream {spec.name}", error=BundleError)
        held = np.shape(model.background_.arrays[spec.name])[1:]
        if held != tuple(spec.shape):
            problem = f"the shape of the stream {spec.name} does not match the stored patients"
            raise BundleError(problem, expected=tuple(spec.shape), got=held)


def check_networks(
    build: Callable[[], FusionNet],
    n: int,
    plan: NetworkPlan,
    tensors: Mapping[str, torch.Tensor],
    *,
    optional: str | None = None,
) -> None:
    """Raise a `BundleError` unless `n` networks have exactly the weights that a bundle holds.

    The network is built on the meta device, which takes no memory.

    Parameters
    ----------
    build : callable
        Function that builds one network.
    n : int
        Number of networks.
    plan : NetworkPlan
        Settings of the network. No number among them is above the sizes and the number of the weights, as it
        would be if a setting was edited to ask for a large network.
    tensors : mapping of str to Tensor
        The weights.
    optional : str, optional
        Weights whose name contains it may be absent.
    """
    most = max([_USUAL, len(tensors), *(size for tensor in tensors.values() for size in tensor.shape)])
    if (large := _largest(plan.get_params())) > most:
        problem = "a setting of the network does not fit its weights"
        raise BundleError(problem, expected=f"at most {most}", got=large)
    found = len({name.split(".")[1] for name in tensors if name.count(".") > 1})
    if not 1 <= n == found:
        raise BundleError("another number of networks", expected=f"{n}, as trained", got=found)
    with torch.device("meta"):
        one = build().state_dict()
    shapes = {f"members.{k}.{name}": tuple(tensor.shape) for k in range(n) for name, tensor in one.items()}
    held = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in shapes.keys() | held.keys() if shapes.get(name) != held.get(name))
    wrong = [name for name in wrong if not (optional and optional in name and name not in held)]
    if wrong:
        raise BundleError(
            f"{len(wrong)} weights do not fit the network, such as {wrong[0]}",
            expected=shapes.get(wrong[0], "none"),
            got=held.get(wrong[0], "none"),
        )


def try_out(model: StageClassifier) -> None:
    """Predict from the stored patients, and read a made-up one, so that an edited state fails now.

    What a made-up patient cannot have is not an error of the model. Any other exception is: it is raised.
    """
    background = model.background_
    model.probabilities(background)
    with gathered():
        for column, (name, transformer) in enumerate(model.transformer_.transformers_.items()):
            _read_made_up(transformer)
            if combat := getattr(model.transformer_, "harmonisers_", {}).get(name):
                site = pd.Series([combat.sites_[0]] * len(background.present), dtype=object)
                harmonised(combat, transformer, background.arrays[name], background.present[:, column], site)


def _read_made_up(transformer: FoldFitted) -> None:
    kinds = getattr(transformer, "kinds_", {})
    names = [str(name) for name in transformer.feature_names_in_]
    if "volume" in names:
        return  # a transformer of scans
    cells = {name: "made-up" if kinds.get(name) == "category" else 1.0 for name in names}
    with suppress(MMFusionError):
        transformer.transform(pd.DataFrame([cells], index=["made-up"]))


def _largest(value: object) -> float:
    """Return the largest number in a setting, at any depth; 0 if there is none."""
    if isinstance(value, Mapping):
        return max(map(_largest, value.values()), default=0)
    if isinstance(value, list | tuple):
        return max(map(_largest, value), default=0)
    return 0 if isinstance(value, bool) or not isinstance(value, int | float) else abs(value)
