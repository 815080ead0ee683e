"""Permutation importance of genes, which needs no gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance

from mmfusion.errors import check_seed, check_whole
from mmfusion.explain.conditional import (
    FittedModel,
    OneStream,
    as_inputs,
    evaluation_mode,
    find_stream,
    labels_of,
    rows_with,
)
from mmfusion.metrics.checks import encode_labels
from mmfusion.metrics.classification import judge
from mmfusion.metrics.weighted import log_loss
from mmfusion.streams import GENES


def gene_permutation(
    model: FittedModel, X: object, y: Sequence[object], *, n_repeats: int = 10, random_state: int = 0
) -> pd.Series:
    """Return the rise of the log-loss when the values of a gene are shuffled between patients.

    The other genes and the other modalities stay as observed.

    Parameters
    ----------
    model : fitted model
        See `mmfusion.explain.conditional`.
    X : DataFrame or StreamInputs
        n held-out patients. Patients without genes are left out.
    y : sequence, shape (n,)
        Their labels.
    n_repeats : int
        Number of shuffles per gene.
    random_state : int
        Seed.

    Returns
    -------
    Series
        Rise of the log-loss in nats per gene (index), largest first. It is about 0 if the model does not use
        the gene, or if other genes carry the same information. NaN if only one patient has genes.

    Raises
    ------
    DataError
        If the model reads no genes, no patient has them, a label is not one of the model's classes, or the
        labels are those of other patients or in another order.
    """
    check_whole("n_repeats", n_repeats)
    check_seed(random_state)
    position, spec = find_stream(model, GENES, "genes")
    inputs = as_inputs(model, X)
    rows = rows_with(inputs, position, "genes")
    labels = labels_of(inputs.index, y)[rows]
    some = inputs.rows(rows)
    index = pd.Index(spec.feature_names, name="gene")
    encode_labels(labels, model.classes_)
    if len(rows) == 1:  # there is nobody to exchange values with
        return pd.Series(np.nan, index, name="importance")
    with evaluation_mode(model) as members:
        scorer = _LogLoss(OneStream(members, spec.name, some), model.classes_)
        found = permutation_importance(
            scorer, some.arrays[spec.name], labels, n_repeats=n_repeats, random_state=random_state, n_jobs=1
        )
    return pd.Series(found.importances_mean, index, name="importance").sort_values(
        ascending=False, kind="stable"
    )


class _LogLoss(ClassifierMixin, BaseEstimator):
    """Classifier of rows of genes for scikit-learn; its score is minus the log-loss."""

    def __init__(self, function: OneStream, classes: np.ndarray) -> None:
        self.function = function
        self.classes_ = classes

    def fit(self, X: np.ndarray, y: np.ndarray) -> _LogLoss:
        """Do nothing: the model is already fitted."""
        return self

    def score(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return minus the log-loss; row i is combined with the other modalities of patient i."""
        with torch.no_grad():
            proba = self.function(torch.as_tensor(X), torch.arange(len(X))).double().numpy()
        return -float(log_loss(judge(y, proba, self.classes_))[0])
