"""What is lost when a gene is shuffled between patients: an importance that needs no gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance

from mmfusion.explain.conditional import (
    FittedModel,
    OneStream,
    as_inputs,
    find_stream,
    quiet_model,
    rows_with,
)
from mmfusion.metrics.classification import judge
from mmfusion.metrics.weighted import log_loss
from mmfusion.streams import GENES


def gene_permutation(
    model: FittedModel, X: object, y: Sequence[object], *, n_repeats: int = 10, random_state: int = 0
) -> pd.Series:
    """Rise of the log-loss (nats) when a gene's values are shuffled between patients; other modalities as observed.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or stream inputs
        Held-out patients; those without genes are left out.
    y : sequence, shape (n,)
        Their labels.
    n_repeats, random_state
        Shuffles of each gene, seed.

    Returns
    -------
    Series
        Index gene, largest first; about 0 for a gene the model does not use, or shares with others.

    Raises
    ------
    DataError
        If the model reads no genes or nobody has them, or a label is not one of the model's classes.
    """
    position, spec = find_stream(model, GENES, "genes")
    inputs = as_inputs(model, X)
    rows = rows_with(inputs, position, "genes")
    labels = np.asarray(y)[rows]
    some = inputs.rows(rows)
    with quiet_model(model) as members:
        scorer = _LogLoss(OneStream(members, spec.name, some), model.classes_)
        found = permutation_importance(
            scorer, some.arrays[spec.name], labels, n_repeats=n_repeats, random_state=random_state, n_jobs=1
        )
    index = pd.Index(spec.feature_names, name="gene")
    return pd.Series(found.importances_mean, index, name="importance").sort_values(
        ascending=False, kind="stable"
    )


class _LogLoss(ClassifierMixin, BaseEstimator):
    """A classifier of gene rows, for scikit-learn; its score is minus the log-loss."""

    def __init__(self, function: OneStream, classes: np.ndarray) -> None:
        self.function = function
        self.classes_ = classes

    def fit(self, X: np.ndarray, y: np.ndarray) -> _LogLoss:
        """Fitted already."""
        return self

    def score(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Minus the log-loss; row i goes with the other modalities of patient i."""
        with torch.no_grad():
            proba = self.function(torch.as_tensor(X), torch.arange(len(X))).double().numpy()
        return -float(log_loss(judge(y, proba, self.classes_))[0])
