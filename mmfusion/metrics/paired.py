"""Comparison of models on the same patients: paired bootstrap, corrected t-test, Holm's adjustment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.folds import ModelPredictions, by_model
from mmfusion.metrics.intervals import bootstrap_p, interval, widened
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
    overlap: bool = True,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare every model with a reference, on the same resamples of the same patients.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    reference : str
        Model that the others are compared with.
    metric : str
        Name in `METRICS`; with the suffix "_pooled", the folds of a repeat are pooled.
    intersect : bool
        If models predicted different patients, compare them on the patients that all of them predicted.
    overlap : bool
        Widen the intervals for the overlap of the training sets of the folds (`Judged.overlap`). False is for
        the same fitted models on changed inputs.
    n_boot, level, random_state
        Number of resamples, level of the intervals (0 to 1), seed.

    Returns
    -------
    DataFrame
        Index model. `diff` is model minus reference. `lo`, `hi` and `p` come from the bootstrap over
        patients, widened for overlapping training sets. `p_holm` is adjusted over the rows. `corrected_lo`,
        `corrected_hi` and `corrected_p` come from the t-test over folds of Nadeau and Bengio; NaN if there
        are fewer than two folds, or the folds do not vary. A value that is not estimable is NaN.

    Raises
    ------
    DataError
        If there is no such model, or if the patients or folds differ and `intersect` is False.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"], "y_true": ["I", "II"]})
    >>> good = table.assign(model="good", p_I=[0.9, 0.2], p_II=[0.1, 0.8])
    >>> poor = table.assign(model="ridge", p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> found = paired_table(pd.concat([good, poor]), ["I", "II"], metric="accuracy", n_boot=10)
    >>> float(found.loc["good", "diff"])
    0.5
    """
    models = _same_patients(predictions, classes, intersect=intersect)
    options = {"n_boot": n_boot, "level": level, "random_state": random_state, "overlap": overlap}
    return table_of_differences(models, reference, metric, **options)


def table_of_differences(
    models: Mapping[str, Judged],
    reference: str,
    metric: str,
    *,
    overlap: bool = True,
    n_boot: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare every model with `reference`, as `paired_table` does, for predictions of any kind.

    Parameters
    ----------
    models : mapping of str to Judged
        Name -> predictions, all for the same patients and folds (`same_rows`).
    reference, metric, overlap, n_boot, level, random_state
        As for `paired_table`.

    Raises
    ------
    DataError
        If there is no model `reference`.
    """
    models = dict(models)
    if reference not in models:
        raise DataError(f"no predictions of {reference!r}", expected=", ".join(models))
    base = models.pop(reference)
    weights = base.weights(n_boot, random_state, vary_shares=base.depends_on_shares(metric))
    wider = base.overlap if overlap else 1.0
    rows = {name: _compare(model, base, metric, weights, level, wider) for name, model in models.items()}
    columns = ["diff", "lo", "hi", "p", "corrected_lo", "corrected_hi", "corrected_p"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.insert(4, "p_holm", holm(table["p"]))
    return table


def paired_difference(
    predictions: pd.DataFrame, classes: Sequence[object], model: str, reference: str, **options: object
) -> pd.Series:
    """Return the row of `paired_table` that compares `model` with `reference`.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    model, reference : str
        Models to compare.
    **options
        Passed to `paired_table`.

    Raises
    ------
    DataError
        If there is no such model, or if the patients or folds differ.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"], "y_true": ["I", "II"]})
    >>> good = table.assign(model="good", p_I=[0.9, 0.2], p_II=[0.1, 0.8])
    >>> poor = table.assign(model="ridge", p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> both = pd.concat([good, poor])
    >>> found = paired_difference(both, ["I", "II"], "good", "ridge", metric="accuracy", n_boot=10)
    >>> float(found["diff"])
    0.5
    """
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
    """Return the smallest true difference that these patients can show with 80 % power (two-sided, 5 %).

    It is 2.8 standard errors of the paired bootstrap difference, widened for overlapping training sets. It is
    NaN if the difference does not vary, as between two models with constant predictions.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    model, reference : str
        Models to compare.
    metric : str
        Name in `METRICS`; with the suffix "_pooled", the folds of a repeat are pooled.
    n_boot, random_state
        Number of resamples, seed.

    Raises
    ------
    DataError
        If there is no such model, or if the patients or folds differ.

    Examples
    --------
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": list("abcd")})
    >>> table["y_true"] = ["I", "I", "II", "II"]
    >>> flat = table.assign(model="ridge", p_I=0.5, p_II=0.5)
    >>> good = table.assign(model="good", p_I=[0.9, 0.5, 0.4, 0.1], p_II=[0.1, 0.5, 0.6, 0.9])
    >>> both = pd.concat([good, flat])
    >>> round(minimum_detectable_difference(both, ["I", "II"], "good", metric="brier", n_boot=100), 1)
    0.3
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
    """Return the smallest detectable difference for predictions of any kind.

    Parameters
    ----------
    models : mapping of str to Judged
        Name -> predictions, all for the same patients and folds (`same_rows`).
    model, reference, metric, n_boot, random_state
        As for `minimum_detectable_difference`.

    Raises
    ------
    DataError
        If there is no such model.

    Examples
    --------
    >>> from mmfusion.metrics.regression import value_predictions
    >>> table = pd.DataFrame({"repeat": 0, "fold": 0, "patient_id": ["a", "b"], "true_EGFR": [1.0, 2.0]})
    >>> good, poor = table.assign(model="good", pred_EGFR=1.5), table.assign(model="poor", pred_EGFR=2.5)
    >>> models = value_predictions(pd.concat([good, poor]), ["EGFR"])
    >>> round(detectable(models, "good", "poor", "mae", n_boot=100), 1)
    0.9
    """
    absent = [m for m in (model, reference) if m not in models]
    if absent:
        raise DataError(f"no predictions of {absent[0]!r}", expected=", ".join(models))
    base = models[reference]
    weights = base.weights(n_boot, random_state, vary_shares=base.depends_on_shares(metric))
    draws = models[model].draws(metric, weights) - base.draws(metric, weights)
    spread = float(np.nanstd(draws[1:], ddof=1))
    return POWER * base.overlap * spread if spread > 0 else np.nan


def _compare(
    model: Judged, base: Judged, metric: str, weights: np.ndarray, level: float, wider: float
) -> tuple[float, ...]:
    a, b = model.by_set(metric, weights), base.by_set(metric, weights)
    draws = widened(model.draws(metric, weights) - base.draws(metric, weights), wider)
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
    """Return the rows of the patients and folds that all models have.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id).
    intersect : bool
        If models have different patients or folds, return the common ones instead of an error.

    Raises
    ------
    DataError
        If models have different patients or folds and `intersect` is False, or if they have none in common.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["a", "a", "b"], "patient_id": ["p", "q", "p"]})
    >>> table = table.assign(repeat=0, fold=0)
    >>> len(same_rows(table, intersect=True))
    2
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
