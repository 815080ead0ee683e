"""Two models on the same patients: paired bootstrap, corrected intervals, Holm, and what this n could have shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.folds import ModelPredictions, by_model
from mmfusion.metrics.intervals import bootstrap_p, interval
from mmfusion.metrics.judged import Judged
from mmfusion.metrics.significance import corrected_t_test, holm

POWER = 2.8  # standard errors: z(0.975) + z(0.80), for a two-sided test at 5 % with 80 % power


def paired_table(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    reference: str = "ridge",
    *,
    metric: str = "macro_auc",
    intersect: bool = False,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Every model minus `reference`, on the same resamples of the same patients.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    reference : str
        The model that the others are compared with.
    metric : str
        Out of `METRICS`; "_pooled" pools the folds of a repeat.
    intersect : bool
        Compare on the patients that all models predicted, where they differ.
    n_boot, level, random_state
        Resamples, level of the intervals, seed.

    Returns
    -------
    DataFrame
        Index model; diff, lo, hi, p (bootstrap over patients, the fitted models held), p_holm (over the rows);
        corrected_lo, corrected_hi, corrected_p (Nadeau and Bengio's t-test over folds, which allows for
        the training sets; NaN where there are no folds to speak of).

    Raises
    ------
    DataError
        If there is no such model, or the patients or folds differ and `intersect` is not set.
    """
    models = _same_patients(predictions, classes, intersect=intersect)
    return table_of_differences(
        models, reference, metric, n_boot=n_boot, level=level, random_state=random_state
    )


