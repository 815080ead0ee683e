"""Out-of-fold predictions of several models: metrics by fold, and with intervals over patients.

The headline number is the mean over folds and repeats of the metric within a fold: the models of two folds are
calibrated differently, and ranking patients of one against patients of the other judges that as well. Where a fold is
too small for a metric (calibration), or that is what is wanted (subgroups), the folds of a repeat are pooled.
Intervals resample people, not rows: who is drawn twice counts twice in every repeat, with every scan there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.checks import check_predictions, check_probabilities, encode_labels
from mmfusion.metrics.intervals import bootstrap_weights, interval, metric_named
from mmfusion.metrics.weighted import METRICS, Weighted, mean_available

POOLED = "_pooled"  # suffix: folds of a repeat are pooled before the metric is taken
SCORES = (*(m for m in METRICS if m != "ece"), "ece_pooled", "macro_auc_pooled")


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """One model's out-of-fold predictions, coded.

    Parameters
    ----------
    patients : Index, shape (n,)
        Sorted.
    codes : ndarray of int, shape (n,)
        Class of each patient.
    people : ndarray of int, shape (n,)
        Person that each patient id belongs to, 0 to their number less 1.
    rows : DataFrame
        Per prediction: `repeat`, `fold`, and `patient`, a position in `patients`.
    proba : ndarray, shape (n_rows, K)
        Per prediction.
    """

    patients: pd.Index
    codes: np.ndarray
    people: np.ndarray
    rows: pd.DataFrame
    proba: np.ndarray

    @classmethod
    def of(cls, predictions: pd.DataFrame, classes: Sequence[object]) -> ModelPredictions:
        """From the rows of one model in a checked table."""
        proba = check_probabilities(predictions[[f"p_{c}" for c in classes]], len(predictions), len(classes))
        first = predictions.drop_duplicates("patient_id").set_index("patient_id").sort_index()
        people = pd.factorize(first.get("person", first.index))[0]
        rows = predictions[["repeat", "fold"]].reset_index(drop=True)
        rows["patient"] = first.index.get_indexer(predictions["patient_id"])
        return cls(first.index, encode_labels(first["y_true"], classes), people, rows, proba)

    def weights(self, n_boot: int, random_state: int) -> np.ndarray:
        """Bootstrap weights of the patients, shape (n, 1 + n_boot); those of one person have the same."""
        _, one_each = np.unique(self.people, return_index=True)
        return bootstrap_weights(self.codes[one_each], n_boot, random_state)[self.people]

    def draws(self, metric: str, weights: np.ndarray) -> np.ndarray:
        """The metric, averaged over test sets, for each weighting of the patients, shape (B,)."""
        return mean_available(np.stack(list(self.by_set(metric, weights).values())))

    def by_set(self, metric: str, weights: np.ndarray) -> dict[tuple, np.ndarray]:
        """The metric in each (repeat, fold), or each (repeat,) where it is pooled; shape (B,) each."""
        return {
            key: metric_named(metric.removesuffix(POOLED))(s) for key, s in self.sets(metric, weights).items()
        }

    def sets(self, metric: str, weights: np.ndarray) -> dict[tuple, Weighted]:
        """The test sets that `metric` is computed on."""
        keys = ["repeat"] if metric.endswith(POOLED) else ["repeat", "fold"]
        sets = {}
        for key, members in self.rows.groupby(keys).indices.items():
            patient = self.rows["patient"].to_numpy()[members]
            sets[key if isinstance(key, tuple) else (key,)] = Weighted(
                self.codes[patient], self.proba[members], weights[patient]
            )
        return sets


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
    rows = {}
    for name, model in by_model(predictions, classes).items():
        weights = model.weights(n_boot, random_state)
        row = {}
        for metric in metrics:
            draws = model.draws(metric, weights)
            lo, hi = interval(draws[1:], level)
            row |= {(metric, "mean"): float(draws[0]), (metric, "lo"): lo, (metric, "hi"): hi}
        rows[name] = row
    columns = pd.MultiIndex.from_product([metrics, ["mean", "lo", "hi"]], names=["metric", None])
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)


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
