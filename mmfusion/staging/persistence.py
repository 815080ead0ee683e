"""Saving and loading of a StageClassifier, and its model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import mmfusion
from mmfusion.bundle import write_bundle
from mmfusion.errors import BundleError
from mmfusion.nn.ensemble import Ensemble
from mmfusion.preprocessing.cohort import CohortTransformer
from mmfusion.streams import StreamInputs

_REMOVED = ("leak_probe",)  # parameters of older releases that no longer exist


class BundleMixin:
    """`save` and `from_bundle` of an estimator that has a transformer, a module and a background."""

    def save(self, folder: str | Path) -> BundleMixin:
        """Save everything that prediction needs to `folder` (see `mmfusion.bundle`); returns self.

        Raises
        ------
        BundleError
            If a parameter has no JSON form, or `folder` cannot be written.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "module_")
        params = self.get_params(deep=False)
        if isinstance(params["graph_edges"], pd.DataFrame | Path):
            params["graph_edges"] = None  # the fitted graph is saved; the list it came from is not needed
        config = {
            "mmfusion": mmfusion.__version__,
            "params": {k: dict(v) if isinstance(v, Mapping) else v for k, v in params.items()},
            "classes": [str(c) for c in self.classes_],
            "prior": self.prior_,
            "target": self.target_,
            "patients": self.patients_,
            "columns": [list(map(str, c)) for c in self.feature_names_in_ if c[0] != "meta"],
            "transformer": self.transformer_.state(),
            "background": {"arrays": self.background_.arrays, "present": self.background_.present},
            "history": self.history_,
        }
        write_bundle(
            folder,
            estimator=type(self).__name__,
            config=config,
            tensors=self.module_.state_dict(),
            card=model_card(self),
        )
        return self

    @classmethod
    def from_bundle(cls, state: Mapping[str, object], tensors: Mapping[str, object]) -> BundleMixin:
        """The fitted estimator that `save` described."""
        try:
            model = cls(**{k: v for k, v in state["params"].items() if k not in _REMOVED})
            model.classes_ = np.array(state["classes"])
            model.prior_, model.target_, model.patients_ = state["prior"], state["target"], state["patients"]
            model.transformer_ = CohortTransformer.from_state(state["transformer"])
            background = state["background"]
            index = [f"background-{i}" for i in range(len(background["present"]))]
            model.background_ = StreamInputs(
                arrays=background["arrays"], present=background["present"], index=index
            )
            model.history_ = state["history"]
            model.feature_names_in_ = pd.MultiIndex.from_tuples([tuple(c) for c in state["columns"]])
            model.n_features_in_ = len(model.feature_names_in_)
            specs = model.transformer_.specs_
            model.module_ = Ensemble([model.build_module(specs, len(model.classes_)) for _ in model.history_])
            model.module_.load_state_dict(dict(tensors))
        except (LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise BundleError(
                "does not fit this release's StageClassifier", got=error, hint="fit and save again"
            ) from error
        return model


def model_card(model: object) -> str:
    """A model card in Markdown: what it reads, what it predicts, how it was made, what it is not for."""
    rows = [
        f"| {spec.name} | {' x '.join(map(str, spec.shape))} | {', '.join(spec.feature_names[:8])}"
        f"{' ...' if len(spec.feature_names) > 8 else ''} |"
        for spec in model.transformer_.specs_
    ]
    prior = ", ".join(f"{c} {p:.0%}" for c, p in zip(model.classes_, model.prior_, strict=True))
    params = "\n".join(
        f"- {k}: `{v}`" for k, v in sorted(model.get_params(deep=False).items()) if k != "graph_edges"
    )
    leaky = (
        "\n**LEAKY: fitted with inputs that give the label away. For demonstration only.**\n"
        if model.allow_leaky
        else ""
    )
    return f"""# Stage classifier ({model.fusion})
{leaky}
Predicts the stage of non-small cell lung cancer from any subset of the inputs below. Research software:
not a medical device, not for decisions about patients.

Classes, with their share in training: {prior}.

| input | shape | features |
|---|---|---|
{chr(10).join(rows)}

How well it predicts is not known from this folder: see the report of its nested cross-validation.
The background for explanations is made of per-class quantiles of at least ten patients; no patient's row is stored,
no category that one patient alone has, and of the training patients' ids only hashes.

Made with mmfusion {mmfusion.__version__}. Parameters:

{params}
"""
