"""Metrics, intervals and paired tests, implemented once for all systems."""

from mmfusion.metrics.calibration_band import CalibrationBand, ece_band
from mmfusion.metrics.classification import classification_metrics, macro_auc
from mmfusion.metrics.decision_curve import decision_curve, ordinal_cuts
from mmfusion.metrics.detection import detection_scores, lesion_table
from mmfusion.metrics.folds import fold_scores, score_table, scores_by_group
from mmfusion.metrics.groups import scores_by, size_groups
from mmfusion.metrics.intervals import bootstrap_metrics
from mmfusion.metrics.judged import widened_score
from mmfusion.metrics.ordered import class_table, ordered_table
from mmfusion.metrics.paired import minimum_detectable_difference, paired_difference, paired_table
from mmfusion.metrics.ranked import wilcoxon_table
from mmfusion.metrics.regression import (
    REGRESSION_LOWER_IS_BETTER,
    regression_metrics,
    regression_table,
    target_table,
)
from mmfusion.metrics.reliability import intraclass_correlation
from mmfusion.metrics.segmentation import SEGMENTATION_LOWER_IS_BETTER, mask_scores, segmentation_table
from mmfusion.metrics.selective import Selective, selective_prediction
from mmfusion.metrics.significance import corrected_t_test, delong, holm, wilcoxon
from mmfusion.metrics.simultaneous import holm_intervals
from mmfusion.metrics.slices import (
    dice_by_position,
    positions_of_scores,
    slice_mean_dice,
    slice_scores,
    slice_table,
)
from mmfusion.metrics.weighted import LOWER_IS_BETTER as _CLASSES_LOWER_IS_BETTER
from mmfusion.metrics.weighted import METRICS

LOWER_IS_BETTER = (*_CLASSES_LOWER_IS_BETTER, *REGRESSION_LOWER_IS_BETTER, *SEGMENTATION_LOWER_IS_BETTER)

__all__ = [
    "LOWER_IS_BETTER",
    "METRICS",
    "CalibrationBand",
    "Selective",
    "bootstrap_metrics",
    "class_table",
    "classification_metrics",
    "corrected_t_test",
    "decision_curve",
    "delong",
    "detection_scores",
    "dice_by_position",
    "ece_band",
    "fold_scores",
    "holm",
    "holm_intervals",
    "intraclass_correlation",
    "lesion_table",
    "macro_auc",
    "mask_scores",
    "minimum_detectable_difference",
    "ordered_table",
    "ordinal_cuts",
    "paired_difference",
    "paired_table",
    "positions_of_scores",
    "regression_metrics",
    "regression_table",
    "score_table",
    "scores_by",
    "scores_by_group",
    "segmentation_table",
    "selective_prediction",
    "size_groups",
    "slice_mean_dice",
    "slice_scores",
    "slice_table",
    "target_table",
    "widened_score",
    "wilcoxon",
    "wilcoxon_table",
]
