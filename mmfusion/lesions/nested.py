"""Training plan of a LesionSegmenter: its nested parameters (`training__lr`), and the flat ones over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmfusion.lesions.checks import is_whole
from mmfusion.nn.correlation import LEAST
from mmfusion.nn.params import check_agree, split_nested, unusable
from mmfusion.nn.segmenters import get_preset
from mmfusion.nn.training import TrainingPlan

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

FLAT = ("lr", "max_epochs", "batch_size")  # parameters that override those of `training`
PREFIX = "training__"


def plan_of(model: LesionSegmenter) -> TrainingPlan:
    """Return the training plan: that of the preset, changed by `training` and by the flat parameters.

    Raises
    ------
    DataError
        If a value is given in both places and differs.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> plan = plan_of(LesionSegmenter("unet", max_epochs=7, training={"weight_decay": 0.1}))
    >>> plan.max_epochs, plan.weight_decay
    (7, 0.1)
    """
    plan, given = _nested(model)
    flat = {name: getattr(model, name) for name in FLAT if getattr(model, name) is not None}
    check_agree("training", given, flat)
    return _changed(plan, flat, keep=given)


def plan_for_expression(model: LesionSegmenter) -> TrainingPlan:
    """Return the training plan with batches of at least 8 patches, for the loss of the correlation.

    A batch size that the user gave is not changed.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> model = LesionSegmenter("cspat", training={"lr": 0.1})
    >>> plan_of(model).batch_size, plan_for_expression(model).batch_size
    (2, 8)
    >>> plan_for_expression(model.set_params(batch_size=4)).batch_size
    4
    """
    plan = plan_of(model)
    chosen = model.batch_size is not None or "batch_size" in _nested(model)[1]
    return plan if chosen else plan.replace(batch_size=max(plan.batch_size, LEAST))


def nested_params(model: LesionSegmenter) -> dict[str, object]:
    """Return the parameters of the training plan as `training__lr` and so on, without the flat parameters.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> nested_params(LesionSegmenter("unet", training={"lr": 0.1}))["training__lr"]
    0.1
    """
    return {f"{PREFIX}{name}": value for name, value in _nested(model)[0].get_params().items()}


def set_nested(model: LesionSegmenter, params: Mapping[str, object]) -> dict[str, object]:
    """Put `training__...` into the training plan of a model, and return the other parameters.

    A flat parameter of the same name becomes None, so that the new value is used. If both are set in one
    call, the flat one is used.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> model = LesionSegmenter("unet", lr=0.1)
    >>> set_nested(model, {"training__lr": 0.2, "preset": "full"}), model.training, model.lr
    ({'preset': 'full'}, {'lr': 0.2}, None)
    """
    flat, nested = split_nested(params, ["training"])
    inner = nested.get("training", {})
    if inner:
        TrainingPlan.check_names(inner)
        inner = {k: v for k, v in inner.items() if flat.get(k) is None}  # a flat parameter set too is used
        base = flat.pop("training", model.training)
        plan = isinstance(base, TrainingPlan)
        model.training = base.replace(**inner) if plan else {**(base or {}), **inner}
        for name in set(inner) & set(FLAT) - set(flat):
            setattr(model, name, None)
    return flat


def _nested(model: LesionSegmenter) -> tuple[TrainingPlan, dict[str, object]]:
    """Return the plan without the flat parameters, and the values that the user gave for it."""
    given = model.training
    if isinstance(given, TrainingPlan):
        usual = TrainingPlan().get_params()
        return given, {k: v for k, v in given.get_params().items() if v != usual[k]}
    if given is not None and not isinstance(given, Mapping):
        expected = "a TrainingPlan, a mapping of its parameters, or None"
        raise unusable("training", expected, type(given).__name__)
    changes = dict(given or {})
    return _changed(get_preset(model.network, model.preset).plan, changes, keep=changes), changes


def _changed(
    plan: TrainingPlan, changes: Mapping[str, object], keep: Mapping[str, object]
) -> TrainingPlan:  # fmt: skip
    """Return a plan with changes; a warm-up that the user did not give is shortened to fit the epochs."""
    epochs = changes.get("max_epochs")
    if "warmup_epochs" not in keep and is_whole(epochs, 1) and plan.warmup_epochs >= epochs:
        changes = {**changes, "warmup_epochs": epochs - 1}
    return plan.replace(**changes)
