"""All metrics, for many weightings of the same patients at once.

If all weights are 1, the result is the metric. If the weights are counts of draws, it is a bootstrap
replicate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


def mean_available(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the mean of the finite values along `axis`; NaN if there are none.

    >>> mean_available(np.array([1.0, np.nan, 3.0])).item()
    2.0
    """
    finite = np.isfinite(values)
    return _ratio(np.where(finite, values, 0.0).sum(axis), finite.sum(axis).astype(float))


@dataclass(frozen=True, eq=False)
class Weighted:
    """Predictions of one test set, with B weightings of its patients.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        True classes.
    proba : ndarray, shape (n, K)
        Predicted probabilities.
    weights : ndarray, shape (n, B)
        One row per patient, one column per weighting. A column of ones gives the plain metric.
    decided : ndarray of int, shape (n,), optional
        Classes that the model decided on. Default: the most probable classes.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[1, 2], [1, 0]]))
    >>> test.total.tolist(), accuracy(test).tolist()  # the second weighting draws the first patient twice
    ([2, 2], [0.5, 1.0])
    """

    codes: np.ndarray
    proba: np.ndarray
    weights: np.ndarray
    decided: np.ndarray | None = None

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of weights, shape (B,)."""
        return self.weights.sum(axis=0)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Weight of each (true, predicted) pair, shape (K, K, B)."""
        k = self.proba.shape[1]
        decided = self.proba.argmax(axis=1) if self.decided is None else self.decided
        cell = self.codes * k + decided
        return (np.eye(k * k)[cell].T @ self.weights).reshape(k, k, -1)

    @cached_property
    def present(self) -> np.ndarray:
        """Mask of the classes whose patients have a weight above 0, shape (K, B)."""
        return self.confusion.sum(axis=1) > 0

    def mean(self, loss: np.ndarray) -> np.ndarray:
        """Return the weighted mean of a value per patient, shape (B,)."""
        return _ratio(loss @ self.weights, self.total)


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve, shape (B,), in which a tie counts one half.

    NaN where there are no positives or no negatives.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        A higher score makes the positive class more likely.
    positive : ndarray of bool, shape (n,)
        True for positive patients.
    weights : ndarray, shape (n, B)
        Weightings of the patients.

    Examples
    --------
    >>> positive = np.array([False, False, True, True])
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), positive, np.ones((4, 1))).tolist()
    [0.75]
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
    """Return the one-vs-rest AUC of each class, shape (K, B); NaN if it has no patients or all of them.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones((2, 1)))
    >>> class_aucs(test).tolist()
    [[1.0], [1.0]]
    """
    return np.stack([auc(s.proba[:, k], s.codes == k, s.weights) for k in range(s.proba.shape[1])])


def macro_auc(s: Weighted) -> np.ndarray:
    """Return the mean one-vs-rest AUC over the classes that have patients, shape (B,), 0 to 1.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones((2, 1)))
    >>> macro_auc(test).tolist()
    [1.0]
    """
    return mean_available(class_aucs(s))


def accuracy(s: Weighted) -> np.ndarray:
    """Return the share of patients for whom the decided class is the true class, shape (B,), 0 to 1.

    >>> accuracy(Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones((2, 1)))).tolist()
    [0.5]
    """
    return _ratio(np.trace(s.confusion), s.total)


def recalls(s: Weighted) -> np.ndarray:
    """Return the recall of each class, shape (K, B); NaN for a class without patients.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones((2, 1)))
    >>> recalls(test).tolist()
    [[1.0], [0.0]]
    """
    return _ratio(_diagonal(s.confusion), s.confusion.sum(axis=1))


def precisions(s: Weighted) -> np.ndarray:
    """Return the precision of each class, shape (K, B); 0 if it is never predicted, as in scikit-learn.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones((2, 1)))
    >>> precisions(test).tolist()
    [[0.5], [0.0]]
    """
    predicted = s.confusion.sum(axis=0)
    return np.where(predicted > 0, _ratio(_diagonal(s.confusion), predicted), 0.0)


def f1s(s: Weighted) -> np.ndarray:
    """Return the F1 of each class, shape (K, B); NaN for a class without patients.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones((2, 1)))
    >>> f1s(test).round(3).tolist()
    [[0.667], [0.0]]
    """
    both = s.confusion.sum(axis=0) + s.confusion.sum(axis=1)
    return np.where(s.present, _ratio(2 * _diagonal(s.confusion), both), np.nan)


