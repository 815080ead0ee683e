"""Save fitted models of genotype and expression to bundles, and restore them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

import mmfusion
from mmfusion.bundle import write_bundle
from mmfusion.errors import BundleError, MMFusionError, warn
from mmfusion.modalities import META
from mmfusion.radiogenomics.card import model_card
from mmfusion.radiogenomics.packed import holds_rows, pack, unpack
from mmfusion.radiogenomics.pipeline import quiet

# the extractors of features that a bundle may hold; they have `state()` and `from_state(state)`
EXTRACTORS = {
    "FlatTransformer": "mmfusion.preprocessing.flat",
    "SegmenterFeatures": "mmfusion.features.trained",
}
# what an edited state raises in the classes that it is given to
_UNFIT = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError, MMFusionError)


def save(
    model: BaseEstimator,
    folder: str | Path,
    *,
    extractor: BaseEstimator,
    pipeline: Pipeline,
    fitted: Mapping[str, object],
    patient_rows: bool = False,
) -> BaseEstimator:
    """Save everything that prediction needs to `folder` (see `mmfusion.bundle`), and return the model.

    Parameters
    ----------
    model : estimator
        The fitted model.
    folder : path
        The folder to write.
    extractor : transformer
        Its fitted extractor of features, one of `EXTRACTORS`.
    pipeline : Pipeline
        Its fitted scikit-learn pipeline.
    fitted : mapping
        Its other fitted attributes, as JSON values and arrays.
    patient_rows : bool
        Also save a pipeline that holds rows of patients.

    Raises
    ------
    BundleError
        If the pipeline holds rows of patients and `patient_rows` is False, if a part has no saved form, or if
        `folder` cannot be written.
    """
    rows = holds_rows(pipeline)
    if rows and not patient_rows:
        hint = (
            "choose another classifier, or save(folder, patient_rows=True) where their data may be kept; the "
            "model card then says so"
        )
        problem = "an SVC holds the features of training patients (its support vectors)"
        raise BundleError(problem, expected="a model without rows of patients", hint=hint)
    config = {
        "mmfusion": mmfusion.__version__,
        "sklearn": sklearn.__version__,
        "params": {k: v for k, v in model.get_params(deep=False).items() if k != "extractor"},
        "columns": [tuple(map(str, c)) for c in model.feature_names_in_ if c[0] != META],
        "fitted": dict(fitted),
        "extractor": _extractor_state(extractor),
        "own_extractor": getattr(model, "extractor", None) is not None,
        "pipeline": pack(pipeline),
    }
    card = model_card(model, pipeline, extractor, patient_rows=rows)
    write_bundle(folder, estimator=type(model).__name__, config=config, tensors={}, card=card)
    return model


def is_savable(extractor: BaseEstimator, pipeline: Pipeline) -> bool:
    """Return True if `save` writes a model with these parts: it holds no row of a patient.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from mmfusion.preprocessing.flat import FlatTransformer
    >>> is_savable(FlatTransformer(), Pipeline([("classify", SVC().fit([[0.0], [1.0]], [0, 1]))]))
    False
    """
    return _has_form(extractor) and not holds_rows(pipeline)


def _has_form(extractor: BaseEstimator) -> bool:
    return type(extractor).__module__ == EXTRACTORS.get(type(extractor).__name__)


def restore(
    cls: type[Any], state: Mapping[str, object], put: Callable[[Any, dict[str, Any]], None]
) -> BaseEstimator:
    """Return the model that `save` wrote.

    Parameters
    ----------
    cls : type
        Class of the model.
    state : mapping
        The state of the bundle.
    put : callable
        Function that gets the new model, and the saved attributes with "extractor" and "pipeline". It sets
        them, and raises an error if they do not fit.

    Raises
    ------
    BundleError
        If the state does not fit this release.

    Warns
    -----
    UserWarning
        If another version of scikit-learn fitted the pipeline.
    """
    try:
        extractor = _extractor(state["extractor"])
        own = {"extractor": clone(extractor)} if state["own_extractor"] else {}
        model = cls(**state["params"], **own)
        model.feature_names_in_ = pd.MultiIndex.from_tuples([tuple(c) for c in state["columns"]])
        model.n_features_in_ = len(model.feature_names_in_)
        with quiet():
            pipeline = unpack(np.asarray(state["pipeline"]))
        put(model, {**state["fitted"], "extractor": extractor, "pipeline": pipeline})
    except (*_UNFIT, zipfile.BadZipFile) as error:
        problem = f"does not fit this release's {cls.__name__}"
        got = str(error)[:500] or type(error).__name__
        raise BundleError(problem, got=got, hint="fit and save again") from error
    if (made := state["sklearn"]) != sklearn.__version__:
        warn(
            f"the {cls.__name__} was saved with scikit-learn {made}, and this is {sklearn.__version__}: "
            "compare its predictions, or fit and save it again"
        )
    return model


def _extractor_state(extractor: BaseEstimator) -> dict[str, object]:
    name = type(extractor).__name__
    if not _has_form(extractor):
        raise BundleError("the extractor has no saved form", parameter="extractor",
                          expected=f"one of {', '.join(EXTRACTORS)}", got=name)  # fmt: skip
    return {"class": name, "state": extractor.state()}


def _extractor(saved: Mapping[str, object]) -> BaseEstimator:
    if (name := saved["class"]) not in tuple(EXTRACTORS):
        raise BundleError("an unknown extractor", expected=", ".join(EXTRACTORS), got=name)
    return getattr(import_module(EXTRACTORS[name]), name).from_state(saved["state"])
