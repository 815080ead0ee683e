"""Metrics of the out-of-fold predictions of one model, with many sets of weights of the patients at once.

The headline number is the mean over folds and repeats of the metric within a fold. The folds are not pooled,
because the models of two folds are calibrated differently, and a ranking of patients across folds would also
measure that. The folds of a repeat are pooled only if a fold is too small for a metric (calibration) or for a
subgroup. Intervals resample persons, not rows. A person that is drawn twice counts twice in every repeat,
with all rows.

An interval of one model takes the fitted models as given. In a cross-validation it is too narrow for the
method that fitted them, because each model was trained on the test patients of the other folds
(`benchmarks/intervals.py`). Comparisons, and statements about chance, are therefore widened by
`Judged.overlap`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from mmfusion.metrics.intervals import bootstrap_weights, interval
from mmfusion.metrics.weighted import BIASED, mean_available

POOLED = "_pooled"  # suffix: folds of a repeat are pooled before the metric is computed


@dataclass(frozen=True, eq=False)
class Judged(ABC):
    """Out-of-fold predictions of one model.

    Parameters
    ----------
    patients : Index, shape (n,)
        Patient ids, sorted.
    strata : ndarray of int, shape (n,)
        Stratum of each patient: the class, or 0 for all. Every resample has the same number of persons per
        stratum, except for the metrics in `of_shares`.
    person_ids : ndarray of int, shape (n,)
        Number of the person that each patient id belongs to, from 0.
    rows : DataFrame
        One row per prediction: `repeat`, `fold`, and `patient`, a position in `patients`.

    Examples
    --------
    >>> class MeanScore(Judged):
    ...     scores = np.array([0.5, 1.0])
    ...     def of_set(self, metric, members, weights):
    ...         return self.scores[members] @ weights / weights.sum(axis=0)
    >>> rows = pd.DataFrame({"repeat": [0, 0], "fold": [0, 1], "patient": [0, 1]})
    >>> one = MeanScore(pd.Index(["a", "b"]), np.zeros(2, int), np.arange(2), rows)
    >>> one.draws("score", np.ones((2, 1))).tolist()
    [0.75]
    """

    patients: pd.Index
    strata: np.ndarray
    person_ids: np.ndarray
    rows: pd.DataFrame

    of_shares: ClassVar[tuple[str, ...]] = ()  # metrics that depend on the shares of the strata

    @property
    def overlap(self) -> float:
        """Factor by which overlapping training sets widen an interval: sqrt(1 + k / (k - 1)) for k folds.

        Nadeau and Bengio 2003, Machine Learning 52(3): with a correlation of 1/k between k folds, this is the
        standard error of their mean, relative to independent folds. It is 1 for a single test set.
        """
        return overlap_factor(self.rows)

    @abstractmethod
    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set, shape (B,).

        Parameters
        ----------
        metric : str
            Name of the metric without the suffix "_pooled".
        members : ndarray of int
            Positions in `rows` of the test set.
        weights : ndarray, shape (len(members), B)
            B sets of weights of its patients.
        """

    def weights(self, n_boot: int, random_state: int, *, vary_shares: bool = False) -> np.ndarray:
        """Return bootstrap weights, shape (n, 1 + n_boot); patient ids of a person have the same weight.

        Every resample has as many persons of each stratum as the sample, except with `vary_shares`.
        """
        _, one_each = np.unique(self.person_ids, return_index=True)
        strata = np.zeros(len(one_each), int) if vary_shares else self.strata[one_each]
        return bootstrap_weights(strata, n_boot, random_state)[self.person_ids]

    def depends_on_shares(self, metric: str) -> bool:
        """Return True if a metric depends on the shares of the strata, so that resamples vary them."""
        return metric.removesuffix(POOLED) in self.of_shares

    def draws(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """Return the metric, averaged over test sets, for each set of weights, shape (B,)."""
        return mean_available(np.stack(list(self.by_set(metric, weights).values())))

    def by_set(self, metric: str, weights: np.ndarray) -> dict[tuple, np.ndarray]:
        """Return the metric in each (repeat, fold), or in each (repeat,) if it is pooled; shape (B,) each."""
        patient = self.rows["patient"].to_numpy()
        name = metric.removesuffix(POOLED)
        return {
            key: self.of_set(name, members, weights[patient[members]])
            for key, members in self.members(metric).items()
        }

    def members(self, metric: str) -> dict[tuple, np.ndarray]:
        """Return the positions in `rows` of each test set that `metric` is computed on."""
        keys = ["repeat"] if metric.endswith(POOLED) else ["repeat", "fold"]
        sets = self.rows.groupby(keys).indices.items()
        return {key if isinstance(key, tuple) else (key,): members for key, members in sets}


def widened_score(score: pd.Series, predictions: pd.DataFrame) -> pd.Series:
    """Return a score of a cross-validation with the interval for the method, not for the fitted models.

    Parameters
    ----------
    score : Series
        mean, lo and hi, such as a row of `NestedResult.scores["macro_auc"]`.
    predictions : DataFrame
        Its predictions, with `repeat` and `fold`.

    Returns
    -------
    Series
        lo and hi lie farther from the mean, by the factor `Judged.overlap`.

    Examples
    --------
    >>> score = pd.Series({"mean": 0.6, "lo": 0.5, "hi": 0.7})
    >>> widened_score(score, pd.DataFrame({"repeat": 0, "fold": [0, 1]})).round(2).tolist()
    [0.6, 0.43, 0.77]
    """
    return score["mean"] + overlap_factor(predictions) * (score - score["mean"])


def overlap_factor(rows: pd.DataFrame) -> float:
    """Return `Judged.overlap` for rows with `repeat` and `fold`.

    Examples
    --------
    >>> round(overlap_factor(pd.DataFrame({"repeat": 0, "fold": [0, 1, 2, 3, 4]})), 2)
    1.5
    """
    k = rows.groupby("repeat")["fold"].nunique().max()
    return float(np.sqrt(1 + k / (k - 1))) if k > 1 else 1.0


def rows_of(predictions: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Return first row per patient, `person_ids` and `rows` of `Judged` from predictions of one model.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": [0, 1], "patient_id": ["b", "a"]})
    >>> first, person_ids, rows = rows_of(table)
    >>> first.index.tolist(), rows["patient"].tolist()
    (['a', 'b'], [1, 0])
    """
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
    models : mapping of str to Judged
        Name -> predictions.
    metrics : sequence of str
        Names of metrics. A metric is averaged over folds and repeats. With the suffix "_pooled", the folds of
        a repeat are pooled before the metric is computed.
    n_boot, level, random_state
        Number of resamples, level of the intervals (0 to 1), seed.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi). The calibration error has no interval, because
        resampling biases it upwards; see `ece_band`.

    Examples
    --------
    >>> from mmfusion.metrics.regression import value_predictions
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b", "c"]})
    >>> table = table.assign(true_EGFR=[1.0, 2.0, 3.0], pred_EGFR=[1.0, 2.0, 4.0])
    >>> scores = table_of_scores(value_predictions(table, ["EGFR"]), ["mae"], n_boot=10)
    >>> round(float(scores.loc["m", ("mae", "mean")]), 3)
    0.333
    """
    rows = {}
    for name, model in models.items():
        row, vary = {}, {metric: model.depends_on_shares(metric) for metric in metrics}
        weights = {v: model.weights(n_boot, random_state, vary_shares=v) for v in set(vary.values())}
        for metric in metrics:
            draws = model.draws(metric, weights[vary[metric]])
            biased = metric.removesuffix(POOLED) in BIASED
            lo, hi = (np.nan, np.nan) if biased else interval(draws[1:], level)
            row |= {(metric, "mean"): float(draws[0]), (metric, "lo"): lo, (metric, "hi"): hi}
        rows[name] = row
    columns = pd.MultiIndex.from_product([metrics, ["mean", "lo", "hi"]], names=["metric", None])
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
