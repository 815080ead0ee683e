"""Simultaneous intervals for a family of models, by the method of Holm."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.folds import by_model
from mmfusion.metrics.intervals import bootstrap_p, interval, widened
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
        Value of the statistic without signal. Default: 0 for differences, 0.5 for macro-AUC. Other metrics
        need a value.
    metric, n_boot, level, random_state
        As for `paired_table`.

    Returns
    -------
    DataFrame
        Index model; columns mean, lo, hi, p, p_holm, level (level of this interval). All are NaN if the
        statistic of a model cannot be estimated.

    Raises
    ------
    DataError
        If the predictions are malformed, if there is no model `reference`, if the models have different
        patients or folds, or if the value without signal is not known.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6(2).
    Nadeau and Bengio 2003, Machine Learning 52(3); see `Judged.overlap`.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": list("abcd")})
    >>> table = table.assign(y_true=["I", "I", "II", "II"], p_I=[0.9, 0.6, 0.4, 0.2])
    >>> table["p_II"] = 1 - table["p_I"]
    >>> float(holm_intervals(table, ["I", "II"], n_boot=10).loc["m", "mean"])
    1.0
    """
    models = by_model(predictions if reference is None else same_rows(predictions), classes)
    null = _null(metric, reference) if null is None else null
    draws = {}
    for name, model in models.items():
        weights = model.weights(n_boot, random_state, vary_shares=model.depends_on_shares(metric))
        draws[name] = model.draws(metric, weights)
    if reference is not None:
        if reference not in draws:
            raise DataError(f"no predictions of {reference!r}", expected=", ".join(draws))
        base = draws.pop(reference)
        draws = {name: values - base for name, values in draws.items()}
    draws = {name: widened(values, models[name].overlap) for name, values in draws.items()}
    p = {name: bootstrap_p(values[1:], null) for name, values in draws.items()}
    alpha, rows, stopped = 0.0, {}, False
    known = sorted((name for name in draws if p[name] == p[name]), key=p.get)
    for j, name in enumerate(known):
        alpha = alpha if stopped else (1 - level) / (len(known) - j)
        lo, hi = interval(draws[name][1:], 1 - alpha)
        stopped = stopped or lo <= null <= hi
        rows[name] = {"mean": float(draws[name][0]), "lo": lo, "hi": hi, "p": p[name], "level": 1 - alpha}
    columns = ["mean", "lo", "hi", "p", "level"]
    table = pd.DataFrame([rows.get(name, {}) for name in draws], list(draws), columns)
    table.insert(4, "p_holm", holm(table["p"]))
    return table


def _null(metric: str, reference: str | None) -> float:
    if reference is not None:
        return 0.0
    if "auc" not in metric:
        raise DataError("the value without signal is not known", parameter="null", got=metric)
    return 0.5
