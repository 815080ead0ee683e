"""Probabilities and decisions of a fitted StageClassifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import DataError
from mmfusion.nn.training import predict_in_batches
from mmfusion.streams import StreamInputs

if TYPE_CHECKING:
    from mmfusion.staging.classifier import StageClassifier


def predict_proba(model: StageClassifier, X: pd.DataFrame) -> np.ndarray:
    """Return the probability of each class in the order of `classes_`, shape (n, K).

    Raises
    ------
    DataError
        If a patient has none of the model's modalities, RNA has another unit, values are malformed, or
        the probabilities are not finite.
    """
    check_is_fitted(model, "module_")
    return model.probabilities(model.transformer_.transform(X))


def predict(model: StageClassifier, X: pd.DataFrame) -> np.ndarray:
    """Return the class that `decision` names for each patient, shape (n,)."""
    return model.decide(model.predict_proba(X))


def decide(model: StageClassifier, proba: np.ndarray) -> np.ndarray:
    """Return the class that `decision` names for probabilities in the order of `classes_`, shape (n,)."""
    check_is_fitted(model, "module_")
    return model.classes_[model.decision_.codes(proba)]


def probabilities(model: StageClassifier, inputs: StreamInputs) -> np.ndarray:
    """Return the probability of each class from the streams of `transformer_`, shape (n, K).

    Raises
    ------
    DataError
        If a stream does not fit the model, or a probability is not finite.
    """
    inputs.check(model.transformer_.specs_)
    arrays = {"present": inputs.present, **inputs.arrays}
    proba = predict_in_batches(model.module_, arrays, device=model.device).exp().double().numpy()
    if bad := [str(p) for p, row in zip(inputs.index, proba, strict=True) if not np.isfinite(row).all()]:
        hint = "check the scan for values that are not numbers, and check that the model learned"
        raise DataError("the probabilities are not finite", patient=", ".join(bad[:5]), hint=hint)
    return proba
