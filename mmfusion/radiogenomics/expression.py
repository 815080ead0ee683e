"""Expression of a panel of genes from radiomics or deep features, by ridge regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import DataError
from mmfusion.evaluation.regression_baselines import RidgePerTarget
from mmfusion.lesions.tables import check_ids, persons_of, table_of
from mmfusion.nn.params import unusable
from mmfusion.radiogenomics.extraction import check_vary, extractor_of, features_of, fit_extractor
from mmfusion.radiogenomics.persistence import is_savable, restore, save


class ExpressionRegressor(RegressorMixin, BaseEstimator):
    """Predict the expression of genes by ridge regression on radiomics or deep features.

    Each gene has a penalty of its own, which leave-one-out on the training rows chooses. The predicted
    expression of a gene says nothing about its mutation.

    Parameters
    ----------
    modalities : sequence of str
        Modalities of X that are read.
    extractor : transformer, optional
        As for `GenotypeClassifier`: it is fitted inside `fit`, on the training rows only.

    Attributes
    ----------
    extractor_ : transformer
        The fitted extractor.
    head_ : Pipeline
        The last layer: scaling, and the ridge of each gene.
    genes_ : list of str
        Columns of y.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> cohort = radiomics_phantom(60, target="expression")
    >>> ExpressionRegressor().fit(cohort.X, cohort.y).predict(cohort.X[:3]).shape
    (3, 6)
    """

    def __init__(
        self, modalities: Sequence[str] = ("ct",), *, extractor: BaseEstimator | None = None
    ) -> None:
        self.modalities = modalities
        self.extractor = extractor

    def fit(self, X: pd.DataFrame, y: pd.DataFrame, groups: Sequence[object] | None = None) -> Self:
        """Fit the extractor and the ridge to these patients.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Rows of `Cohort.X`.
        y : DataFrame, shape (n, P)
            Expression, one column per gene; NaN where it is not known.
        groups : sequence, shape (n,), optional
            Person of each row, for the extractor.

        Raises
        ------
        DataError
            If y is no table of the same patients, a gene has no known value, or the features are not numbers
            or all constant.
        """
        check_ids(table_of(X))
        if isinstance(self.modalities, str) or not len(self.modalities):
            raise unusable("modalities", "a list of modalities", repr(self.modalities))
        if not isinstance(y, pd.DataFrame) or not y.index.equals(X.index):
            got = "other patients" if isinstance(y, pd.DataFrame) else type(y).__name__
            raise DataError("not the expression of these patients", parameter="y", got=got,
                            expected="a DataFrame with a column per gene and the index of X")  # fmt: skip
        extractor = extractor_of(self.extractor, self.modalities)
        self.extractor_ = fit_extractor(extractor, X, persons_of(X, groups))
        features = features_of(self.extractor_, X)
        check_vary(features)
        self.head_ = ridge_head().fit(features, y)
        self.genes_ = [str(gene) for gene in y.columns]
        self.n_features_in_, self.feature_names_in_ = X.shape[1], X.columns
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the expression in the unit and order of y, shape (n, P); masks in X are not read."""
        check_is_fitted(self, "head_")
        return self.head_.predict(features_of(self.extractor_, X))

    @property
    def is_savable(self) -> bool:
        """True if the fitted model holds no row of a patient, and its extractor has a saved form."""
        check_is_fitted(self, "head_")
        return is_savable(self.extractor_, self.head_)

    def save(self, folder: str | Path) -> Self:
        """Save everything that prediction needs to `folder`; `mmfusion.load` returns the same model.

        Raises
        ------
        BundleError
            If the extractor has no saved form, or `folder` cannot be written.
        """
        check_is_fitted(self, "head_")
        fitted = {"genes_": self.genes_}
        return save(self, folder, extractor=self.extractor_, pipeline=self.head_, fitted=fitted)

    @classmethod
    def from_bundle(cls, state: Mapping[str, object], tensors: Mapping[str, object]) -> Self:
        """Return the fitted regressor that `save` described; `mmfusion.load` calls it."""
        return restore(cls, state, cls._put)

    def _put(self, saved: dict[str, Any]) -> None:
        """Set the fitted attributes that `save` wrote, after checking them."""
        self.genes_ = list(map(str, saved["genes_"]))
        self.extractor_, self.head_ = saved["extractor"], saved["pipeline"]
        if (predicted := self.head_[-1].n_targets_) != len(self.genes_):
            raise DataError("another number of genes", expected=len(self.genes_), got=predicted)


def ridge_head() -> Pipeline:
    """Return the last layer of the model, not fitted: scaling, and the ridge of each gene.

    Examples
    --------
    >>> [name for name, _ in ridge_head().steps]
    ['standardscaler', 'ridgepertarget']
    """
    return make_pipeline(StandardScaler(), RidgePerTarget())
