"""Features of patients inside a fit: from an extractor that is fitted on the training rows only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import has_fit_parameter

from mmfusion.errors import DataError
from mmfusion.evaluation.tasks.segmentation import without_masks
from mmfusion.preprocessing.flat import FlatTransformer

_ALL_GENES = 1000


def extractor_of(extractor: BaseEstimator | None, modalities: Sequence[str]) -> BaseEstimator:
    """Return the extractor itself, or by default the table of all features of some modalities.

    Raises
    ------
    DataError
        If it has no `fit` or no `transform`.

    Examples
    --------
    >>> extractor_of(None, ["ct"])
    FlatTransformer(modalities=['ct'], n_genes=1000)
    """
    if extractor is None:
        return FlatTransformer(modalities=list(modalities), n_genes=_ALL_GENES)
    if not (hasattr(extractor, "fit") and hasattr(extractor, "transform")):
        raise DataError("not an extractor of features", parameter="extractor",
                        expected="an object with fit(X, y=None) and transform(X), or None",
                        got=type(extractor).__name__)  # fmt: skip
    return extractor


def fit_extractor(extractor: BaseEstimator, X: pd.DataFrame, persons: Sequence[object]) -> BaseEstimator:
    """Return a fitted copy of an extractor; it gets the masks of these patients, but not their genotype.

    Parameters
    ----------
    extractor : transformer
        It is cloned. A network that was trained before, on other patients, stays as it is inside
        scikit-learn's `FrozenEstimator`.
    X : DataFrame, shape (n, n_columns)
        Training rows of `Cohort.X`.
    persons : sequence, shape (n,)
        Person of each row, for an extractor whose `fit` takes `groups`.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> X = radiomics_phantom(10).X
    >>> fit_extractor(extractor_of(None, ["ct"]), X, X.index).streams_.n_fitted_
    10
    """
    fitted = clone(extractor)
    groups = {"groups": list(persons)} if has_fit_parameter(fitted, "groups") else {}
    fitted.fit(X, None, **groups)
    return fitted


def features_of(extractor: BaseEstimator, X: pd.DataFrame) -> np.ndarray:
    """Return the features of some patients, float64, shape (n, d).

    The extractor never sees the masks of these patients, not even in `fit` of the classifier: features of
    training and test patients are made in the same way.

    Raises
    ------
    DataError
        If the features have another shape, or one of them is no number or not finite.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> X = radiomics_phantom(10).X
    >>> features_of(fit_extractor(extractor_of(None, ["ct"]), X, X.index), X).shape
    (10, 300)
    """
    found = extractor.transform(without_masks(X))
    try:
        values = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("a feature is not a number", parameter="extractor", got=error) from error
    if values.ndim != 2 or len(values) != len(X):
        raise DataError("the features have the wrong shape", parameter="extractor",
                        expected=f"({len(X)}, number of features)", got=values.shape)  # fmt: skip
    if not (finite := np.isfinite(values)).all():
        row, column = np.argwhere(~finite)[0]
        name = found.columns[column] if isinstance(found, pd.DataFrame) else column
        raise DataError("a feature is not finite", patient=X.index[row], column=name, got=values[row, column])
    return values


def check_vary(features: np.ndarray) -> None:
    """Raise a `DataError` if no feature differs between the training patients.

    Examples
    --------
    >>> check_vary(np.array([[1.0], [2.0]]))
    """
    if not features.shape[1] or not (np.ptp(features, axis=0) > 0).any():
        raise DataError(
            "no feature differs between the training patients", got=f"{features.shape[1]} features"
        )
