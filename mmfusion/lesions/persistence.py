"""Save a fitted LesionSegmenter to a bundle, and restore it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from sklearn.utils.validation import check_is_fitted

import mmfusion
from mmfusion.bundle import write_bundle
from mmfusion.errors import BundleError, MMFusionError
from mmfusion.escaping import readable_markdown
from mmfusion.lesions.checks import size_of, spacing_of
from mmfusion.lesions.detector import Detector
from mmfusion.lesions.panel import GenePanel
from mmfusion.lesions.settings import SegmenterSettings, settings_of
from mmfusion.modalities import scan_modality
from mmfusion.nn.segmenters import get_preset
from mmfusion.nn.training import TrainingPlan, reproducible
from mmfusion.preprocessing.augmentation import CropAugmentation

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

_DETECTOR = "detector."  # before the names of its tensors
_TUPLES = ("modalities", "size", "spacing")
# errors that the classes raise if the state was edited
_UNFIT = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError, MMFusionError)


def save(model: LesionSegmenter, folder: str | Path) -> LesionSegmenter:
    """Save everything that prediction needs to `folder` (see `mmfusion.bundle`), and return the model.

    The folder holds no scan and no mask. Training patients are listed as hashes.

    Raises
    ------
    BundleError
        If a parameter has no JSON form, or `folder` cannot be written.
    """
    check_is_fitted(model, "module_")
    write_bundle(
        folder,
        estimator=type(model).__name__,
        config=state_of(model),
        tensors=tensors_of(model),
        card=_card(model),
    )
    return model


def restore(
    cls: type[LesionSegmenter], state: Mapping[str, object], tensors: Mapping[str, torch.Tensor]
) -> LesionSegmenter:
    """Return the fitted segmenter that `save` wrote.

    Raises
    ------
    BundleError
        If the state does not fit this release.
    """
    try:
        model = cls(**_params(state["params"]))
        model.fitted_ = _settings(state["settings"], settings_of(model))
        model.threshold_, model.history_ = float(state["threshold"]), list(state["history"])
        if not 0 <= model.threshold_ < 1:
            raise BundleError("threshold out of range", expected="0 or above, below 1", got=model.threshold_)
        model.patients_, model.scans_ = (_hashes(state[name]) for name in ("patients", "scans"))
        model.module_ = _network(
            model.fitted_, {k: v for k, v in tensors.items() if not k.startswith(_DETECTOR)}
        )
        panel = state.get("panel")  # older bundles have none
        model.panel_ = None if panel is None else GenePanel.from_dict(panel)
        model.detector_ = None
        if state["detector"] is not None:
            inner = {k.removeprefix(_DETECTOR): v for k, v in tensors.items() if k.startswith(_DETECTOR)}
            model.detector_ = Detector(restore(cls, state["detector"], inner))
    except _UNFIT as error:
        problem = f"does not fit this release's {cls.__name__}"
        got = str(error)[:500] or type(error).__name__
        raise BundleError(problem, got=got, hint="fit and save again") from error
    return model


def state_of(model: LesionSegmenter) -> dict[str, object]:
    """Return everything that `restore` needs beside the tensors, as JSON values and arrays."""
    fitted = model.fitted_
    return {
        "mmfusion": mmfusion.__version__,
        "params": {name: _plain(value) for name, value in model.get_params(deep=False).items()},
        # the resolved settings, so that a model does not change if a later release has other presets
        "settings": {
            "options": dict(fitted.options),
            "modalities": list(fitted.modalities),
            "size": list(fitted.size),
            "spacing": list(fitted.spacing),
            "per_image": fitted.per_image,
            "plan": fitted.plan.to_dict(),
        },
        "threshold": model.threshold_,
        "panel": None if model.panel_ is None else model.panel_.to_dict(),
        "history": model.history_,
        "patients": model.patients_,
        "scans": model.scans_,
        "detector": None if model.detector_ is None else state_of(model.detector_.segmenter),
    }


def tensors_of(model: LesionSegmenter) -> dict[str, torch.Tensor]:
    """Return the weights of a fitted segmenter and of its detector."""
    tensors = dict(model.module_.state_dict())
    if model.detector_ is not None:
        inner = model.detector_.segmenter.module_.state_dict()
        tensors |= {f"{_DETECTOR}{name}": tensor for name, tensor in inner.items()}
    return tensors


def _plain(value: object) -> object:
    """Return a parameter in a form that JSON can hold."""
    if isinstance(value, TrainingPlan):
        return value.to_dict()
    if isinstance(value, CropAugmentation):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    return dict(value) if isinstance(value, Mapping) else value


def _params(saved: Mapping[str, object]) -> dict[str, object]:
    """Return parameters as they were before JSON: tuples, and whole plans as objects."""
    params = dict(saved)
    for name in _TUPLES:
        if isinstance(params[name], list):
            params[name] = tuple(params[name])
    for name, kind in (("training", TrainingPlan), ("augment", CropAugmentation)):
        value = params[name]
        if isinstance(value, Mapping) and set(value) == {f.name for f in fields(kind)}:
            params[name] = kind(**value)
    return params


def _settings(saved: Mapping[str, object], now: SegmenterSettings) -> SegmenterSettings:
    return SegmenterSettings(
        network=now.network,
        options=saved["options"],
        modalities=tuple(scan_modality(name).name for name in saved["modalities"]),
        size=size_of(saved["size"], get_preset(now.network, "demo"), saved["options"]),
        spacing=spacing_of(saved["spacing"]),
        per_image=saved["per_image"],
        plan=TrainingPlan.from_dict(saved["plan"]),
        augmentation=now.augmentation,
    )


def _network(settings: SegmenterSettings, tensors: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    """Return the network with its weights; its size is compared before memory is taken."""
    settings.check()
    with reproducible(0), torch.device("meta"):
        shapes = {name: _form(t) for name, t in settings.build().state_dict().items()}
    found = {name: _form(t) for name, t in tensors.items()}
    if other := sorted(set(shapes.items()) ^ set(found.items())):
        got = ", ".join(f"{name} {form}" for name, form in other[:3])
        raise BundleError("weights of another network", expected=settings.network, got=got)
    if lost := [name for name, t in tensors.items() if not torch.isfinite(t).all()]:
        raise BundleError("weights that are not numbers", got=", ".join(lost[:3]))
    with reproducible(0):
        module = settings.build()
    module.load_state_dict(dict(tensors))
    return module.eval()


def _hashes(saved: object) -> list[str]:
    if not isinstance(saved, list) or not all(isinstance(one, str) for one in saved):
        raise BundleError("not a list of hashes", got=type(saved).__name__)
    return saved


def _form(tensor: torch.Tensor) -> str:
    """Return shape and kind of a tensor."""
    kind = "" if tensor.is_floating_point() else " of whole numbers"
    return f"{tuple(tensor.shape)}{kind}"


def _predicts(model: LesionSegmenter) -> str:
    """Return what a model predicts, in words."""
    parts = ["the mask of lesions"] if "mask" in model.module_.tasks else []
    if model.panel_ is not None:
        parts.append("the expression of " + readable_markdown(", ".join(model.panel_.genes)))
    return " and ".join(parts)


def _card(model: LesionSegmenter) -> str:
    fitted = model.fitted_
    oracle = (
        "\n**The model reads the box of the true mask, also when it predicts. Its scores do not show what it "
        "reaches without the true mask.**\n"
        if model.box_mode == "oracle"
        else ""
    )
    params = "\n".join(
        f"- {name}: `{readable_markdown(str(value))}`"
        for name, value in sorted(model.get_params(deep=False).items())
    )
    mm = " x ".join(f"{one:g}" for one in fitted.spacing)
    return f"""# Lesion segmenter ({readable_markdown(model.short_name)})
{oracle}
The model reads {" and ".join(m.upper() for m in fitted.modalities)} scans and predicts {_predicts(model)}.
It is research software, not a medical device. Do not use it for decisions about patients.

It works on voxels of {mm} mm (z, y, x).
A voxel is called a lesion above a probability of {model.threshold_:g}.
It was trained on {len(model.patients_)} patients. The folder holds their ids, and the voxels of their scans,
only as hashes.

This folder does not show how well the model segments. See the report of its cross-validation.

Made with mmfusion {mmfusion.__version__}. Parameters:

{params}
"""
