"""Metrics, intervals and paired tests, implemented once for all systems."""

from mmfusion.metrics.classification import classification_metrics, macro_auc
from mmfusion.metrics.folds import fold_scores, score_table, scores_by_group
from mmfusion.metrics.intervals import bootstrap_metrics
from mmfusion.metrics.paired import minimum_detectable_difference, paired_difference, paired_table
from mmfusion.metrics.regression import regression_metrics, regression_table, target_table
from mmfusion.metrics.segmentation import mask_scores, segmentation_table
from mmfusion.metrics.significance import corrected_t_test, delong, holm, wilcoxon
from mmfusion.metrics.simultaneous import holm_intervals
from mmfusion.metrics.weighted import LOWER_IS_BETTER, METRICS

__all__ = [
    "LOWER_IS_BETTER",
    "METRICS",
    "bootstrap_metrics",
    "classification_metrics",
    "corrected_t_test",
    "delong",
    "fold_scores",
    "holm",
    "holm_intervals",
    "macro_auc",
    "mask_scores",
    "minimum_detectable_difference",
    "paired_difference",
    "paired_table",
    "regression_metrics",
    "regression_table",
    "score_table",
    "scores_by_group",
    "segmentation_table",
    "target_table",
    "wilcoxon",
]
