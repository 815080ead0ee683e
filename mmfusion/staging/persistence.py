"""Save a fitted StageClassifier to a bundle, and restore it; bundles of older formats load too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

import mmfusion
from mmfusion.bundle import write_bundle
from mmfusion.errors import BundleError, MMFusionError
from mmfusion.modalities import META
from mmfusion.nn.ensemble import Ensemble
from mmfusion.nn.net import FusionNet
from mmfusion.nn.network import NetworkPlan
from mmfusion.nn.params import FrozenParams
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.staging.card import model_card
from mmfusion.staging.decision import Decision, make_decision
from mmfusion.staging.novelty import from_state, to_state
from mmfusion.staging.settings import NESTED
from mmfusion.staging.sizes import check_networks, check_state, try_out
from mmfusion.staging.stage_sets import StageSets
from mmfusion.streams import StreamInputs

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier

# parameter of format 1 -> its place now; parameters that keep their name and place are not listed
_FORMAT_1 = {
    "graph": "preprocessing",
    "graph_k": "preprocessing",
    "graph_edges": "preprocessing",
    "crop_side": "preprocessing",
    "crop_spacing": "preprocessing",
    "crop_mode": "preprocessing",
    "restore": "preprocessing",
    "harmonise": "preprocessing",
    "d": "network",
    "hidden": "network",
    "modality_dropout": "network",
    "head": "network",
    "encoder_options": "network",
    "fusion_options": "network",
    "augment": "training",
    "weight_decay": "training",
    "batch_size": "training",
    "patience": "training",
    "schedule": "training",
    "validation_fraction": "training",
    "loss": "training",
}
_DEFAULTS = 2  # number of the present set of defaults; bundles without a number have the first set
_LOSS_OPTIONS = ("gamma", "class_weight")
_REMOVED = ("leak_probe",)
# what an edited state raises in the classes that it is given to
_UNFIT = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError, MMFusionError)


def save(model: StageClassifier, folder: str | Path) -> StageClassifier:
    """Save everything that prediction needs to `folder` (see `mmfusion.bundle`), and return the model.

    Raises
    ------
    BundleError
        If a parameter has no JSON form, or `folder` cannot be written.
    """
    check_is_fitted(model, "module_")
    config = {
        "mmfusion": mmfusion.__version__,
        "defaults": _DEFAULTS,
        "params": {name: _plain(value) for name, value in model.get_params(deep=False).items()},
        "classes": [str(c) for c in model.classes_],
        "prior": model.prior_,
        "target": model.target_,
        "patients": model.patients_,
        "columns": [list(map(str, c)) for c in model.feature_names_in_ if c[0] != META],
        "transformer": model.transformer_.state(),
        "background": {"arrays": model.background_.arrays, "present": model.background_.present},
        "history": model.history_,
        # with all defaults, so that a model does not change if a later release has others
        "network": model.settings.network.written_out(model.transformer_.specs_, model.fusion).to_dict(),
        "focus": [member.calibration.gamma for member in model.module_.members],
        "decision": {"rule": model.decision_.rule, "gains": model.decision_.gains},
        "usual": to_state(model.usual_),
        "sets": {"thresholds": [list(pair) for pair in model.sets_.thresholds.items()], "n": model.sets_.n},
    }
    write_bundle(
        folder,
        estimator=type(model).__name__,
        config=config,
        tensors=model.module_.state_dict(),
        card=model_card(model),
    )
    return model


def restore(
    cls: type[StageClassifier], state: Mapping[str, object], tensors: Mapping[str, object]
) -> StageClassifier:
    """Return the fitted classifier that `save` wrote.

    Raises
    ------
    BundleError
        If the state does not fit this release.
    """
    try:
        params = state["params"] if "decision" in state else from_format_2(from_format_1(state["params"]))
        params = params if "defaults" in state else from_defaults_1(params)
        model = cls(**params)
        model.classes_ = np.array([str(c) for c in state["classes"]])
        model.prior_, model.target_, model.patients_ = state["prior"], state["target"], state["patients"]
        model.transformer_ = CohortTransformer.from_state(state["transformer"])
        background = state["background"]
        index = [f"background-{i}" for i in range(len(background["present"]))]
        model.background_ = StreamInputs(background["arrays"], background["present"], index)
        model.history_ = state["history"]
        model.feature_names_in_ = pd.MultiIndex.from_tuples([tuple(c) for c in state["columns"]])
        model.n_features_in_ = len(model.feature_names_in_)
        check_state(model)
        model.module_, model.decision_ = _networks(model, state, tensors), _decision(model, state)
        model.usual_ = from_state(state.get("usual", {}))
        sets = state.get("sets", {"thresholds": (), "n": 0})  # older bundles have none
        model.sets_ = StageSets(dict(sets["thresholds"]), sets["n"])
        try_out(model)
    except _UNFIT as error:
        problem = f"does not fit this release's {cls.__name__}"
        got = str(error)[:500] or type(error).__name__
        raise BundleError(problem, got=got, hint="fit and save again") from error
    return model


def from_format_1(params: Mapping[str, object]) -> dict[str, object]:
    """Move the flat parameters of a bundle of format 1 to the nested objects; keep those of later formats.

    Examples
    --------
    >>> from_format_1({"fusion": "gmu", "d": 8, "schedule": "cosine"})["network"]
    {'d': 8}
    """
    if set(NESTED) <= set(params):
        return dict(params)
    out: dict[str, object] = {name: {} for name in NESTED}
    for name, value in params.items():
        if home := _FORMAT_1.get(name):
            out[home][name] = {} if value is None and name.endswith("_options") else value
        elif name not in (*_LOSS_OPTIONS, *_REMOVED):
            out[name] = value
    options = {name: params[name] for name in _LOSS_OPTIONS if name in params}
    if out["training"].get("loss") == "cross_entropy":
        options.pop("gamma", None)  # only the focal loss has it
    out["training"]["loss_options"] = options
    return out


def from_format_2(params: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of format 2 with those defaults of its time that have changed since.

    Examples
    --------
    >>> from_format_2({"fusion": "gmu", "network": {"d": 8}})
    {'fusion': 'gmu', 'network': {'head': 'ordinal', 'd': 8}, 'decision': 'argmax'}
    """
    return {**params, "network": {"head": "ordinal", **(params["network"] or {})}, "decision": "argmax"}