def table_of_differences(
    models: Mapping[str, Judged],
    reference: str,
    metric: str,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return every model minus `reference`, as `paired_table` does, of predictions of any kind.

    Parameters
    ----------
    models : mapping of str to Judged
        All of the same patients and folds (`same_rows`).
    reference, metric, n_boot, level, random_state
        As for `paired_table`.

    Raises
    ------
    DataError
        If there is no such model.
    """
    models = dict(models)
    if reference not in models:
        raise DataError(f"no predictions of {reference!r}", expected=", ".join(models))
    base = models.pop(reference)
    weights = base.weights(n_boot, random_state)
    rows = {name: _compare(model, base, metric, weights, level) for name, model in models.items()}
    columns = ["diff", "lo", "hi", "p", "corrected_lo", "corrected_hi", "corrected_p"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.insert(4, "p_holm", holm(table["p"]))
    return table


def paired_difference(
    predictions: pd.DataFrame, classes: Sequence[object], model: str, reference: str, **options: object
) -> pd.Series:
    """The row of `paired_table` that compares `model` with `reference`; options are its options."""
    table = paired_table(
        predictions[predictions["model"].isin([model, reference])], classes, reference, **options
    )
    if model not in table.index:
        raise DataError(
            f"no predictions of {model!r}", expected=", ".join(map(str, predictions["model"].unique()))
        )
    return table.loc[model]


def minimum_detectable_difference(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    model: str,
    reference: str = "ridge",
    *,
    metric: str = "macro_auc",
    n_boot: int = 2000,
    random_state: int = 0,
) -> float:
    """Smallest true paired difference that this many patients would show with 80 % power (two-sided, 5 %).

    2.8 standard errors of the paired bootstrap difference. It holds the fitted models, as the bootstrap does.

    Raises
    ------
    DataError
        As `paired_table`.
    """
    models = _same_patients(
        predictions[predictions["model"].isin([model, reference])], classes, intersect=False
    )
    return detectable(models, model, reference, metric, n_boot=n_boot, random_state=random_state)


def detectable(
    models: Mapping[str, Judged],
    model: str,
    reference: str,
    metric: str,
    *,
    n_boot: int = 2000,
    random_state: int = 0,
) -> float:
    """Return the smallest detectable difference, as `minimum_detectable_difference`, of predictions of any kind."""
    absent = [m for m in (model, reference) if m not in models]
    if absent:
        raise DataError(f"no predictions of {absent[0]!r}", expected=", ".join(models))
    weights = models[reference].weights(n_boot, random_state)
    draws = models[model].draws(metric, weights) - models[reference].draws(metric, weights)
    return float(POWER * np.nanstd(draws[1:], ddof=1))


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
    """Intervals that all hold at once: no model of a family without signal is found, with probability `level`.

    The j-th smallest of m p-values has an interval of level 1 - alpha / (m - j + 1); from the first that covers the
    null on, the level stays, so that intervals exclude it where Holm's test rejects. The claim is about ways of
    learning, not about fitted models, so the bootstrap is widened for training sets that overlap between folds.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    reference : str, optional
        Intervals of differences to this model; default of the metric itself.
    null : float, optional
        Value under no signal; default 0 for differences, else 0.5 (a macro-AUC's).
    metric, n_boot, level, random_state
        As for `paired_table`.

    Returns
    -------
    DataFrame
        Index model; mean, lo, hi, p, p_holm, level (the interval's own).

    Raises
    ------
    DataError
        As `paired_table`.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6(2); Nadeau and Bengio 2003, Machine Learning 52(3): a correlation
    of 1/k between k folds makes the variance of their mean 1 + k / (k - 1) times that of independent ones.
    """
    models = (
        by_model(predictions, classes)
        if reference is None
        else _same_patients(predictions, classes, intersect=False)
    )
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
    """How much wider than a bootstrap of fixed models an interval of the way of learning is (in standard errors)."""
    k = model.rows.groupby("repeat")["fold"].nunique().max()
    return float(np.sqrt(1 + k / (k - 1))) if k > 1 else 1.0


def _compare(
    model: Judged, base: Judged, metric: str, weights: np.ndarray, level: float
) -> tuple[float, ...]:
    a, b = model.by_set(metric, weights), base.by_set(metric, weights)
    draws = model.draws(metric, weights) - base.draws(metric, weights)
    by_fold = np.array([a[key][0] - b[key][0] for key in a])
    n_repeats = base.rows["repeat"].nunique()
    k = len(by_fold) // n_repeats
    corrected = (np.nan, np.nan, np.nan)
    if k > 1 and np.isfinite(by_fold).sum() > 1:
        t = corrected_t_test(by_fold, 1 / (k - 1), level)
        corrected = (t["lo"], t["hi"], t["p"])
    return (float(draws[0]), *interval(draws[1:], level), bootstrap_p(draws[1:]), *corrected)


def _same_patients(
    predictions: pd.DataFrame, classes: Sequence[object], *, intersect: bool
) -> dict[str, ModelPredictions]:
    return by_model(same_rows(predictions, intersect=intersect), classes)


def same_rows(predictions: pd.DataFrame, *, intersect: bool = False) -> pd.DataFrame:
    """Return the rows of patients and folds that all models share; an error where they differ, unless `intersect`.

    Raises
    ------
    DataError
        If models were judged on other patients or folds and `intersect` is not set, or share none.
    """
    keys = {
        m: pd.MultiIndex.from_frame(r[["repeat", "fold", "patient_id"]])
        for m, r in predictions.groupby("model")
    }
    common = None
    for index in keys.values():
        common = index if common is None else common.intersection(index)
    odd = {m: len(index) - len(common) for m, index in keys.items() if len(index) != len(common)}
    if odd and not intersect:
        raise DataError(
            "models were not judged on the same patients and folds",
            expected="equal (repeat, fold, patient_id)",
            got="; ".join(f"{m} has {n} more" for m, n in odd.items()),
            hint="intersect=True compares on those they share",
        )
    if odd:
        if not len(common):
            raise DataError("models have no patient in common", got=", ".join(map(str, keys)))
        index = pd.MultiIndex.from_frame(predictions[["repeat", "fold", "patient_id"]])
        predictions = predictions[index.isin(common)]
    return predictions
