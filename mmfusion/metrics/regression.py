"""Metrics of predicted vectors, such as expression panels: per target, mean over targets, with intervals.

Labels of single patients and targets may be missing; they are ignored. If the prediction of a target is the
same for all patients of a test set, its correlation is 0 and not NaN. Otherwise a target that a model cannot
predict would be left out of the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, did_you_mean
from mmfusion.metrics.checks import check_table
from mmfusion.metrics.intervals import interval
from mmfusion.metrics.judged import Judged, rows_of, table_of_scores
from mmfusion.metrics.moments import Pairs, concordance, mean_absolute_error, pearson, r2, spearman
from mmfusion.metrics.paired import same_rows, table_of_differences
from mmfusion.metrics.weighted import mean_available

REGRESSION_METRICS: dict[str, Callable[[Pairs], np.ndarray]] = {
    "pearson": pearson,
    "spearman": spearman,
    "concordance": concordance,
    "mae": mean_absolute_error,
    "r2": r2,
}
REGRESSION_LOWER_IS_BETTER = ("mae",)


def regression_metrics(y_true: object, y_pred: object, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return every metric of predicted values, per target.

    Parameters
    ----------
    y_true : array-like, shape (n, P) or (n,)
        True values; NaN if unknown.
    y_pred : array-like, of the same shape
        Predicted values, finite.
    names : sequence of str, optional
        Names of the targets. Default: their numbers.

    Returns
    -------
    DataFrame
        Index target; columns n (number of patients with a label), pearson, spearman, concordance (each -1 to
        1), mae (in units of the target, 0 is best), r2 (1 is best). A correlation is NaN if the true values
        are constant, or if fewer than two are known. Concordance is Lin's coefficient (Lin 1989, Biometrics
        45(1)); differences in mean and scale decrease it too.

    Raises
    ------
    DataError
        If the shapes differ, or if a prediction is not finite.

    Examples
    --------
    >>> regression_metrics([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]).round(3).loc[0].to_dict()
    {'n': 3.0, 'pearson': 0.982, 'spearman': 1.0, 'concordance': 0.857, 'mae': 0.333, 'r2': 0.5}
    """
    true, pred = _checked(y_true, y_pred)
    pairs = Pairs(true, pred, np.ones((len(true), 1)))
    out = {"n": np.isfinite(true).sum(axis=0)}
    out |= {name: metric(pairs)[:, 0] for name, metric in REGRESSION_METRICS.items()}
    index = pd.Index(range(true.shape[1]) if names is None else list(names), name="target")
    return pd.DataFrame(out, index=index)


@dataclass(frozen=True, eq=False)
class ValuePredictions(Judged):
    """Out-of-fold predictions of vectors by one model.

    Parameters
    ----------
    patients, strata, person_ids, rows
        As for `Judged`; the stratum of all patients is 0.
    true, pred : ndarray, shape (n_rows, P)
        True values (NaN if unknown) and predicted values, one row per prediction.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b", "c"]})
    >>> table = table.assign(true_EGFR=[1.0, 2.0, 3.0], pred_EGFR=[1.0, 2.0, 4.0])
    >>> one = ValuePredictions.of(table, ["EGFR"])
    >>> one.draws("mae", np.ones((3, 1))).round(3).tolist()
    [0.333]
    """

    true: np.ndarray
    pred: np.ndarray

    @classmethod
    def of(cls, predictions: pd.DataFrame, names: Sequence[str]) -> ValuePredictions:
        """Return the predictions of one model from its rows in a checked table."""
        true, pred = _checked(*(predictions[[f"{kind}_{n}" for n in names]] for kind in ("true", "pred")))
        first, person_ids, rows = rows_of(predictions)
        return cls(first.index, np.zeros(len(first), int), person_ids, rows, true, pred)

    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the mean over targets of a metric of one test set, shape (B,); see `Judged.of_set`."""
        return mean_available(self.per_target(metric, members, weights))

    def per_target(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set for each target, shape (P, B)."""
        if metric not in REGRESSION_METRICS:
            known, hint = ", ".join(REGRESSION_METRICS), did_you_mean(metric, REGRESSION_METRICS)
            raise DataError(f"no metric called {metric!r}", expected=known, hint=hint)
        return REGRESSION_METRICS[metric](Pairs(self.true[members], self.pred[members], weights))


