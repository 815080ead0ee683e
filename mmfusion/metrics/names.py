"""Names of metrics for text and figures."""

from __future__ import annotations

_KNOWN = {
    "auc": "AUC",
    "auc_patients": "AUC of patients",
    "auc_slices": "AUC of slices",
    "auc_expected": "expected AUC",
    "macro_auc": "macro-AUC",
    "macro_f1": "macro-F1",
    "ece": "ECE",
    "brier": "Brier score, 0 to 2",
    "dice": "Dice per patient",
    "dice_pooled": "pooled Dice",
    "dice_slices": "mean Dice of slices",
    "dice_end": "Dice of the end slices",
    "dice_1_from_end": "Dice of slices 1 from the end",
    "dice_2_from_end": "Dice of slices 2 from the end",
    "dice_central": "Dice of the central slices",
    "slices_outside": "marked slices outside the lesion",
    "iou": "IoU",
    "hd95": "HD95, mm",
    "assd": "mean surface distance, mm",
    "lesion_sensitivity_pooled": "lesion-wise sensitivity",
    "false_lesions": "false positives per scan",
    "fn_ml": "false-negative volume per scan, mL",
    "fp_ml": "false-positive volume per scan, mL",
    "one_empty_pooled": "patients with one empty mask",
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
    >>> metric_title("dice"), metric_title("dice_pooled")  # two numbers that papers call Dice
    ('Dice per patient', 'pooled Dice')
    """
    return _KNOWN.get(metric, metric.replace("_", " "))