def balanced_accuracy(s: Weighted) -> np.ndarray:
    """Return the mean recall over the classes that have patients, shape (B,), 0 to 1.

    Examples
    --------
    >>> test = Weighted(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]), np.ones((3, 1)))
    >>> balanced_accuracy(test).tolist()
    [0.5]
    """
    return mean_available(recalls(s))


def macro_f1(s: Weighted) -> np.ndarray:
    """Return the mean F1 over the classes that have patients, shape (B,), 0 to 1.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), np.ones((2, 1)))
    >>> macro_f1(test).round(3).tolist()
    [0.333]
    """
    return mean_available(f1s(s))


def quadratic_kappa(s: Weighted) -> np.ndarray:
    """Return Cohen's kappa with quadratic weights, shape (B,), -1 to 1.

    The classes are treated as equally spaced. NaN if all patients are in one cell of the confusion matrix.

    Examples
    --------
    >>> test = Weighted(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), np.ones((2, 1)))
    >>> quadratic_kappa(test).tolist()
    [1.0]
    """
    k = len(s.confusion)
    cost = (np.subtract.outer(np.arange(k), np.arange(k)) ** 2)[:, :, None]
    chance = s.confusion.sum(axis=1)[:, None] * s.confusion.sum(axis=0)[None]
    expected = _ratio((cost * chance).sum(axis=(0, 1)), s.total)
    return 1 - _ratio((cost * s.confusion).sum(axis=(0, 1)), expected)


def brier(s: Weighted) -> np.ndarray:
    """Return the multiclass Brier score, shape (B,).

    It is the squared error summed over classes: 0 is best, 2 is worst (Brier 1950, Monthly Weather Review
    78(1)). For two classes, many packages give half of it, from 0 to 1: `sklearn.metrics.brier_score_loss`
    counts the error of one class only. A model that ignores the inputs and predicts the shares q_k of the
    classes has 1 minus the sum of q_k squared.

    >>> brier(Weighted(np.array([0]), np.array([[0.5, 0.5]]), np.ones((1, 1)))).tolist()
    [0.5]
    """
    truth = np.eye(s.proba.shape[1])[s.codes]
    return s.mean(((s.proba - truth) ** 2).sum(axis=1))


def log_loss(s: Weighted) -> np.ndarray:
    """Return the cross-entropy in nats, shape (B,); probabilities are clipped to [eps, 1 - eps].

    Examples
    --------
    >>> log_loss(Weighted(np.array([0]), np.array([[0.5, 0.5]]), np.ones((1, 1)))).round(3).tolist()
    [0.693]
    """
    eps = np.finfo(float).eps
    return s.mean(-np.log(np.clip(s.proba[np.arange(len(s.codes)), s.codes], eps, 1 - eps)))


def ece(s: Weighted, bins: int = 10) -> np.ndarray:
    """Return the expected calibration error of the most probable class, shape (B,), 0 to 1.

    Each bin holds the same number of predictions (Nixon et al. 2019, CVPR Workshops).

    Examples
    --------
    >>> test = Weighted(np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.ones((2, 1)))
    >>> ece(test, bins=1).round(3).tolist()  # mean confidence 0.85, accuracy 1
    [0.15]
    """
    confidence, correct = s.proba.max(axis=1), s.proba.argmax(axis=1) == s.codes
    member = np.eye(bins)[confidence_bins(confidence, bins)]
    gap = member.T @ (s.weights * (correct - confidence)[:, None])
    return _ratio(np.abs(gap).sum(axis=0), s.total)


def confidence_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each value, shape (n,); bins hold equal numbers, and equal values share a bin.

    >>> confidence_bins(np.array([0.5, 0.6, 0.9, 0.9]), 2).tolist()
    [0, 0, 1, 1]
    """
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
BIASED = ("ece",)  # resampling biases them upwards, so that they have no interval
# metrics that depend on the shares of the classes among the patients
OF_SHARES = ("accuracy", "macro_f1", "quadratic_kappa", "brier", "log_loss", "ece")


def _diagonal(confusion: np.ndarray) -> np.ndarray:
    return np.einsum("kkb->kb", confusion)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)