def value_predictions(predictions: pd.DataFrame, names: Sequence[str]) -> dict[str, ValuePredictions]:
    """Split a table of predicted vectors by model, in order of appearance.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id), with `true_<target>` (NaN if unknown) and
        `pred_<target>`. The optional column `person` says which patient ids belong to the same person.
    names : sequence of str
        Names of the targets.

    Raises
    ------
    DataError
        If a column is missing, if a patient has two predictions in a repeat, or if a prediction is not
        finite.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b", "c"]})
    >>> table = table.assign(true_EGFR=[1.0, 2.0, 3.0], pred_EGFR=[1.0, 2.0, 4.0])
    >>> list(value_predictions(table, ["EGFR"]))
    ['m']
    """
    check_table(predictions, [f"{kind}_{n}" for kind in ("true", "pred") for n in names])
    return {str(m): ValuePredictions.of(rows, names) for m, rows in predictions.groupby("model", sort=False)}


def regression_table(predictions: pd.DataFrame, names: Sequence[str], **options: object) -> pd.DataFrame:
    """Return the mean over targets of every metric and model, with intervals over patients.

    Parameters
    ----------
    predictions, names
        As for `value_predictions`.
    **options
        n_boot, level, random_state, as for `score_table`.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi). The metric is averaged over targets, then over folds.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b", "c"]})
    >>> table = table.assign(true_EGFR=[1.0, 2.0, 3.0], pred_EGFR=[1.0, 2.0, 4.0])
    >>> round(float(regression_table(table, ["EGFR"], n_boot=10).loc["m", ("pearson", "mean")]), 3)
    0.982
    """
    return table_of_scores(value_predictions(predictions, names), tuple(REGRESSION_METRICS), **options)


def regression_differences(
    predictions: pd.DataFrame,
    names: Sequence[str],
    reference: str,
    *,
    metric: str = "pearson",
    **options: object,
) -> pd.DataFrame:
    """Compare every model with `reference` on the same resamples of patients; see `paired_table`.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"], "true_EGFR": [1.0, 2.0]})
    >>> new, ridge = table.assign(model="new", pred_EGFR=1.5), table.assign(model="ridge", pred_EGFR=3.0)
    >>> both = pd.concat([new, ridge])
    >>> found = regression_differences(both, ["EGFR"], "ridge", metric="mae", n_boot=10)
    >>> float(found.loc["new", "diff"])
    -1.0
    """
    models = value_predictions(same_rows(predictions), names)
    return table_of_differences(models, reference, metric, **options)


def target_table(
    predictions: pd.DataFrame,
    names: Sequence[str],
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return every metric of every model and target, with intervals over patients.

    Parameters
    ----------
    predictions, names
        As for `value_predictions`.
    n_boot, level, random_state
        Number of resamples, level of the intervals (0 to 1), seed.

    Returns
    -------
    DataFrame
        Index (model, target); columns (metric, mean | lo | hi). The metric is averaged over folds and
        repeats.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b", "c"]})
    >>> table = table.assign(true_EGFR=[1.0, 2.0, 3.0], pred_EGFR=[1.0, 2.0, 4.0])
    >>> found = target_table(table, ["EGFR"], n_boot=10)
    >>> round(float(found.loc[("m", "EGFR"), ("mae", "mean")]), 3)
    0.333
    """
    parts = {}
    for name, model in value_predictions(predictions, names).items():
        weights = model.weights(n_boot, random_state)[model.rows["patient"]]
        for metric in REGRESSION_METRICS:
            sets = [model.per_target(metric, m, weights[m]) for m in model.members(metric).values()]
            draws = mean_available(np.stack(sets))
            for target, values in zip(names, draws, strict=True):
                lo, hi = interval(values[1:], level)
                row = parts.setdefault((name, target), {})
                row |= {(metric, "mean"): float(values[0]), (metric, "lo"): lo, (metric, "hi"): hi}
    columns = pd.MultiIndex.from_product([REGRESSION_METRICS, ["mean", "lo", "hi"]], names=["metric", None])
    table = pd.DataFrame(list(parts.values()), pd.MultiIndex.from_tuples(parts, names=["model", "target"]))
    return table.reindex(columns=columns)


def _checked(y_true: object, y_pred: object) -> tuple[np.ndarray, np.ndarray]:
    true, pred = (np.asarray(v, dtype=float) for v in (y_true, y_pred))
    true, pred = (v[:, None] if v.ndim == 1 else v for v in (true, pred))
    if true.shape != pred.shape or true.ndim != 2:
        raise DataError("true and predicted values differ in shape", expected=true.shape, got=pred.shape)
    if not np.isfinite(pred).all():
        row, column = np.argwhere(~np.isfinite(pred))[0]
        problem = f"the predicted value of row {row} and target {column} is not a number"
        raise DataError(problem, got=pred[row, column])
    return true, pred
