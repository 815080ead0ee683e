"""Curves of out-of-fold predictions, with bands over patients: ROC by class, and reliability."""

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
    """One-vs-rest ROC curve of each class, averaged vertically over folds and repeats, with a band over patients.

    Returns
    -------
    curves : DataFrame
        Columns class, fpr, tpr, lo, hi; 101 points a class. The band is pointwise.
    aucs : DataFrame
        Index class; mean, lo, hi. Means of the folds' areas, as the headline macro-AUC is.

    Raises
    ------
    DataError
        If there are no such predictions, or they are malformed.
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
    """Share of correct predictions by how sure the model was, folds and repeats pooled, bins of equal mass.

    Returns
    -------
    DataFrame
        A row a bin: confidence (mean probability of the predicted class), accuracy, lo, hi (over patients), n
        (predictions).

    Raises
    ------
    DataError
        If there are no such predictions, or they are malformed.
    """
    judged: ModelPredictions = one_model(predictions, classes, model)
    weights = judged.weights(n_boot, random_state)[judged.rows["patient"]]
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
    """True positive rate at each false positive rate of `grid`, shape (len(grid), B); NaN where a side is empty."""
    order = np.argsort(-s.proba[:, k], kind="stable")
    last_of_ties = np.r_[np.diff(s.proba[order, k]) != 0, True]
    positive = (s.codes == k)[order, None]
    w = s.weights[order]
    tp, fp = (np.cumsum(np.where(side, w, 0), axis=0)[last_of_ties] for side in (positive, ~positive))
    out = np.full((len(grid), w.shape[1]), np.nan)
    for b in np.flatnonzero((tp[-1] > 0) & (fp[-1] > 0)):
        out[:, b] = np.interp(grid, np.r_[0, fp[:, b] / fp[-1, b]], np.r_[0, tp[:, b] / tp[-1, b]])
    return out
