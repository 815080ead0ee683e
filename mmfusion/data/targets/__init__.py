"""What can be predicted, and which columns may not be read to predict it.

Importing this package registers the targets.
"""

from mmfusion.data.targets import stage, molecular, expression, lesion  # isort: skip  # the order of `list_targets`
from mmfusion.data.targets.base import Target, get_target, list_targets, register_target

__all__ = [
    "Target",
    "expression",
    "get_target",
    "lesion",
    "list_targets",
    "molecular",
    "register_target",
    "stage",
]
