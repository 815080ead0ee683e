"""Models that nested cross-validation judges beside a LesionSegmenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sklearn.base import clone

from mmfusion.errors import DataError
from mmfusion.modalities import IMAGING
from mmfusion.nn.segmenters import get_preset
from mmfusion.nn.training import TrainingPlan

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter


def variants(
    model: LesionSegmenter,
    modalities: Sequence[str],
    *,
    networks: Sequence[str] = (),
    singles: bool = False,
    box_modes: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[str, tuple[dict[str, object], tuple[str, ...]]]:
    """Return the variants that `nested_cv` judges beside the model: other networks, scans and boxes.

    Parameters
    ----------
    modalities : sequence of str
        Modalities of the cohort.
    networks : sequence of str
        Registered networks. They read the same scans as the model, and no boxes.
    singles : bool
        Judge the model on each of its scans alone, if it reads several.
    box_modes : sequence of str
        Other box modes of the model. The mode is a part of the name.
    settings : mapping of str to mapping, optional
        Name of a variant -> its changed parameters, such as `{"no flips": {"augment": False}}`.

    Returns
    -------
    dict
        Name -> (the changed parameters, the modalities that are read). For another network, the options, the
        start weights, and the parts of the network that are frozen or have a learning rate of their own are
        reset, because they belong to the model's own network. The size of the patches
        is reset too if the other network reads patches with another number of sides.

    Raises
    ------
    MMFusionError
        If there is no such network, or it lacks the preset of the model; if two models have one name.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> model = LesionSegmenter("unet", modalities=["ct", "pet"])
    >>> found = model.variants(["ct", "pet"], networks=["cspat"], singles=True)
    >>> found["cspat"][0]["network"], found["ct only"]
    ('cspat', ({'modalities': ('ct',)}, ('ct',)))
    """
    every = model.settings.modalities
    _check_lists(networks, box_modes, settings)
    found = {}
    for name in networks:
        if name != model.network:
            found[name] = (_other_network(model, name, every), every)
    for mode in box_modes:
        if mode != model.box_mode:
            other = clone(model).set_params(box_mode=mode)
            found[other.short_name] = ({"box_mode": mode}, every)
    scans = [m for m in every if m in modalities and m in IMAGING]
    for modality in scans if singles and len(every) > 1 else ():
        found[f"{modality} only"] = ({"modalities": (modality,)}, (modality,))
    for name, changes in (settings or {}).items():
        if name in found or name == model.short_name:  # one of the two would be lost
            hint = "choose another name"
            raise DataError("two models of one name", parameter="settings", got=name, hint=hint)
        _check_names(model, name, changes)
        found[name] = (dict(changes), tuple(changes.get("modalities") or every))
    return found


def _check_lists(networks: object, box_modes: object, settings: object) -> None:
    for name, given in (("networks", networks), ("box_modes", box_modes)):
        if isinstance(given, str):
            raise DataError("not a list", parameter=name, expected="a list of names", got=repr(given),
                            hint=f"{name}=[{given!r}]")  # fmt: skip
    if not isinstance(settings, Mapping | None):
        expected = "a mapping of names to changed parameters"
        raise DataError("not a mapping", parameter="settings", expected=expected, got=type(settings).__name__)


def _check_names(model: LesionSegmenter, name: str, changes: object) -> None:
    """Raise a `DataError` before anything is fitted if a variant changes what is no parameter."""
    known = model.get_params()
    unknown = [one for one in changes if one not in known] if isinstance(changes, Mapping) else [changes]
    if unknown:
        raise DataError(f"the variant {name!r} changes what is no parameter", parameter="settings",
                        expected="a mapping of parameters to values", got=unknown[0])  # fmt: skip


def _other_network(model: LesionSegmenter, name: str, every: tuple[str, ...]) -> dict[str, object]:
    changes: dict[str, object] = {"network": name, "modalities": every, "options": None, "start": None}
    if model.training:
        plan = TrainingPlan(**model.training) if isinstance(model.training, Mapping) else model.training
        if plan.freeze or plan.lr_groups:
            changes["training"] = plan.replace(freeze={}, lr_groups={})
    sides = len(get_preset(name, model.preset).size)
    if model.size is not None and len(model.settings.size) != sides:
        changes["size"] = None
    return changes | ({"box_mode": "none"} if model.box_mode != "none" else {})
