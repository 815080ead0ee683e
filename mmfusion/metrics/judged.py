"""Out-of-fold predictions of one model, of whatever kind: metrics by test set, under many weightings of its patients.

The headline number is the mean over folds and repeats of the metric within a fold: the models of two folds are
calibrated differently, and ranking patients of one against patients of the other judges that as well. Where a fold is
too small for a metric (calibration), or that is what is wanted (subgroups), the folds of a repeat are pooled.
Intervals resample persons, not rows: who is drawn twice counts twice in every repeat, with every scan there is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.metrics.intervals import bootstrap_weights, interval
from mmfusion.metrics.weighted import mean_available

POOLED = "_pooled"  # suffix: folds of a repeat are pooled before the metric is taken


@dataclass(frozen=True, eq=False)
class Judged(ABC):
    """One model's out-of-fold predictions.

    Parameters
    ----------
    patients : Index, shape (n,)
        Sorted.
    strata : ndarray of int, shape (n,)
        Group of each patient that keeps its size in every resample: the class, or 0 for all.
    person_ids : ndarray of int, shape (n,)
        Person that each patient id belongs to, 0 to their number less 1.
    rows : DataFrame
        Per prediction: `repeat`, `fold`, and `patient`, a position in `patients`.
    """

    patients: pd.Index
    strata: np.ndarray
    person_ids: np.ndarray
    rows: pd.DataFrame

    @abstractmethod
    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set, shape (B,).

        Parameters
        ----------
        metric : str
            Its name, without the suffix that pools folds.
        members : ndarray of int
            Rows of the test set.
        weights : ndarray, shape (len(members), B)
            Weightings of their patients.
        """

    def weights(self, n_boot: int, random_state: int) -> np.ndarray:
        """Return bootstrap weights of the patients, shape (n, 1 + n_boot); those of one person have the same."""
        _, one_each = np.unique(self.person_ids, return_index=True)
        return bootstrap_weights(self.strata[one_each], n_boot, random_state)[self.person_ids]

    def draws(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """Return the metric, averaged over test sets, for each weighting of the patients, shape (B,)."""
        return mean_available(np.stack(list(self.by_set(metric, weights).values())))

    def by_set(self, metric: str, weights: np.ndarray) -> dict[tuple, np.ndarray]:
        """Return the metric in each (repeat, fold), or each (repeat,) where it is pooled; shape (B,) each."""
        patient = self.rows["patient"].to_numpy()
        name = metric.removesuffix(POOLED)
        return {
            key: self.of_set(name, members, weights[patient[members]])
            for key, members in self.members(metric).items()
        }

    def members(self, metric: str) -> dict[tuple, np.ndarray]:
        """Return the rows of each test set that `metric` is computed on."""
        keys = ["repeat"] if metric.endswith(POOLED) else ["repeat", "fold"]
        sets = self.rows.groupby(keys).indices.items()
        return {key if isinstance(key, tuple) else (key,): members for key, members in sets}


def rows_of(predictions: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Return what `Judged` holds of the rows of one model: the first row of each patient, persons, and `rows`."""
    first = predictions.drop_duplicates("patient_id").set_index("patient_id").sort_index()
    person_ids = pd.factorize(first.get("person", first.index))[0]
    rows = predictions[["repeat", "fold"]].reset_index(drop=True)
    rows["patient"] = first.index.get_indexer(predictions["patient_id"])
    return first, person_ids, rows


def table_of_scores(
    models: Mapping[str, Judged],
    metrics: Sequence[str],
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return metrics of every model with intervals over patients.

    Parameters
    ----------
    models : mapping
        By name.
    metrics : sequence of str
        Mean over folds and repeats; with the suffix "_pooled": folds of a repeat pooled.
    n_boot, level, random_state
        Resamples, level of the intervals, seed.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi).
    """
    rows = {}
    for name, model in models.items():
        weights = model.weights(n_boot, random_state)
        row = {}
        for metric in metrics:
            draws = model.draws(metric, weights)
            lo, hi = interval(draws[1:], level)
            row |= {(metric, "mean"): float(draws[0]), (metric, "lo"): lo, (metric, "hi"): hi}
        rows[name] = row
    columns = pd.MultiIndex.from_product([metrics, ["mean", "lo", "hi"]], names=["metric", None])
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
