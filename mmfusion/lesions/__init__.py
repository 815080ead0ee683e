"""Lesions: the estimator that segments them, segmentation from one click, and the writers of masks."""

from typing import TYPE_CHECKING

from mmfusion.lazy import lazy
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
    "LesionClick",
    "LesionMask",
    "LesionSegmenter",
    "SegmentedCohort",
    "clean_mask",
    "click_lesion",
    "segment_cohort",
    "segment_lesion",
    "segment_lesions",
    "write_lesions",
    "write_mask",
]

# the code of the viewer is loaded on first use
__getattr__, __dir__ = lazy(__name__, {"LesionClick": "click", "click_lesion": "click"})

if TYPE_CHECKING:
    from mmfusion.lesions.click import LesionClick, click_lesion
