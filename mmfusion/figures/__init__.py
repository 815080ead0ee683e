"""Figures of the reports. Each function returns a matplotlib figure and does not change global state."""

from mmfusion.figures.attribution import (
    gene_bars,
    gene_beeswarm,
    gene_intervals,
    gene_null,
    modality_contributions,
)
from mmfusion.figures.by_class import boxes_by_class, trends
from mmfusion.figures.cohort import cohort_overview
from mmfusion.figures.comparison import (
    by_presence,
    learning_curve,
    modality_ablation,
    model_comparison,
    paired_differences,
)
from mmfusion.figures.correlations import correlation_null
from mmfusion.figures.curves import reliability, roc
from mmfusion.figures.decision import decision_curve, selective_prediction
from mmfusion.figures.folds import (
    class_probabilities,
    confusions,
    cv_vs_external,
    hyperparameters,
    learning_curves,
)
from mmfusion.figures.gradients import gradient_cosines
from mmfusion.figures.harmonisation import site_effects
from mmfusion.figures.leakage import leak_gaps
from mmfusion.figures.lesion_scores import detection_table, lesion_scores, slice_positions
from mmfusion.figures.lesion_sizes import measured_sizes
from mmfusion.figures.lesions import lesion_overlays
from mmfusion.figures.patient import patient_probabilities
from mmfusion.figures.published import dice_against_iou, ranges
from mmfusion.figures.restoration import restoration_panel
from mmfusion.figures.robustness import robustness_curves
from mmfusion.figures.scan_maps import scan_maps
from mmfusion.figures.scans import gradcam_montage, scan_slices
from mmfusion.figures.subgroups import subgroup_forest
from mmfusion.figures.survey import scan_survey

__all__ = [
    "boxes_by_class",
    "by_presence",
    "class_probabilities",
    "cohort_overview",
    "confusions",
    "correlation_null",
    "cv_vs_external",
    "decision_curve",
    "detection_table",
    "dice_against_iou",
    "gene_bars",
    "gene_beeswarm",
    "gene_intervals",
    "gene_null",
    "gradcam_montage",
    "gradient_cosines",
    "hyperparameters",
    "leak_gaps",
    "learning_curve",
    "learning_curves",
    "lesion_overlays",
    "lesion_scores",
    "measured_sizes",
    "modality_ablation",
    "modality_contributions",
    "model_comparison",
    "paired_differences",
    "patient_probabilities",
    "ranges",
    "reliability",
    "restoration_panel",
    "robustness_curves",
    "roc",
    "scan_maps",
    "scan_slices",
    "scan_survey",
    "selective_prediction",
    "site_effects",
    "slice_positions",
    "subgroup_forest",
    "trends",
]
