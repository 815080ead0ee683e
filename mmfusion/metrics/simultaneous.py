"""Simultaneous intervals for a family of models, by the method of Holm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.folds import by_model
from mmfusion.metrics.intervals import bootstrap_p, interval
from mmfusion.metrics.judged import Judged
from mmfusion.metrics.paired import same_rows
from mmfusion.metrics.significance import holm


def holm_intervals(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    reference: str | None = None,
    *,
    metric: str = "macro_auc",
    null: float | None = None,
    n_boot: int = 5000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compute simultaneous intervals for a family of models.

    If no model has signal, then with probability `level` no interval excludes the null value.

    The j-th smallest of m p-values has an interval of level 1 - alpha / (m - j + 1). From the first interval
    that covers the null value on, the level stays the same. An interval therefore excludes the null value
    exactly if Holm's test rejects. The intervals are for methods of learning, not for fitted models. They are
    therefore wider than those of the bootstrap, because the training sets of the folds overlap.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    reference : str, optional
        Compute intervals of differences to this model. Default: intervals of the metric itself.
    null : float, optional
        Value of the statistic without signal. Default: 0 for differences, else 0.5 (macro-AUC).
    metric, n_boot, level, random_state
        As for `paired_table`.

    Returns
    -------
    DataFrame
        Index model; columns mean, lo, hi, p, p_holm, level (level of this interval).

    Raises
    ------
    DataError
        If the predictions are malformed, if there is no model `reference`, or if the models have different
        patients or folds.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6(2).
    Nadeau and Bengio 2003, Machine Learning 52(3): with a correlation of 1/k between k folds, the variance of
    their mean is 1 + k / (k - 1) times the variance for independent folds.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": list("abcd")})
    >>> p = np.array([0.9, 0.6, 0.4, 0.2])
    >>> table = table.assign(y_true=["I", "I", "II", "II"], p_I=p, p_II=1 - p)
    >>> float(holm_intervals(table, ["I", "II"], n_boot=10).loc["m", "mean"])
    1.0
    """
    models = by_model(predictions if reference is None else same_rows(predictions), classes)
    draws = {name: model.draws(metric, model.weights(n_boot, random_state)) for name, model in models.items()}
    if reference is not None:
        if reference not in draws:
            raise DataError(f"no predictions of {reference!r}", expected=", ".join(draws))
        base = draws.pop(reference)
        draws = {name: values - base for name, values in draws.items()}
    draws = {
        name: values[0] + _inflation(models[name]) * (values - values[0]) for name, values in draws.items()
    }
    null = null if null is not None else (0.0 if reference is not None else 0.5)
    p = {name: bootstrap_p(values[1:], null) for name, values in draws.items()}
    alpha, rows, stopped = 0.0, {}, False
    for j, name in enumerate(sorted(draws, key=p.get)):
        alpha = alpha if stopped else (1 - level) / (len(draws) - j)
        lo, hi = interval(draws[name][1:], 1 - alpha)
        stopped = stopped or lo <= null <= hi
        rows[name] = {"mean": float(draws[name][0]), "lo": lo, "hi": hi, "p": p[name], "level": 1 - alpha}
    table = pd.DataFrame.from_dict({name: rows[name] for name in draws}, orient="index")
    table.insert(4, "p_holm", holm(table["p"]))
    return table


def _inflation(model: Judged) -> float:
    """Return the factor by which overlapping training sets widen an interval of the bootstrap."""
    k = model.rows.groupby("repeat")["fold"].nunique().max()
    return float(np.sqrt(1 + k / (k - 1))) if k > 1 else 1.0
