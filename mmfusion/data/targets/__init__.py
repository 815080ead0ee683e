"""Targets: the labels that can be predicted, and the columns that must not be inputs.

Importing this package registers the targets.
"""

from mmfusion.data.targets import stage, molecular, expression, signatures, lesion  # isort: skip  # in the order of `list_targets`
from mmfusion.data.targets.base import Target, get_target, list_targets, register_target

__all__ = [
    "Target",
    "expression",
    "get_target",
    "lesion",
    "list_targets",
    "molecular",
    "register_target",
    "signatures",
    "stage",
]
