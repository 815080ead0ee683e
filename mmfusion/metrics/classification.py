"""Metrics of predicted class probabilities on one test set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.metrics import weighted
from mmfusion.metrics.checks import check_probabilities, encode_labels
from mmfusion.metrics.weighted import METRICS, Weighted


def judge(y_true: Sequence[object], proba: object, classes: Sequence[object]) -> Weighted:
    """Check predictions and give every patient a weight of 1.

    The result is the input of the functions of `mmfusion.metrics.weighted`.

    Parameters
    ----------
    y_true : sequence, shape (n,)
        True classes.
    proba : array-like, shape (n, K)
        Probabilities. The columns are in the order of `classes`.
    classes : sequence, shape (K,)
        All classes.

    Raises
    ------
    DataError
        If a label is not a class, or if a row of `proba` is not a distribution.

    Examples
    --------
    >>> judge(["I", "II"], [[0.9, 0.1], [0.6, 0.4]], ["I", "II"]).confusion[:, :, 0].tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    codes = encode_labels(y_true, classes)
    return Weighted(codes, check_probabilities(proba, len(codes), len(classes)), np.ones((len(codes), 1)))


def macro_auc(y_true: Sequence[object], proba: object, classes: Sequence[object]) -> float:
    """Return the macro-averaged one-vs-rest AUC, 0 to 1.

    Classes that are absent from `y_true` are left out. The result is NaN if only one class is left.

    Parameters
    ----------
    y_true : sequence, shape (n,)
        True classes.
    proba : array-like, shape (n, K)
        Probabilities. The columns are in the order of `classes`.
    classes : sequence, shape (K,)
        All classes.

    Raises
    ------
    DataError
        If a label is not a class, or if a row of `proba` is not a distribution.

    Examples
    --------
    >>> macro_auc(["I", "II", "I"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["I", "II"])
    1.0
    """
    return float(weighted.macro_auc(judge(y_true, proba, classes))[0])


def classification_metrics(
    y_true: Sequence[object], proba: object, classes: Sequence[object]
) -> dict[str, object]:
    """Return all metrics of a classifier's probabilities.

    Parameters
    ----------
    y_true : sequence, shape (n,)
        True classes.
    proba : array-like, shape (n, K)
        Probabilities. The columns are in the order of `classes`. The most probable class is the prediction.
    classes : sequence, shape (K,)
        All classes, in order of severity. Kappa uses this order.

    Returns
    -------
    dict
        `macro_auc`, `accuracy`, `balanced_accuracy`, `macro_f1`, `quadratic_kappa`, `brier` (0 to 2),
        `log_loss` (nats), `ece` (10 bins of equal mass). `per_class`: n, auc, precision, recall, f1 of each
        class; NaN where a value is not defined. `confusion`: number of patients, shape (K, K); rows are true
        classes and columns are predicted classes. `n`: number of patients. `absent`: classes without
        patients; all macro averages leave them out.

    Raises
    ------
    DataError
        If a label is not a class, or if a row of `proba` is not a distribution.

    Examples
    --------
    >>> metrics = classification_metrics(["I", "II"], [[0.9, 0.1], [0.6, 0.4]], ["I", "II"])
    >>> metrics["accuracy"], metrics["confusion"]
    (0.5, [[1, 0], [1, 0]])
    """
    s = judge(y_true, proba, classes)
    names = [str(c) for c in classes]
    counts = s.confusion[:, :, 0].astype(int)
    columns = {
        "n": counts.sum(axis=1),
        "auc": weighted.class_aucs(s)[:, 0],
        "precision": weighted.precisions(s)[:, 0],
        "recall": weighted.recalls(s)[:, 0],
        "f1": weighted.f1s(s)[:, 0],
    }
    per_class = {c: {key: v[i].item() for key, v in columns.items()} for i, c in enumerate(names)}
    return {
        **{name: float(metric(s)[0]) for name, metric in METRICS.items()},
        "per_class": per_class,
        "confusion": counts.tolist(),
        "n": len(s.codes),
        "absent": [c for c, n in zip(names, columns["n"], strict=True) if n == 0],
    }
