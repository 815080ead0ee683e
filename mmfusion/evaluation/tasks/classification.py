"""Task of classes: probabilities, judged by macro-AUC and other metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.evaluation.baselines import PriorWhereAbsent, standard_baselines
from mmfusion.evaluation.fold_result import Predictions
from mmfusion.evaluation.scoring import macro_auc_scorer
from mmfusion.evaluation.tasks.base import Task
from mmfusion.metrics import minimum_detectable_difference, paired_table, score_table


@dataclass(frozen=True)
class ClassificationTask(Task):
    """Prediction of a class; folds are stratified by class.

    Parameters
    ----------
    classes : tuple of str
        Names of the classes, in order of severity if they have an order.

    Examples
    --------
    >>> found = Predictions("probabilities", ("I",), [[1.0]], ["I"])
    >>> ClassificationTask(("I", "II")).frame(found).to_dict("records")
    [{'y_true': 'I', 'y_pred': 'I', 'p_I': 1.0, 'p_II': 0.0}]
    """

    classes: tuple[str, ...]
    primary: ClassVar[str] = "macro_auc"
    second: ClassVar[str | None] = "macro_f1"
    reference: ClassVar[str | None] = "ridge"
    stratified: ClassVar[bool] = True

    @classmethod
    def of(cls, cohort: Cohort) -> ClassificationTask:
        """Return the task of a cohort's classes."""
        y = cohort.y
        known = y.cat.remove_unused_categories().cat.categories if hasattr(y, "cat") else sorted(y.unique())
        return cls(tuple(str(c) for c in known))

    def predict(self, model: object, X: pd.DataFrame, y: pd.Series) -> Predictions:
        """Return the probability of each class that the model knows, and the class that it decides on.

        A model may have `decide(proba) -> classes`, so that it need not read its inputs twice.
        """
        classes = tuple(str(c) for c in model.classes_)
        proba = model.predict_proba(X)
        decided = model.decide(proba) if hasattr(model, "decide") else model.predict(X)
        return Predictions(
            "probabilities",
            classes,
            np.round(proba, 12).tolist(),
            [str(v) for v in y],
            [str(v) for v in decided],
        )

    def score(self, model: object, X: pd.DataFrame, y: pd.Series) -> float:
        """Return the macro-AUC; classes absent from `y` are left out."""
        return macro_auc_scorer(model, X, y)

    def frame(self, predictions: Predictions) -> pd.DataFrame:
        """Return `y_true`, `y_pred` and `p_<class>` for every class; 0 for a class that the model lacks."""
        table = pd.DataFrame(predictions.array(), columns=[f"p_{c}" for c in predictions.names])
        table = table.reindex(columns=[f"p_{c}" for c in self.classes], fill_value=0.0)
        table.insert(0, "y_true", predictions.truth)
        most_probable = [predictions.names[k] for k in predictions.array().argmax(axis=1)]
        table.insert(1, "y_pred", predictions.decided or most_probable)
        return table

    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return every metric with intervals (`mmfusion.metrics.score_table`)."""
        return score_table(table, self.classes)

    def differences(self, table: pd.DataFrame, reference: str) -> pd.DataFrame:
        """Return differences in macro-AUC (`mmfusion.metrics.paired_table`)."""
        return paired_table(table, self.classes, reference=reference)

    def detectable(self, table: pd.DataFrame, model: str, reference: str) -> float:
        """Return the smallest difference in macro-AUC that these patients can show with 80 % power."""
        return minimum_detectable_difference(table, self.classes, model, reference)

    def baselines(
        self, modalities: Sequence[str], *, inner: int = 3, random_state: int = 0
    ) -> dict[str, BaseEstimator]:
        """Return majority class, ridges and random forest (`standard_baselines`)."""
        return standard_baselines(modalities, inner=inner, random_state=random_state)

    def where_absent(self, estimator: BaseEstimator, modalities: Sequence[str]) -> BaseEstimator:
        """Return an estimator that predicts the class frequencies for patients without `modalities`."""
        return PriorWhereAbsent(estimator, modalities)

    def for_model(self, model: object, y: pd.Series) -> ClassificationTask:
        """Return the task with the classes of the model; raise a `DataError` if it does not know a label."""
        known = tuple(str(c) for c in model.classes_)
        if unknown := sorted(set(y.astype(str)) - set(known)):
            raise DataError(
                "the cohort has classes that the model does not know", got=unknown, expected=list(known)
            )
        return ClassificationTask(known)

    def inner_folds(
        self, X: pd.DataFrame, y: pd.Series, person_ids: np.ndarray, n_splits: int, seed: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return inner folds that are stratified by class and keep the rows of a person together."""
        grouped = pd.Index(person_ids).has_duplicates
        kind = StratifiedGroupKFold if grouped else StratifiedKFold
        splitter = kind(n_splits, shuffle=True, random_state=seed)
        return list(splitter.split(X, y, person_ids if grouped else None))

    def subsample(self, rows: np.ndarray, y: pd.Series, fraction: float, seed: int) -> np.ndarray:
        """Return a random share of the training rows of each class, at least two."""
        if fraction >= 1.0:
            return rows
        rng = np.random.default_rng(seed)
        keep = []
        for _, members in y.iloc[rows].groupby(y.iloc[rows], observed=True).groups.items():
            of_class = rows[y.index[rows].isin(members)]
            n = max(2, round(fraction * len(of_class)))
            keep.append(rng.choice(of_class, size=min(n, len(of_class)), replace=False))
        return np.sort(np.concatenate(keep))
