"""Settings of a StageClassifier: its nested objects with its flat parameters put into them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sklearn.base import clone

from mmfusion.errors import DataError, check_seed, check_whole, did_you_mean
from mmfusion.nn.network import NetworkPlan
from mmfusion.nn.params import check_agree, unusable
from mmfusion.nn.training import TrainingPlan
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.staging.decision import check_decision

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier

NESTED = {"preprocessing": CohortTransformer, "network": NetworkPlan, "training": TrainingPlan}
# flat parameter -> the nested object that it overrides
FLAT = {
    "modalities": "preprocessing",
    "n_genes": "preprocessing",
    "encoders": "network",
    "dropout": "network",
    "lr": "training",
    "max_epochs": "training",
}


@dataclass(frozen=True)
class Settings:
    """All settings of a fit except the fusion and the seed.

    Examples
    --------
    >>> from mmfusion.staging import StageClassifier
    >>> settings_of(StageClassifier(lr=1e-3)).training.lr
    0.001
    """

    preprocessing: CohortTransformer
    network: NetworkPlan
    training: TrainingPlan


def settings_of(model: StageClassifier) -> Settings:
    """Put the flat parameters of a classifier into its nested objects.

    Raises
    ------
    DataError
        If a value is given in both places and differs, a nested object has no such parameter, the number of
        members or the seed is out of range, or there is no such decision.

    Examples
    --------
    >>> from mmfusion.staging import StageClassifier
    >>> settings = settings_of(StageClassifier(dropout=0.1, network={"hidden": 128}))
    >>> settings.network.dropout, settings.network.hidden
    (0.1, 128)
    """
    check_whole("n_members", model.n_members)
    check_seed(model.random_state)
    check_decision(model.decision, model.costs)
    parts = {}
    for name in NESTED:
        part = nested(model, name)
        flat = {key: getattr(model, key) for key, home in FLAT.items() if home == name}
        flat = {key: value for key, value in flat.items() if value is not None}
        usual, own = NESTED[name]().get_params(deep=False), part.get_params(deep=False)
        check_agree(name, {key: own[key] for key in flat if own[key] != usual[key]}, flat)
        parts[name] = changed(part, flat)
    parts["preprocessing"] = changed(parts["preprocessing"], {"random_state": model.random_state})
    return Settings(**parts)


def nested(model: StageClassifier, name: str) -> object:
    """Return a nested object of a classifier; None means the default, a mapping means changes to it.

    Examples
    --------
    >>> from mmfusion.staging import StageClassifier
    >>> nested(StageClassifier(training={"max_epochs": 5}), "training").max_epochs
    5
    """
    kind, given = NESTED[name], getattr(model, name)
    if given is None or isinstance(given, Mapping):
        return changed(kind(), given or {})
    if not isinstance(given, kind):
        raise unusable(name, f"a {kind.__name__}, a mapping of its parameters, or None", type(given).__name__)
    return given


def changed(part: object, changes: Mapping[str, object]) -> object:
    """Return a copy of a nested object with some values changed.

    Examples
    --------
    >>> changed(NetworkPlan(hidden=64), {"hidden": 128}).hidden
    128
    """
    if isinstance(part, CohortTransformer):
        known = part.get_params(deep=False)
        if unknown := sorted(set(changes) - set(known)):
            problem, hint = "not a parameter of CohortTransformer", did_you_mean(unknown[0], known)
            raise DataError(problem, parameter=", ".join(unknown), expected=", ".join(known), hint=hint)
        return clone(part).set_params(**changes)
    return part.replace(**changes)


def nested_params(model: StageClassifier) -> dict[str, object]:
    """Return the parameters of the nested objects as `training__lr` and so on.

    Examples
    --------
    >>> from mmfusion.staging import StageClassifier
    >>> nested_params(StageClassifier(training={"max_epochs": 5}))["training__max_epochs"]
    5
    """
    return {
        f"{name}__{key}": value
        for name in NESTED
        for key, value in nested(model, name).get_params(deep=False).items()
        if key != "random_state"
    }


def resolved_params(model: StageClassifier) -> dict[str, object]:
    """Return all parameters with the values that a fit would use, flat and nested.

    Examples
    --------
    >>> from mmfusion.staging import StageClassifier
    >>> params = resolved_params(StageClassifier(max_epochs=5))
    >>> params["max_epochs"], params["training__max_epochs"]
    (5, 5)
    """
    settings = settings_of(model)
    parts = {name: getattr(settings, name).get_params(deep=False) for name in NESTED}
    flat = {key: parts[home][key] for key, home in FLAT.items()}
    inner = {f"{name}__{key}": value for name, part in parts.items() for key, value in part.items()}
    return model.get_params(deep=False) | flat | inner


def set_nested(
    model: StageClassifier, inner: Mapping[str, Mapping[str, object]], flat: Collection[str] = ()
) -> None:
    """Replace nested objects of a classifier by changed ones.

    A flat parameter of the same meaning becomes None, unless it is one of `flat`: the value set last is used,
    also if it is the default.

    Examples
    --------
    >>> from mmfusion.staging import StageClassifier
    >>> model = StageClassifier(lr=1e-2)
    >>> set_nested(model, {"training": {"lr": 1e-3}})
    >>> model.settings.training.lr
    0.001
    """
    for name, changes in inner.items():
        setattr(model, name, changed(nested(model, name), changes))
        for key in set(changes) - set(flat):
            if FLAT.get(key) == name:
                setattr(model, key, None)
