"""Out-of-fold probabilities of several models: metrics by fold, and with intervals over patients (`metrics.judged`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.checks import check_predictions, check_probabilities, encode_labels
from mmfusion.metrics.intervals import interval, metric_named
from mmfusion.metrics.judged import Judged, rows_of, table_of_scores
from mmfusion.metrics.weighted import METRICS, Weighted

SCORES = (*(m for m in METRICS if m != "ece"), "ece_pooled", "macro_auc_pooled")


@dataclass(frozen=True, eq=False)
class ModelPredictions(Judged):
    """One model's out-of-fold probabilities.

    Parameters
    ----------
    patients, strata, person_ids, rows
        As of `Judged`; the strata are the classes.
    proba : ndarray, shape (n_rows, K)
        Per prediction.
    """

    proba: np.ndarray

    @classmethod
    def of(cls, predictions: pd.DataFrame, classes: Sequence[object]) -> ModelPredictions:
        """From the rows of one model in a checked table."""
        proba = check_probabilities(predictions[[f"p_{c}" for c in classes]], len(predictions), len(classes))
        first, person_ids, rows = rows_of(predictions)
        return cls(first.index, encode_labels(first["y_true"], classes), person_ids, rows, proba)

    @property
    def codes(self) -> np.ndarray:
        """Class of each patient, shape (n,)."""
        return self.strata

    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set, as `Judged` asks for."""
        return metric_named(metric)(self.weighted(members, weights))

    def weighted(self, members: np.ndarray, weights: np.ndarray) -> Weighted:
        """Return one test set under weightings of its patients."""
        return Weighted(self.codes[self.rows["patient"].to_numpy()[members]], self.proba[members], weights)

    def sets(self, metric: str, weights: np.ndarray) -> dict[tuple, Weighted]:
        """Return the test sets that `metric` is computed on, under weightings of all patients."""
        patient = self.rows["patient"].to_numpy()
        return {
            key: self.weighted(members, weights[patient[members]])
            for key, members in self.members(metric).items()
        }


def by_model(predictions: pd.DataFrame, classes: Sequence[object]) -> dict[str, ModelPredictions]:
    """The models of a table of predictions, in order of appearance.

    Raises
    ------
    DataError
        On malformed predictions (`check_predictions`), or rows that are not distributions.
    """
    table = check_predictions(predictions, classes)
    return {str(m): ModelPredictions.of(rows, classes) for m, rows in table.groupby("model", sort=False)}


def one_model(predictions: pd.DataFrame, classes: Sequence[object], model: str) -> ModelPredictions:
    """The predictions of `model`; raises `DataError` that lists the models there are."""
    names = list(predictions["model"].unique())
    if model not in names:
        raise DataError(f"no predictions of {model!r}", expected=", ".join(map(str, names)))
    return by_model(predictions[predictions["model"] == model], classes)[str(model)]


def score_table(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    *,
    metrics: Sequence[str] = SCORES,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Metrics of every model with intervals over patients.

    Parameters
    ----------
    predictions : DataFrame
        A row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>`.
    classes : sequence
        In order of severity.
    metrics : sequence of str
        Out of `METRICS`: mean over folds and repeats; with the suffix "_pooled": folds of a repeat pooled.
    n_boot, level, random_state
        Resamples, level of the intervals, seed.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi). A class that a fold lacks is left out of that fold's averages.

    Raises
    ------
    DataError
        On malformed predictions or unknown metrics.
    """
    models = by_model(predictions, classes)
    return table_of_scores(models, metrics, n_boot=n_boot, level=level, random_state=random_state)


def fold_scores(
    predictions: pd.DataFrame, classes: Sequence[object], metric: str = "macro_auc"
) -> pd.DataFrame:
    """The metric in every fold: index (repeat, fold), a column a model.

    Raises
    ------
    DataError
        On malformed predictions or an unknown metric.
    """
    columns = {}
    for name, model in by_model(predictions, classes).items():
        by_set = model.by_set(metric, np.ones((len(model.patients), 1)))
        columns[name] = pd.Series({key: value[0] for key, value in by_set.items()})
    return pd.DataFrame(columns).rename_axis(["repeat", "fold"])


def scores_by_group(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    groups: pd.Series,
    *,
    metric: str = "macro_auc_pooled",
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """The metric of every model within groups of patients (a site, the modalities they have).

    Parameters
    ----------
    groups : Series
        Group of each patient; index patient_id.

    Returns
    -------
    DataFrame
        Columns model, group, n, mean, lo, hi; groups by size. NaN where a group has one class only.

    Raises
    ------
    DataError
        On malformed predictions, or a patient without a group.
    """
    rows = []
    group = predictions["patient_id"].map(groups)
    if group.isna().any():
        raise DataError("a patient has no group", patient=predictions.loc[group.isna(), "patient_id"].iloc[0])
    for label in groups[groups.index.isin(predictions["patient_id"])].value_counts().index:
        for name, model in by_model(predictions[group == label], classes).items():
            draws = model.draws(metric, model.weights(n_boot, random_state))
            lo, hi = interval(draws[1:], level)
            n = len(model.patients)
            rows.append({"model": name, "group": label, "n": n, "mean": float(draws[0]), "lo": lo, "hi": hi})
    return pd.DataFrame(rows, columns=["model", "group", "n", "mean", "lo", "hi"])
