"""Segment a lesion from one click, a box or a line, with its measures."""

from mmfusion.lesions.click.batch import SegmentedCohort, segment_cohort
from mmfusion.lesions.click.files import write_lesions
from mmfusion.lesions.click.result import LesionMask
from mmfusion.lesions.click.segment import segment_lesion, segment_lesions

__all__ = [
    "LesionMask",
    "SegmentedCohort",
    "segment_cohort",
    "segment_lesion",
    "segment_lesions",
    "write_lesions",
]
