"""Clinical models: what the health records alone tell, to compare a model of scans with.

Every set of inputs is stated, because the bar that imaging has to pass depends on them: sex and smoking alone
tell much less about EGFR than all records together, and some records are known only after surgery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from mmfusion.errors import DataError
from mmfusion.evaluation.baselines import PriorWhereAbsent, forest, ridge
from mmfusion.evaluation.regression_baselines import MeanWhereAbsent, RidgePerTarget
from mmfusion.lesions.tables import table_of
from mmfusion.nn.params import unusable
from mmfusion.preprocessing.flat import FlatTransformer
from mmfusion.radiogenomics.persistence import restore, save

KINDS = ("ridge", "forest")
_BEFORE = ("age", "sex", "ethnicity", "smoking_status", "pack_years", "histology", "ground_glass", "site")


@dataclass(frozen=True)
class ClinicalSet:
    """A set of columns of the health records.

    Attributes
    ----------
    title : str
        Name in reports.
    columns : tuple of str
        Columns, by their canonical names.
    known : str
        When these columns are known.

    Examples
    --------
    >>> CLINICAL_SETS["sex_smoking"].columns
    ('sex', 'smoking_status')
    """

    title: str
    columns: tuple[str, ...]
    known: str


CLINICAL_SETS = {
    "sex_smoking": ClinicalSet("sex and smoking", ("sex", "smoking_status"), "known before any scan"),
    "histology": ClinicalSet("histology", ("histology",), "known after biopsy or surgery"),
    "all_before_surgery": ClinicalSet(
        "all before surgery",
        _BEFORE,
        "known before surgery, if a biopsy gives the histology; the ground-glass share is read from the CT",
    ),
    "with_grade": ClinicalSet("all with grade", (*_BEFORE, "grade"), "the grade is known only after surgery"),
}


def clinical_columns(inputs: str | Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a named set, or the columns themselves.

    Raises
    ------
    DataError
        If there is no such set, or no column.

    Examples
    --------
    >>> clinical_columns("histology"), clinical_columns(["age", "sex"])
    (('histology',), ('age', 'sex'))
    """
    if isinstance(inputs, str):
        if inputs not in CLINICAL_SETS:
            raise unusable("columns", f"{', '.join(CLINICAL_SETS)}, or a list of columns", repr(inputs))
        return CLINICAL_SETS[inputs].columns
    if not len(inputs) or not all(isinstance(name, str) for name in inputs):
        raise unusable("columns", "at least one column of the health records", repr(inputs))
    return tuple(inputs)


class _OnColumns(BaseEstimator):
    """Model that reads some columns of the health records and nothing else."""

    modalities: Sequence[str] = ("ehr",)  # for the tables of reports

    def _fit(self, X: pd.DataFrame, y: object, model: BaseEstimator) -> Self:
        self.columns_ = clinical_columns(self.columns)
        self.model_ = model.fit(self._read(X), y)
        self.n_features_in_, self.feature_names_in_ = X.shape[1], X.columns
        return self

    def _read(self, X: pd.DataFrame) -> pd.DataFrame:
        found = list(table_of(X)["ehr"].columns) if "ehr" in X.columns.unique(0) else []
        if absent := [name for name in self.columns_ if name not in found]:
            raise DataError("the health records lack columns", column=", ".join(absent),
                            expected=", ".join(self.columns_), got=", ".join(found) or "no records",
                            hint="load the cohort with them, or choose other inputs")  # fmt: skip
        return X[[("ehr", name) for name in self.columns_]]


