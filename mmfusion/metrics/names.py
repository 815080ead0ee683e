"""Names of metrics for text and figures."""

from __future__ import annotations

_KNOWN = {
    "auc": "AUC",
    "macro_auc": "macro-AUC",
    "macro_f1": "macro-F1",
    "ece": "ECE",
    "brier": "Brier score",
}


def metric_title(metric: str) -> str:
    """Return the name of a metric for text and figures, such as "macro-AUC".

    Parameters
    ----------
    metric : str
        Name in code.

    Examples
    --------
    >>> metric_title("macro_auc"), metric_title("balanced_accuracy"), metric_title("ece")
    ('macro-AUC', 'balanced accuracy', 'ECE')
    """
    return _KNOWN.get(metric, metric.replace("_", " "))
