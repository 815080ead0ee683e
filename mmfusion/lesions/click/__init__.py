"""Segment a lesion from one click, a box or a line, with its measures."""

from typing import TYPE_CHECKING

from mmfusion.lazy import lazy
from mmfusion.lesions.click.batch import SegmentedCohort, segment_cohort
from mmfusion.lesions.click.files import write_lesions
from mmfusion.lesions.click.result import LesionMask
from mmfusion.lesions.click.segment import segment_lesion, segment_lesions

__all__ = [
    "LesionClick",
    "LesionMask",
    "SegmentedCohort",
    "click_lesion",
    "segment_cohort",
    "segment_lesion",
    "segment_lesions",
    "write_lesions",
]

# the code of the viewer is loaded on first use
__getattr__, __dir__ = lazy(__name__, {"LesionClick": "interactive", "click_lesion": "interactive"})

if TYPE_CHECKING:
    from mmfusion.lesions.click.interactive import LesionClick, click_lesion
