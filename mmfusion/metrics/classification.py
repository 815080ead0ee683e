"""How good predicted class probabilities are, on one test set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.metrics import weighted
from mmfusion.metrics.checks import check_probabilities, encode_labels
from mmfusion.metrics.weighted import METRICS, Weighted


def judge(y_true: Sequence[object], proba: object, classes: Sequence[object]) -> Weighted:
    """Checked predictions with weights of one: what the functions of `mmfusion.metrics.weighted` read.

    Raises
    ------
    DataError
        On labels that are not classes, or rows of `proba` that are not distributions.
    """
    codes = encode_labels(y_true, classes)
    return Weighted(codes, check_probabilities(proba, len(codes), len(classes)), np.ones((len(codes), 1)))


def macro_auc(y_true: Sequence[object], proba: object, classes: Sequence[object]) -> float:
    """Macro-averaged one-vs-rest AUC; classes absent from `y_true` are left out, NaN if only one is left.

    Parameters
    ----------
    y_true : sequence, shape (n,)
        True classes.
    proba : array-like, shape (n, K)
        Probabilities, columns in the order of `classes`.
    classes : sequence, shape (K,)
        All classes.

    Raises
    ------
    DataError
        On labels that are not classes, or rows of `proba` that are not distributions.
    """
    return float(weighted.macro_auc(judge(y_true, proba, classes))[0])


def classification_metrics(
    y_true: Sequence[object], proba: object, classes: Sequence[object]
) -> dict[str, object]:
    """Every metric of a classifier's probabilities.

    Parameters
    ----------
    y_true : sequence, shape (n,)
        True classes.
    proba : array-like, shape (n, K)
        Probabilities, columns in the order of `classes`. The most probable class is the prediction.
    classes : sequence, shape (K,)
        All classes, in order of severity (kappa reads the order).

    Returns
    -------
    dict
        macro_auc, accuracy, balanced_accuracy, macro_f1, quadratic_kappa, brier (0 to 2), log_loss
        (nats), ece (10 bins of equal mass); `per_class`: n, auc, precision, recall, f1 by class (NaN where there is no
        such number); `confusion`: counts, rows true, columns predicted; `n`; `absent`: classes that nobody has,
        which all macro averages leave out.

    Raises
    ------
    DataError
        On labels that are not classes, or rows of `proba` that are not distributions.
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