def from_defaults_1(params: Mapping[str, object]) -> dict[str, object]:
    """Return parameters with the first defaults: two graph layers, 20 epochs, a learning rate of 0.001.

    Examples
    --------
    >>> found = from_defaults_1({"network": None, "training": {"lr": 0.01}, "lr": None, "max_epochs": None})
    >>> found["network"], found["training"]
    ({'encoder_options': {'gene_gat': {'layers': 2}}}, {'lr': 0.01, 'max_epochs': 20})
    """
    former = {"lr": 1e-3, "max_epochs": 20}
    former = {name: value for name, value in former.items() if params.get(name) is None}
    network = _two_layers(params["network"] or {})
    return {**params, "network": network, "training": {**former, **(params["training"] or {})}}


def _two_layers(network: Mapping[str, object]) -> dict[str, object]:
    options = network.get("encoder_options") or {}
    return {
        **network,
        "encoder_options": {**options, "gene_gat": {"layers": 2, **(options.get("gene_gat") or {})}},
    }


def _networks(model: StageClassifier, state: Mapping[str, object], tensors: Mapping[str, object]) -> Ensemble:
    """Return the networks of a bundle; those of older formats have a calibration that changes nothing."""
    plan, older = model.settings.network, "decision" not in state
    if not older:
        plan = NetworkPlan(**(state["network"] if "defaults" in state else _two_layers(state["network"])))
    specs, classes, n = model.transformer_.specs_, len(model.classes_), len(model.history_)

    def build() -> FusionNet:
        return plan.build(specs, classes, model.fusion)

    check_networks(build, n, plan, tensors, optional=".calibration." if older else None)
    module = Ensemble([build() for _ in range(n)])
    if older:
        new = module.state_dict()
        tensors = {**{k: v for k, v in new.items() if ".calibration." in k}, **tensors}
    else:
        for member, gamma in zip(module.members, state["focus"], strict=True):
            member.calibration.gamma = float(gamma)
    module.load_state_dict(dict(tensors))
    return module


def _decision(model: StageClassifier, state: Mapping[str, object]) -> Decision:
    """Return the decision of a bundle; in older formats, the most probable class was named."""
    if found := state.get("decision"):
        decision = Decision(found["rule"], found["gains"])
        if len(decision.gains) != len(model.classes_):
            expected = f"gains of {len(model.classes_)} classes"
            raise BundleError(
                "the decision is about other classes", expected=expected, got=len(decision.gains)
            )
        return decision
    none = np.empty((0, len(model.classes_)))
    return make_decision("argmax", none, np.empty(0, dtype=int), model.classes_)


def _plain(value: object) -> object:
    """Return a parameter in a form that JSON can hold, without the edge list of a gene graph."""
    if isinstance(value, pd.DataFrame):  # costs
        return value.rename(index=str, columns=str).to_dict(orient="index")
    if isinstance(value, FrozenParams):
        return value.to_dict()
    if isinstance(value, CohortTransformer):
        value = value.get_params(deep=False)
    if isinstance(value, Mapping):
        edges = isinstance(value.get("graph_edges"), pd.DataFrame | Path)
        return {k: None if edges and k == "graph_edges" else _plain(v) for k, v in value.items()}
    return value
