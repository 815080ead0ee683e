"""Task of vectors, such as the expression of a gene panel; judged by correlation over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.evaluation.fold_result import Predictions, json_rows
from mmfusion.evaluation.regression_baselines import MeanWhereAbsent, regression_baselines
from mmfusion.evaluation.tasks.base import Labels, Task
from mmfusion.metrics.paired import detectable, same_rows
from mmfusion.metrics.regression import (
    regression_differences,
    regression_metrics,
    regression_table,
    value_predictions,
)
from mmfusion.metrics.weighted import mean_available


@dataclass(frozen=True)
class RegressionTask(Task):
    """Prediction of a vector of numbers; some true values of a patient may be missing.

    The primary metric is Pearson's correlation over the patients of a fold, averaged over the elements of the
    vector. `model.predict(X)` returns the values, shape (n, P), in the order of the columns of the labels.

    Parameters
    ----------
    names : tuple of str
        Names of the P elements of the vector, such as genes.

    Examples
    --------
    >>> found = Predictions("values", ("EGFR",), [[0.5]], [[None]])
    >>> RegressionTask(("EGFR",)).frame(found).columns.tolist()
    ['true_EGFR', 'pred_EGFR']
    """

    names: tuple[str, ...]
    primary: ClassVar[str] = "pearson"
    reference: ClassVar[str | None] = "ridge"

    @classmethod
    def of(cls, cohort: Cohort) -> RegressionTask:
        """Return the task of a cohort's table of values."""
        return cls(tuple(str(c) for c in pd.DataFrame(cohort.y).columns))

    def predict(self, model: object, X: pd.DataFrame, y: Labels) -> Predictions:
        """Return the predicted values and the true values."""
        values, true = self._values(model, X), pd.DataFrame(y).to_numpy(dtype=float)
        return Predictions("values", self.names, json_rows(np.round(values, 12)), json_rows(true))

    def score(self, model: object, X: pd.DataFrame, y: Labels) -> float:
        """Return the mean of Pearson's correlations; 0 for an element with the same prediction for all."""
        table = regression_metrics(pd.DataFrame(y).to_numpy(dtype=float), self._values(model, X))
        return float(mean_available(table[self.primary].to_numpy()))

    def frame(self, predictions: Predictions) -> pd.DataFrame:
        """Return `true_<name>` and `pred_<name>` for every element."""
        shape = (len(predictions.values), len(self.names))
        true = np.array(predictions.truth, dtype=float).reshape(shape)
        both = np.hstack([true, predictions.array()])
        return pd.DataFrame(both, columns=[f"{kind}_{n}" for kind in ("true", "pred") for n in self.names])

    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return means over elements with intervals (`mmfusion.metrics.regression.regression_table`)."""
        return regression_table(table, self.names)

    def differences(self, table: pd.DataFrame, reference: str) -> pd.DataFrame:
        """Return differences in mean correlation."""
        return regression_differences(table, self.names, reference, metric=self.primary)

    def detectable(self, table: pd.DataFrame, model: str, reference: str) -> float:
        """Return the smallest difference in mean correlation that these patients can show with 80 % power."""
        table = table[table["model"].isin([model, reference])]
        return detectable(value_predictions(same_rows(table), self.names), model, reference, self.primary)

    def baselines(
        self, modalities: Sequence[str], *, inner: int = 3, random_state: int = 0
    ) -> dict[str, BaseEstimator]:
        """Return training mean and ridges (`regression_baselines`)."""
        return regression_baselines(modalities)

    def where_absent(self, estimator: BaseEstimator, modalities: Sequence[str]) -> BaseEstimator:
        """Return an estimator that predicts the training mean for patients without `modalities`."""
        return MeanWhereAbsent(estimator, modalities)

    def _values(self, model: object, X: pd.DataFrame) -> np.ndarray:
        values = np.asarray(model.predict(X), dtype=float)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape != (len(X), len(self.names)):
            raise DataError(
                "the predictions have the wrong shape", expected=(len(X), len(self.names)), got=values.shape
            )
        if bad := [str(p) for p, row in zip(X.index, values, strict=True) if not np.isfinite(row).all()]:
            raise DataError("the predicted values are not finite", patient=", ".join(bad[:5]))
        return values
