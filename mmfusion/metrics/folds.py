"""Metrics of out-of-fold probabilities of several models, by fold and with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.checks import check_predictions, check_probabilities, encode_labels
from mmfusion.metrics.few import class_counts, said_of_classes
from mmfusion.metrics.intervals import interval, metric_named
from mmfusion.metrics.judged import Judged, rows_of, table_of_scores
from mmfusion.metrics.weighted import METRICS, OF_SHARES, Weighted

SCORES = (*(m for m in METRICS if m != "ece"), "ece_pooled", "macro_auc_pooled")


@dataclass(frozen=True, eq=False)
class ModelPredictions(Judged):
    """One model's out-of-fold probabilities.

    Parameters
    ----------
    patients, strata, person_ids, rows
        As for `Judged`; the strata are the classes.
    proba : ndarray, shape (n_rows, K)
        Probabilities, one row per prediction.
    decided : ndarray of int, shape (n_rows,), optional
        Class that the model decided on. Default: the most probable class.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"], "y_true": ["I", "II"]})
    >>> table = table.assign(model="m", p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> one = ModelPredictions.of(check_predictions(table, ["I", "II"]), ["I", "II"])
    >>> one.draws("accuracy", np.ones((2, 1))).tolist()
    [0.5]
    """

    proba: np.ndarray
    decided: np.ndarray | None = None

    of_shares: ClassVar[tuple[str, ...]] = OF_SHARES

    @classmethod
    def of(cls, predictions: pd.DataFrame, classes: Sequence[object]) -> ModelPredictions:
        """Return the predictions of one model from its rows in a checked table."""
        proba = check_probabilities(predictions[[f"p_{c}" for c in classes]], len(predictions), len(classes))
        first, person_ids, rows = rows_of(predictions)
        decided = encode_labels(predictions["y_pred"], classes) if "y_pred" in predictions else None
        return cls(first.index, encode_labels(first["y_true"], classes), person_ids, rows, proba, decided)

    @property
    def codes(self) -> np.ndarray:
        """Class of each patient, shape (n,)."""
        return self.strata

    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set, shape (B,); see `Judged.of_set`."""
        return metric_named(metric)(self.weighted(members, weights))

    def weighted(self, members: np.ndarray, weights: np.ndarray) -> Weighted:
        """Return one test set with weights of its patients, shape (len(members), B)."""
        codes = self.codes[self.rows["patient"].to_numpy()[members]]
        decided = None if self.decided is None else self.decided[members]
        return Weighted(codes, self.proba[members], weights, decided)

    def sets(self, metric: str, weights: np.ndarray) -> dict[tuple, Weighted]:
        """Return the test sets that `metric` is computed on, with weights of all patients, shape (n, B)."""
        patient = self.rows["patient"].to_numpy()
        return {
            key: self.weighted(members, weights[patient[members]])
            for key, members in self.members(metric).items()
        }


def by_model(predictions: pd.DataFrame, classes: Sequence[object]) -> dict[str, ModelPredictions]:
    """Split a table of predictions by model, in order of appearance.

    Raises
    ------
    DataError
        If the predictions are malformed (see `check_predictions`), or if a row is not a distribution.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"], "y_true": ["I", "II"]})
    >>> table = table.assign(p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> both = pd.concat([table.assign(model="fusion"), table.assign(model="ridge")])
    >>> list(by_model(both, ["I", "II"]))
    ['fusion', 'ridge']
    """
    table = check_predictions(predictions, classes)
    return {str(m): ModelPredictions.of(rows, classes) for m, rows in table.groupby("model", sort=False)}


def one_model(predictions: pd.DataFrame, classes: Sequence[object], model: str) -> ModelPredictions:
    """Return the predictions of one model.

    Raises
    ------
    DataError
        If there are no predictions of the model (the error lists the models), or if they are malformed.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> one_model(table, ["I", "II"], "m").patients.tolist()
    ['a', 'b']
    """
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
    """Compute the metrics of every model, with intervals over patients.

    Parameters
    ----------
    predictions : DataFrame
        A row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>`.
    classes : sequence
        Classes in order of severity.
    metrics : sequence of str
        Names in `METRICS`. A metric is averaged over folds and repeats. With the suffix "_pooled", the folds
        of a repeat are pooled before the metric is computed.
    n_boot, level, random_state
        Number of resamples, level of the intervals (0 to 1), seed.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi). If a fold has no patients of a class, the class is left
        out of the averages of that fold.

    Raises
    ------
    DataError
        If the predictions are malformed or a metric is unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> scores = score_table(table, ["I", "II"], metrics=["accuracy"], n_boot=10)
    >>> float(scores.loc["m", ("accuracy", "mean")])
    0.5
    """
    models = by_model(predictions, classes)
    return table_of_scores(models, metrics, n_boot=n_boot, level=level, random_state=random_state)


def fold_scores(
    predictions: pd.DataFrame, classes: Sequence[object], metric: str = "macro_auc"
) -> pd.DataFrame:
    """Compute a metric in every fold.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    metric : str
        Name in `METRICS`.

    Returns
    -------
    DataFrame, shape (n_folds, n_models)
        Index (repeat, fold); one column per model.

    Raises
    ------
    DataError
        If the predictions are malformed or the metric is unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> fold_scores(table, ["I", "II"], "accuracy")["m"].to_dict()
    {(0, 0): 0.5}
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
    """Compute a metric of every model within groups of patients, such as sites.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    groups : Series
        Group of each patient. Index patient_id.
    metric : str
        Name in `METRICS`; with the suffix "_pooled", the folds of a repeat are pooled.
    n_boot, level, random_state
        Number of resamples, level of the intervals (0 to 1), seed.

    Returns
    -------
    DataFrame
        Columns model, group, n (patients), mean, lo, hi, said. The largest group comes first. `said` has the
        classes that a group lacks or has few patients of. The metrics that depend on each class, such as an
        AUC or the balanced accuracy, are NaN if a group has only one class, or one to four patients of a
        class: their interval would be much too narrow. Five to nine patients of a class are said.

    Raises
    ------
    DataError
        If the predictions are malformed, or if a patient has no group.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> sites = pd.Series({"a": "north", "b": "south"})
    >>> found = scores_by_group(table, ["I", "II"], sites, metric="accuracy_pooled", n_boot=10)
    >>> found.set_index("group")["mean"].to_dict()
    {'north': 1.0, 'south': 0.0}
    """
    rows = []
    group = predictions["patient_id"].map(groups)
    if group.isna().any():
        raise DataError("a patient has no group", patient=predictions.loc[group.isna(), "patient_id"].iloc[0])
    for label in groups[groups.index.isin(predictions["patient_id"])].value_counts().index:
        for name, model in by_model(predictions[group == label], classes).items():
            counts = class_counts(model.codes, model.person_ids, len(classes))
            said, estimable = said_of_classes(counts, classes, metric)
            mean = lo = hi = np.nan
            if estimable:
                vary = model.depends_on_shares(metric)
                draws = model.draws(metric, model.weights(n_boot, random_state, vary_shares=vary))
                mean, (lo, hi) = float(draws[0]), interval(draws[1:], level)
            row = {"model": name, "group": label, "n": len(model.patients)}
            rows.append(row | {"mean": mean, "lo": lo, "hi": hi, "said": said})
    return pd.DataFrame(rows, columns=["model", "group", "n", "mean", "lo", "hi", "said"])
