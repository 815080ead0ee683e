"""ROC and reliability curves of out-of-fold predictions, with bands over patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.metrics.folds import ModelPredictions, one_model
from mmfusion.metrics.intervals import interval
from mmfusion.metrics.weighted import Weighted, class_aucs, confidence_bins, mean_available


def mean_roc(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    model: str,
    *,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the one-vs-rest ROC curve of each class, with a band over patients.

    True positive rates are averaged over folds and repeats at each false positive rate.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    model : str
        Model to judge.
    n_boot, level, random_state
        Number of resamples, level of the band (0 to 1), seed.

    Returns
    -------
    curves : DataFrame
        Columns class, fpr, tpr, lo, hi; 101 points per class. The band is pointwise.
    aucs : DataFrame
        Index class; columns mean, lo, hi. The mean is the mean of the folds' areas, like the headline
        macro-AUC.

    Raises
    ------
    DataError
        If the model has no predictions, or they are malformed.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.2], p_II=[0.1, 0.8])
    >>> curves, aucs = mean_roc(table, ["I", "II"], "m", n_boot=10)
    >>> aucs["mean"].tolist()
    [1.0, 1.0]
    """
    judged = one_model(predictions, classes, model)
    sets = judged.sets("macro_auc", judged.weights(n_boot, random_state)).values()
    areas = mean_available(np.stack([class_aucs(s) for s in sets]))
    grid = np.linspace(0, 1, 101)
    curves = []
    for k, name in enumerate(classes):
        tpr = mean_available(np.stack([_roc(s, k, grid) for s in sets]))
        lo, hi = np.nanquantile(tpr[:, 1:], [(1 - level) / 2, (1 + level) / 2], axis=1)
        curves.append(pd.DataFrame({"class": str(name), "fpr": grid, "tpr": tpr[:, 0], "lo": lo, "hi": hi}))
    rows = {str(name): (areas[k, 0], *interval(areas[k, 1:], level)) for k, name in enumerate(classes)}
    return pd.concat(curves, ignore_index=True), pd.DataFrame.from_dict(
        rows, orient="index", columns=["mean", "lo", "hi"]
    )


def reliability(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    model: str,
    *,
    bins: int = 10,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compute the share of correct predictions by confidence, with folds and repeats pooled.

    Parameters
    ----------
    predictions, classes
        As for `score_table`.
    model : str
        Model to judge.
    bins : int
        Number of bins. Each holds the same number of predictions.
    n_boot, level, random_state
        Number of resamples, level of the interval (0 to 1), seed.

    Returns
    -------
    DataFrame
        One row per bin: confidence (mean probability of the predicted class), accuracy, its interval lo, hi
        over patients, and n (number of predictions).

    Raises
    ------
    DataError
        If the model has no predictions, or they are malformed.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.2], p_II=[0.1, 0.8])
    >>> found = reliability(table, ["I", "II"], "m", bins=2, n_boot=10)
    >>> found[["confidence", "accuracy", "n"]].to_numpy().tolist()
    [[0.8, 1.0, 1.0], [0.9, 1.0, 1.0]]
    """
    judged: ModelPredictions = one_model(predictions, classes, model)
    weights = judged.weights(n_boot, random_state, vary_shares=True)[judged.rows["patient"]]
    s = Weighted(judged.codes[judged.rows["patient"]], judged.proba, weights)
    confidence, correct = s.proba.max(axis=1), s.proba.argmax(axis=1) == s.codes
    member = confidence_bins(confidence, bins)
    rows = []
    for b in np.unique(member):
        inside = member == b
        part = Weighted(s.codes[inside], s.proba[inside], weights[inside])
        accuracy = part.mean(correct[inside].astype(float))
        lo, hi = interval(accuracy[1:], level)
        rows.append(
            {
                "confidence": confidence[inside].mean(),
                "accuracy": accuracy[0],
                "lo": lo,
                "hi": hi,
                "n": inside.sum(),
            }
        )
    return pd.DataFrame(rows)


def _roc(s: Weighted, k: int, grid: np.ndarray) -> np.ndarray:
    """Return the true positive rate at each false positive rate of `grid`, shape (len(grid), B).

    NaN where there are no positives or no negatives.
    """
    order = np.argsort(-s.proba[:, k], kind="stable")
    last_of_ties = np.r_[np.diff(s.proba[order, k]) != 0, True]
    positive = (s.codes == k)[order, None]
    w = s.weights[order]
    tp, fp = (np.cumsum(np.where(side, w, 0), axis=0)[last_of_ties] for side in (positive, ~positive))
    out = np.full((len(grid), w.shape[1]), np.nan)
    for b in np.flatnonzero((tp[-1] > 0) & (fp[-1] > 0)):
        out[:, b] = np.interp(grid, np.r_[0, fp[:, b] / fp[-1, b]], np.r_[0, tp[:, b] / tp[-1, b]])
    return out
