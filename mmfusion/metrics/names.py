"""Names of metrics as people write them."""

from __future__ import annotations


def metric_title(metric: str) -> str:
    """Return the name of a metric as people write it.

    >>> metric_title("macro_auc"), metric_title("macro_f1"), metric_title("ece")
    ('macro AUC', 'macro F1', 'ECE')
    """
    return metric.replace("_", " ").replace("auc", "AUC").replace("f1", "F1").replace("ece", "ECE")
