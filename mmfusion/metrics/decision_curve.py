"""Decision curves: the net benefit of acting on predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.errors import DataError
from mmfusion.metrics.folds import one_model
from mmfusion.metrics.intervals import interval

THRESHOLDS = tuple(np.round(np.arange(0.01, 0.90, 0.01), 2).tolist())
_ROUNDING = 1e-9  # a probability that is a sum of classes may miss the threshold by rounding


def ordinal_cuts(classes: Sequence[object]) -> dict[str, tuple[str, ...]]:
    """Return the ways to divide ordered classes in early and late: name of the late part -> its classes.

    Parameters
    ----------
    classes : sequence, shape (K,)
        Classes in order of severity.

    Examples
    --------
    >>> ordinal_cuts(["I", "II", "III"])
    {'II or later': ('II', 'III'), 'III': ('III',)}
    """
    names = [str(c) for c in classes]
    parts = [tuple(names[k:]) for k in range(1, len(names))]
    return {part[0] if len(part) == 1 else f"{part[0]} or later": part for part in parts}


def decision_curve(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    model: str,
    positive: Sequence[object],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compute the net benefit of treating every patient whose probability reaches a threshold.

    Net benefit is TP / n - FP / n * t / (1 - t), where t is the threshold: true positives per patient, minus
    false positives that are weighted by the odds of the threshold. The threshold says how many false
    positives a physician accepts for one true positive. The probability of a patient is the sum over the
    classes `positive`, such as the late stages. Folds and repeats are pooled.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    model : str
        Model to judge.
    positive : sequence
        Classes of the patients to be treated; some of `classes`, not all of them.
    thresholds : sequence of float
        Threshold probabilities, in (0, 1).
    n_boot, level, random_state
        Number of resamples, level of the band (0 to 1), seed.

    Returns
    -------
    DataFrame
        One row per threshold: threshold, net_benefit with its band lo, hi over patients, treat_all (the net
        benefit of treating everybody), and treated (share of patients at or above the threshold). Treating
        nobody has the net benefit 0.

    Raises
    ------
    DataError
        If the model has no predictions, a class is unknown, a threshold is not between 0 and 1, or all or
        none of the patients are positive: net benefit then compares nothing.

    References
    ----------
    Vickers and Elkin 2006, Decision curve analysis: a novel method for evaluating prediction models, Medical
    Decision Making 26, 565-574.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": list("abcd")})
    >>> table["y_true"], table["p_I"] = ["I", "I", "II", "II"], [0.9, 0.4, 0.3, 0.1]
    >>> table["p_II"] = 1 - table["p_I"]
    >>> curve = decision_curve(table, ["I", "II"], "m", ["II"], thresholds=[0.5], n_boot=10)
    >>> curve[["net_benefit", "treat_all", "treated"]].to_numpy().tolist()  # 2/4 - 1/4 * 1
    [[0.25, 0.0, 0.75]]
    """
    judged = one_model(predictions, classes, model)
    names = [str(c) for c in classes]
    chosen = _positions(names, positive)
    limits = _numbers("thresholds", thresholds)
    if not len(limits) or not ((limits > 0) & (limits < 1)).all():
        expected, got = "probabilities between 0 and 1, without these two", list(thresholds)
        raise DataError("unusable thresholds", parameter="thresholds", expected=expected, got=got)
    patient = judged.rows["patient"].to_numpy()
    event = np.isin(judged.codes[patient], chosen)
    if event.all() or not event.any():
        got = f"{int(event.sum())} of {len(event)} patients are {' or '.join(names[k] for k in chosen)}"
        raise DataError("net benefit cannot be estimated", expected="patients with and without it", got=got)
    # net benefit depends on the share of positive patients, which the resamples therefore vary
    weights = judged.weights(n_boot, random_state, vary_shares=True)[patient]
    treated = judged.proba[:, chosen].sum(axis=1)[:, None] >= limits - _ROUNDING
    gain = np.where(event[:, None], 1.0, -limits / (1 - limits))
    benefit = (gain * treated).T @ weights / weights.sum(axis=0)
    bands = np.array([interval(draws[1:], level) for draws in benefit])
    return pd.DataFrame(
        {
            "threshold": limits,
            "net_benefit": benefit[:, 0],
            "lo": bands[:, 0],
            "hi": bands[:, 1],
            "treat_all": gain.mean(axis=0),
            "treated": treated.mean(axis=0),
        }
    )


def _numbers(name: str, values: Sequence[float]) -> np.ndarray:
    """Return numbers as an array, shape (n,)."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError("not numbers", parameter=name, expected="a list of numbers", got=values) from error
    if found.ndim != 1:
        raise DataError("not several numbers", parameter=name, expected="a list of numbers", got=values)
    return found


def _positions(names: Sequence[str], positive: Sequence[object]) -> list[int]:
    if isinstance(positive, str):  # its letters may be classes: "III" has the letters of I
        problem = "not a list of classes"
        raise DataError(problem, parameter="positive", expected=f"[{positive!r}]", got=repr(positive))
    wanted = [str(c) for c in positive]
    if not wanted or not set(wanted) < set(names):
        expected = f"some of {', '.join(names)}, not all"
        got = ", ".join(wanted) or "none"
        raise DataError("unusable positive classes", parameter="positive", expected=expected, got=got)
    return [names.index(c) for c in dict.fromkeys(wanted)]
