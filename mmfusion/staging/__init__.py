"""Staging: the multimodal classifier, and the staging of one patient."""

from mmfusion.staging.classifier import StageClassifier
from mmfusion.staging.prediction import StagePrediction

__all__ = ["StageClassifier", "StagePrediction"]
