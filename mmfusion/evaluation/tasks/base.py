"""Base class of tasks, which cross-validation and external validation use for a kind of target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold, KFold

from mmfusion.data.cohort import Cohort
from mmfusion.data.splits import Splits
from mmfusion.evaluation.fold_result import Predictions

Labels = pd.Series | pd.DataFrame


class Task(ABC):
    """Way to predict, score and compare models for a kind of target.

    A task is a small frozen dataclass, because it is sent to worker processes with every fold.

    Attributes
    ----------
    primary : str
        Metric of the headline, of the search on inner folds, and of comparisons.
    second : str or None
        Metric that is printed beside `primary`, because one number alone is easily misread.
    higher_is_better : bool
        True if a larger value of `primary` is better. The inner folds maximise `score` in either case.
    stratified : bool
        True if folds keep the shares of the classes.
    reference : str or None
        Name of the baseline that models are compared with, if it is judged.

    Examples
    --------
    >>> from mmfusion.evaluation.tasks import RegressionTask
    >>> task, X = RegressionTask(("EGFR",)), pd.DataFrame({"age": range(6)})
    >>> folds = task.inner_folds(X, None, np.array(["a", "a", "b", "b", "c", "c"]), n_splits=3, seed=0)
    >>> [len(test) for train, test in folds]  # both rows of a person are in one fold
    [2, 2, 2]
    """

    primary: ClassVar[str]
    second: ClassVar[str | None] = None
    higher_is_better: ClassVar[bool] = True
    reference: ClassVar[str | None] = None
    stratified: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def of(cls, cohort: Cohort) -> Task:
        """Return the task of a cohort's target."""

    @abstractmethod
    def predict(self, model: object, X: pd.DataFrame, y: Labels) -> Predictions:
        """Return the predictions of a fitted model for these rows; the model never gets `y`.

        Raises
        ------
        DataError
            If the model's predictions do not fit the target.
        """

    @abstractmethod
    def score(self, model: object, X: pd.DataFrame, y: Labels) -> float:
        """Return the score of a fitted model on these rows, for inner folds; higher is better."""

    @abstractmethod
    def frame(self, predictions: Predictions) -> pd.DataFrame:
        """Return predictions as a table with one row per patient and the columns that `scores` reads."""

    @abstractmethod
    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return metrics of every model with 95 % intervals over patients: columns (metric, mean | lo | hi).

        Parameters
        ----------
        table : DataFrame
            Columns model, repeat, fold, patient_id, person, and the columns of `frame`.
        """

    @abstractmethod
    def differences(self, table: pd.DataFrame, reference: str) -> pd.DataFrame:
        """Return differences to `reference` in `primary`, on the same resamples of patients."""

    @abstractmethod
    def detectable(self, table: pd.DataFrame, model: str, reference: str) -> float:
        """Return the smallest difference in `primary` that these patients can show with 80 % power."""

    @abstractmethod
    def baselines(
        self, modalities: Sequence[str], *, inner: int = 3, random_state: int = 0
    ) -> dict[str, BaseEstimator]:
        """Return the simple models that every model is compared with, by name."""

    def where_absent(self, estimator: BaseEstimator, modalities: Sequence[str]) -> BaseEstimator:
        """Return an estimator that also predicts for patients who have none of its `modalities`."""
        return estimator

    def for_model(self, model: object, y: Labels) -> Task:
        """Return the task for a model that was fitted on another cohort.

        Raises
        ------
        DataError
            If the labels have a value that the model does not know.
        """
        return self

    def splits(
        self, y: Labels, person_ids: pd.Series, *, n_splits: int, n_repeats: int, random_state: int
    ) -> Splits:
        """Return outer folds that keep the rows of a person together; stratified if there are classes."""
        return Splits.make(
            y, person_ids, n_splits, n_repeats, random_state=random_state, stratify=self.stratified
        )

    def inner_folds(
        self, X: pd.DataFrame, y: Labels, person_ids: np.ndarray, n_splits: int, seed: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return inner folds that keep the rows of a person together, as positions of training rows."""
        grouped = pd.Index(person_ids).has_duplicates
        kind = GroupKFold if grouped else KFold
        splitter = kind(n_splits, shuffle=True, random_state=seed)
        return list(splitter.split(X, None, person_ids if grouped else None))

    def subsample(self, rows: np.ndarray, y: Labels, fraction: float, seed: int) -> np.ndarray:
        """Return a random share of the training rows, at least two, for a learning curve."""
        if fraction >= 1.0:
            return rows
        n = min(len(rows), max(2, round(fraction * len(rows))))
        return np.sort(np.random.default_rng(seed).choice(rows, size=n, replace=False))