class ClinicalClassifier(ClassifierMixin, _OnColumns):
    """Predict a class from some columns of the health records.

    Parameters
    ----------
    columns : str or sequence of str
        Name of one of `CLINICAL_SETS`, or columns.
    kind : {"ridge", "forest"}
        L2 logistic regression, whose penalty is chosen by inner folds, or a random forest of 500 trees.
    inner : int
        Number of inner folds of the ridge.
    random_state : int
        Seed.

    Attributes
    ----------
    classes_ : ndarray of str, shape (K,)
        The classes.
    columns_ : tuple of str
        Columns that are read.
    model_ : PriorWhereAbsent
        The fitted model; a patient without any of the columns gets the class frequencies of training.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> cohort = radiomics_phantom(60)
    >>> ClinicalClassifier("sex_smoking").fit(cohort.X, cohort.y).predict_proba(cohort.X[:3]).shape
    (3, 2)
    """

    def __init__(
        self,
        columns: str | Sequence[str] = "all_before_surgery",
        kind: str = "ridge",
        *,
        inner: int = 3,
        random_state: int = 0,
    ) -> None:
        self.columns = columns
        self.kind = kind
        self.inner = inner
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: pd.Series) -> Self:
        """Fit on these rows of `Cohort.X`; raise a `DataError` if a column is absent."""
        if self.kind not in KINDS:
            raise unusable("kind", " or ".join(KINDS), repr(self.kind))
        seed = {"random_state": self.random_state}
        model = ridge(["ehr"], inner=self.inner, **seed) if self.kind == "ridge" else forest(**seed)
        self._fit(X, y, PriorWhereAbsent(model, ["ehr"]))
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, shape (n, K)."""
        check_is_fitted(self, "model_")
        return self.model_.predict_proba(self._read(X))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the most probable class of each patient, shape (n,)."""
        check_is_fitted(self, "model_")
        return self.model_.predict(self._read(X))

    def save(self, folder: str | Path) -> Self:
        """Save everything that prediction needs to `folder`; `mmfusion.load` returns the same model.

        Raises
        ------
        BundleError
            If `folder` cannot be written.
        """
        check_is_fitted(self, "model_")
        table, *steps = self.model_.estimator_.steps
        fitted = {
            "columns_": self.columns_,
            "classes_": list(map(str, self.classes_)),
            "prior_": self.model_.prior_,
            "steps": [name for name, _ in self.model_.estimator_.steps],
        }
        return save(self, folder, extractor=table[1], pipeline=Pipeline(steps), fitted=fitted)

    @classmethod
    def from_bundle(cls, state: Mapping[str, object], tensors: Mapping[str, object]) -> Self:
        """Return the fitted classifier that `save` described; `mmfusion.load` calls it."""
        return restore(cls, state, cls._put)

    def _put(self, saved: dict[str, Any]) -> None:
        """Set the fitted attributes that `save` wrote, after checking them."""
        models = [saved["extractor"], *(step for _, step in saved["pipeline"].steps)]
        pipeline = Pipeline(list(zip(saved["steps"], models, strict=True)))
        self.columns_ = clinical_columns(list(saved["columns_"]))
        self.model_ = PriorWhereAbsent(pipeline, ["ehr"])
        self.model_.classes_ = self.classes_ = np.array(list(map(str, saved["classes_"])))
        self.model_.prior_, self.model_.estimator_ = np.asarray(saved["prior_"], dtype=float), pipeline
        if not len(self.classes_) == len(self.model_.prior_) or not set(pipeline.classes_) <= set(
            self.classes_
        ):
            raise DataError(
                "other classes", expected=", ".join(self.classes_), got=", ".join(pipeline.classes_)
            )


class ClinicalRegressor(RegressorMixin, _OnColumns):
    """Predict a vector, such as expression, from some columns of the health records by ridge regression.

    Parameters
    ----------
    columns : str or sequence of str
        As for `ClinicalClassifier`.

    Examples
    --------
    >>> from mmfusion.synthetic import radiomics_phantom
    >>> cohort = radiomics_phantom(60, target="expression")
    >>> ClinicalRegressor("histology").fit(cohort.X, cohort.y).predict(cohort.X[:3]).shape
    (3, 6)
    """

    def __init__(self, columns: str | Sequence[str] = "all_before_surgery") -> None:
        self.columns = columns

    def fit(self, X: pd.DataFrame, y: pd.DataFrame) -> Self:
        """Fit on these rows of `Cohort.X`; raise a `DataError` if a column is absent."""
        model = make_pipeline(FlatTransformer(["ehr"]), RidgePerTarget())
        return self._fit(X, y, MeanWhereAbsent(model, ["ehr"]))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the predicted values, shape (n, P)."""
        check_is_fitted(self, "model_")
        return self.model_.predict(self._read(X))
