"""Evaluation that cannot leak: nested cross-validation, baselines, external validation."""

from mmfusion.evaluation.baselines import forest, ridge, standard_baselines
from mmfusion.evaluation.external import external_validation
from mmfusion.evaluation.nested import nested_cv
from mmfusion.evaluation.result import NestedResult

__all__ = [
    "NestedResult",
    "external_validation",
    "forest",
    "nested_cv",
    "ridge",
    "standard_baselines",
]
