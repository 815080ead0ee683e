"""`SegmenterFeatures`: deep features of a segmenter that is trained inside the fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from mmfusion.data.blocks import feature_names
from mmfusion.errors import DataError, MMFusionError
from mmfusion.evaluation.content import content
from mmfusion.features.deep import DeepFeatures, check_level
from mmfusion.lesions import LesionSegmenter
from mmfusion.lesions.persistence import state_of, tensors_of
from mmfusion.lesions.tables import table_of
from mmfusion.modalities import RESERVED
from mmfusion.preprocessing.flat import FlatTransformer

if TYPE_CHECKING:
    import joblib

_ALL_GENES = 1000


class SegmenterFeatures(TransformerMixin, BaseEstimator):
    """Deep features of lesions, from a segmenter that `fit` trains on the scans and masks of its rows.

    It is an `extractor` of `GenotypeClassifier` and `ExpressionRegressor`. Inside a cross-validation the
    segmenter of a fold is trained on the training patients of this fold only, so that it never saw the
    patients whose features are tested. `transform` reads the scan around the seed, never a mask.

    Parameters
    ----------
    segmenter : LesionSegmenter, optional
        It is cloned. Its network has levels of features, as `raseg` has. Default: `LesionSegmenter("raseg")`.
    level : str
        Level of the features; see `DeepFeatures`.
    table : sequence of str
        Modalities whose features, such as radiomics, are joined to the deep features.
    memory : joblib.Memory, optional
        Where trained segmenters are kept. If several models are evaluated on the same folds, each segmenter
        is trained once. It changes no result.

    Attributes
    ----------
    deep_ : DeepFeatures
        The features of the trained segmenter.
    flat_ : FlatTransformer or None
        The fitted transformer of the table.

    Examples
    --------
    >>> from mmfusion.radiogenomics import GenotypeClassifier
    >>> extractor = SegmenterFeatures(LesionSegmenter("raseg", max_epochs=3), "mid", table=["ct"])
    >>> GenotypeClassifier(extractor=extractor).extractor.level
    'mid'
    """

    def __init__(
        self,
        segmenter: LesionSegmenter | None = None,
        level: str = "high",
        *,
        table: Sequence[str] = (),
        memory: joblib.Memory | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.level = level
        self.table = table
        self.memory = memory

    def fit(
        self, X: pd.DataFrame, y: object = None, groups: Sequence[object] | None = None
    ) -> SegmenterFeatures:
        """Train the segmenter, and fit the transformer of the table.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Training rows of `Cohort.X`, with masks.
        y : ignored
            The segmenter never learns the genotype.
        groups : sequence, shape (n,), optional
            Person of each row.

        Raises
        ------
        DataError
            If no patient has a mask, the network has no features, or as `LesionSegmenter.fit`.
        """
        segmenter = LesionSegmenter("raseg") if self.segmenter is None else self.segmenter
        check_level(segmenter.network, self.level)
        masks = [name for name in X.columns if name[1] == "mask"]
        if not X[masks].notna().any(axis=None):
            hint = "deep features need masks to train the segmenter; without masks, use a table of features"
            raise DataError("no patient has a mask", column="mask", hint=hint)
        trained = _train if self.memory is None else self.memory.cache(_train, ignore=["X"], verbose=0)
        scans = [name for name in X.columns if name[1] in RESERVED]
        rows = content([[str(p), *row] for p, *row in X[scans].itertuples(name=None)])
        persons = None if groups is None else [str(one) for one in groups]
        self.deep_ = DeepFeatures(trained(clone(segmenter), X, (scans, rows), persons), self.level)
        self.flat_ = None
        if len(self.table):
            options = {"modalities": list(self.table), "n_genes": _ALL_GENES}
            self.flat_ = FlatTransformer(**options).fit(_without_scans(X, self.table))
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the features of patients, float64, shape (n, d).

        Raises
        ------
        DataError, ScanError
            If a patient lacks a scan, or a seed in a scan that is larger than the patch.
        """
        check_is_fitted(self, "deep_")
        found = []
        for patient, row in table_of(X).iterrows():
            try:
                found.append(self.deep_.compute_row(row))
            except MMFusionError as error:
                error.patient = error.patient or patient
                raise
        values = np.array(found, dtype=np.float64).reshape(len(X), -1)
        deep = pd.DataFrame(values, X.index, self.deep_.columns)
        if self.flat_ is None:
            return deep
        return pd.concat([self.flat_.transform(_without_scans(X, self.table)), deep], axis=1)

    def state(self) -> dict[str, object]:
        """Return everything that `transform` needs, as JSON values and arrays; see `from_state`."""
        check_is_fitted(self, "deep_")
        model = self.deep_.model
        return {
            "level": self.level,
            "table": list(self.table),
            "flat": None if self.flat_ is None else self.flat_.state(),
            "segmenter": state_of(model),
            "tensors": {name: tensor.cpu().numpy() for name, tensor in tensors_of(model).items()},
            "n_features_in": self.n_features_in_,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> SegmenterFeatures:
        """Return the fitted transformer with this state; errors are those of a saved segmenter."""
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in state["tensors"].items()}
        model = LesionSegmenter.from_bundle(state["segmenter"], tensors)
        new = cls(clone(model), str(state["level"]), table=list(state["table"]))
        new.deep_ = DeepFeatures(model, new.level)
        new.flat_ = None if state["flat"] is None else FlatTransformer.from_state(state["flat"])
        new.n_features_in_ = int(state["n_features_in"])
        return new


def _train(
    segmenter: LesionSegmenter, X: pd.DataFrame, rows: object, persons: Sequence[str] | None
) -> LesionSegmenter:
    """Return the segmenter after its training; `rows` tells the memory which scans and masks X has."""
    return segmenter.fit(X, groups=persons)


def _without_scans(X: pd.DataFrame, modalities: Sequence[str]) -> pd.DataFrame:
    """Return X without the scans of those modalities that have features."""
    told = [m for m in modalities if m in X.columns.unique(0) and feature_names(X[m], m)]
    return X.drop(columns=[(m, c) for m, c in X.columns if m in told and c in RESERVED])
