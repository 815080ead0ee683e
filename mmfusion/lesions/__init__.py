"""Lesions: the estimator that segments them, segmentation from one click, and the writers of masks."""

from mmfusion.lesions.click import (
    LesionMask,
    SegmentedCohort,
    segment_cohort,
    segment_lesion,
    segment_lesions,
    write_lesions,
)
from mmfusion.lesions.expression_segmenter import ExpressionSegmenter
from mmfusion.lesions.postprocess import clean_mask
from mmfusion.lesions.segmenter import LesionSegmenter
from mmfusion.lesions.writing import write_mask

__all__ = [
    "ExpressionSegmenter",
    "LesionMask",
    "LesionSegmenter",
    "SegmentedCohort",
    "clean_mask",
    "segment_cohort",
    "segment_lesion",
    "segment_lesions",
    "write_lesions",
    "write_mask",
]
