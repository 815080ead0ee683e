"""Every metric, for many weightings of the same patients at once: weights of one are the metric, counts a bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


def mean_available(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean over the finite values along `axis`; NaN where there are none."""
    finite = np.isfinite(values)
    return _ratio(np.where(finite, values, 0.0).sum(axis), finite.sum(axis).astype(float))


@dataclass(frozen=True, eq=False)
class Weighted:
    """Predictions of one test set, under B weightings of its patients.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        True classes.
    proba : ndarray, shape (n, K)
        Predicted probabilities.
    weights : ndarray, shape (n, B)
        Patients down, weightings across. A column of ones gives the plain metric.
    """

    codes: np.ndarray
    proba: np.ndarray
    weights: np.ndarray

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of weights, shape (B,)."""
        return self.weights.sum(axis=0)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Weight of each (true, predicted) pair, shape (K, K, B)."""
        k = self.proba.shape[1]
        cell = self.codes * k + self.proba.argmax(axis=1)
        return (np.eye(k * k)[cell].T @ self.weights).reshape(k, k, -1)

    @cached_property
    def present(self) -> np.ndarray:
        """Which classes have weight, shape (K, B)."""
        return self.confusion.sum(axis=1) > 0

    def mean(self, loss: np.ndarray) -> np.ndarray:
        """Weighted mean of a value per patient, shape (B,)."""
        return _ratio(loss @ self.weights, self.total)


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, ties counting one half, shape (B,); NaN where a side is empty.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Higher speaks for the positive class.
    positive : ndarray of bool, shape (n,)
        Who is positive.
    weights : ndarray, shape (n, B)
        Weightings.
    """
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(scores[negative], kind="stable")]
    below = np.zeros((len(negative) + 1, weights.shape[1]))
    np.cumsum(weights[negative], axis=0, out=below[1:])
    left = np.searchsorted(scores[negative], scores[positive], side="left")
    right = np.searchsorted(scores[negative], scores[positive], side="right")
    w = weights[positive]
    wins = (w * (below[left] + below[right])).sum(axis=0) / 2
    return _ratio(wins, w.sum(axis=0) * below[-1])


def class_aucs(s: Weighted) -> np.ndarray:
    """One-vs-rest AUC of each class, shape (K, B); NaN for a class without patients, or the only one."""
    return np.stack([auc(s.proba[:, k], s.codes == k, s.weights) for k in range(s.proba.shape[1])])


def macro_auc(s: Weighted) -> np.ndarray:
    """Mean one-vs-rest AUC over the classes that have patients."""
    return mean_available(class_aucs(s))


def accuracy(s: Weighted) -> np.ndarray:
    """Share of patients whose most probable class is theirs."""
    return _ratio(np.trace(s.confusion), s.total)


def recalls(s: Weighted) -> np.ndarray:
    """Recall of each class, shape (K, B); NaN for a class without patients."""
    return _ratio(_diagonal(s.confusion), s.confusion.sum(axis=1))


def precisions(s: Weighted) -> np.ndarray:
    """Precision of each class, shape (K, B); 0 for a class that nobody was given, as in scikit-learn."""
    predicted = s.confusion.sum(axis=0)
    return np.where(predicted > 0, _ratio(_diagonal(s.confusion), predicted), 0.0)


def f1s(s: Weighted) -> np.ndarray:
    """F1 of each class, shape (K, B); NaN for a class without patients."""
    both = s.confusion.sum(axis=0) + s.confusion.sum(axis=1)
    return np.where(s.present, _ratio(2 * _diagonal(s.confusion), both), np.nan)


def balanced_accuracy(s: Weighted) -> np.ndarray:
    """Mean recall over the classes that have patients."""
    return mean_available(recalls(s))


def macro_f1(s: Weighted) -> np.ndarray:
    """Mean F1 over the classes that have patients."""
    return mean_available(f1s(s))


def quadratic_kappa(s: Weighted) -> np.ndarray:
    """Cohen's kappa with quadratic weights: classes count as equally spaced; NaN if all are in one cell."""
    k = len(s.confusion)
    cost = (np.subtract.outer(np.arange(k), np.arange(k)) ** 2)[:, :, None]
    chance = s.confusion.sum(axis=1)[:, None] * s.confusion.sum(axis=0)[None]
    expected = _ratio((cost * chance).sum(axis=(0, 1)), s.total)
    return 1 - _ratio((cost * s.confusion).sum(axis=(0, 1)), expected)


def brier(s: Weighted) -> np.ndarray:
    """Multiclass Brier score, the squared error summed over classes: 0 is best, 2 worst (Brier 1950)."""
    truth = np.eye(s.proba.shape[1])[s.codes]
    return s.mean(((s.proba - truth) ** 2).sum(axis=1))


def log_loss(s: Weighted) -> np.ndarray:
    """Cross-entropy in nats; probabilities are kept above the smallest relative float64."""
    eps = np.finfo(float).eps
    return s.mean(-np.log(np.clip(s.proba[np.arange(len(s.codes)), s.codes], eps, 1 - eps)))


def ece(s: Weighted, bins: int = 10) -> np.ndarray:
    """Expected calibration error of the most probable class, in bins of equal mass (Nixon 2019); 0 to 1."""
    confidence, correct = s.proba.max(axis=1), s.proba.argmax(axis=1) == s.codes
    member = np.eye(bins)[confidence_bins(confidence, bins)]
    gap = member.T @ (s.weights * (correct - confidence)[:, None])
    return _ratio(np.abs(gap).sum(axis=0), s.total)


def confidence_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each value, shape (n,): bins of equal mass, equal values in the same one."""
    edges = np.quantile(confidence, np.arange(1, bins) / bins)
    return np.searchsorted(edges, confidence, side="left")


METRICS: dict[str, Callable[[Weighted], np.ndarray]] = {
    "macro_auc": macro_auc,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "quadratic_kappa": quadratic_kappa,
    "brier": brier,
    "log_loss": log_loss,
    "ece": ece,
}
LOWER_IS_BETTER = ("brier", "log_loss", "ece")


def _diagonal(confusion: np.ndarray) -> np.ndarray:
    return np.einsum("kkb->kb", confusion)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)
