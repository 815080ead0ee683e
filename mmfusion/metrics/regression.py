"""How good predicted vectors are (expression panels): per target, their means, intervals over patients.

Labels may be missing per patient and target; a missing one counts for nothing. A prediction that is the same for all
patients of a test set has correlation 0, not none: a target that a model gives up on must not leave the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
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
        True values; NaN where unknown.
    y_pred : array-like, of the same shape
        Predicted values.
    names : sequence of str, optional
        Of the targets; by default their numbers.

    Returns
    -------
    DataFrame
        Index target; columns n (patients with a label), pearson, spearman, concordance (each -1 to 1), mae (in
        units of the target, 0 is best), r2 (1 is best). NaN where the true values do not vary, or fewer than two
        are known. Concordance is Lin's coefficient (Lin 1989, Biometrics 45(1)), which falls with differences in
        mean and scale as well.

    Raises
    ------
    DataError
        If the shapes differ or a prediction is not finite.

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
    """One model's out-of-fold predictions of vectors.

    Parameters
    ----------
    patients, strata, person_ids, rows
        As of `Judged`; there are no strata.
    true, pred : ndarray, shape (n_rows, P)
        True values (NaN where unknown) and predicted ones, per prediction.
    """

    true: np.ndarray
    pred: np.ndarray

    @classmethod
    def of(cls, predictions: pd.DataFrame, names: Sequence[str]) -> ValuePredictions:
        """From the rows of one model in a checked table."""
        true, pred = _checked(*(predictions[[f"{kind}_{n}" for n in names]] for kind in ("true", "pred")))
        first, person_ids, rows = rows_of(predictions)
        return cls(first.index, np.zeros(len(first), int), person_ids, rows, true, pred)

    def of_set(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the mean over targets of a metric of one test set, as `Judged` asks for."""
        return mean_available(self.per_target(metric, members, weights))

    def per_target(self, metric: str, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return a metric of one test set for each target, shape (P, B)."""
        if metric not in REGRESSION_METRICS:
            raise DataError(f"no metric called {metric!r}", expected=", ".join(REGRESSION_METRICS))
        return REGRESSION_METRICS[metric](Pairs(self.true[members], self.pred[members], weights))


def value_predictions(predictions: pd.DataFrame, names: Sequence[str]) -> dict[str, ValuePredictions]:
    """Return the models of a table of predicted vectors, in order of appearance.

    Parameters
    ----------
    predictions : DataFrame
        A row per (model, repeat, fold, patient_id), with `true_<target>` (NaN where unknown) and `pred_<target>`;
        `person`, if several rows of a cohort are of one.
    names : sequence of str
        The targets.

    Raises
    ------
    DataError
        On missing columns, a patient judged twice in a repeat, or a prediction that is not finite.
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
        n_boot, level, random_state, as of `score_table`.

    Returns
    -------
    DataFrame
        Index model; columns (metric, mean | lo | hi). The mean over folds of the mean over targets.
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
    """Return every model minus `reference`, on the same resamples of the same patients, as `paired_table` does."""
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
        Resamples, level of the intervals, seed.

    Returns
    -------
    DataFrame
        Index (model, target); columns (metric, mean | lo | hi). Means over folds and repeats.
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
        raise DataError(
            "a predicted value is not a number", column=f"row {row}, target {column}", got=pred[row, column]
        )
    return true, pred
