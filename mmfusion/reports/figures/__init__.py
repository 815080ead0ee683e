"""Figures of the reports: each function returns a matplotlib figure, and leaves no trace in global state."""

from mmfusion.reports.figures.attribution import gene_bars, gene_beeswarm, gene_null, modality_contributions
from mmfusion.reports.figures.cohort import cohort_overview
from mmfusion.reports.figures.comparison import (
    by_presence,
    learning_curve,
    modality_ablation,
    model_comparison,
    paired_differences,
)
from mmfusion.reports.figures.curves import reliability, roc
from mmfusion.reports.figures.folds import (
    class_probabilities,
    confusions,
    cv_vs_external,
    hyperparameters,
    learning_curves,
)
from mmfusion.reports.figures.harmonisation import site_effects
from mmfusion.reports.figures.patient import patient_probabilities
from mmfusion.reports.figures.restoration import restoration_panel
from mmfusion.reports.figures.scans import gradcam_montage, scan_slices
from mmfusion.reports.figures.survey import scan_survey

__all__ = [
    "by_presence",
    "class_probabilities",
    "cohort_overview",
    "confusions",
    "cv_vs_external",
    "gene_bars",
    "gene_beeswarm",
    "gene_null",
    "gradcam_montage",
    "hyperparameters",
    "learning_curve",
    "learning_curves",
    "modality_ablation",
    "modality_contributions",
    "model_comparison",
    "paired_differences",
    "patient_probabilities",
    "reliability",
    "restoration_panel",
    "roc",
    "scan_slices",
    "scan_survey",
    "site_effects",
]
