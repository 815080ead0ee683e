"""Lesions: the estimator that segments them, and the writers of its masks."""

from mmfusion.lesions.expression_segmenter import ExpressionSegmenter
from mmfusion.lesions.postprocess import clean_mask
from mmfusion.lesions.segmenter import LesionSegmenter
from mmfusion.lesions.writing import write_mask

__all__ = ["ExpressionSegmenter", "LesionSegmenter", "clean_mask", "write_mask"]
