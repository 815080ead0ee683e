"""Evaluation that cannot leak: nested cross-validation, baselines, external validation."""

from mmfusion.lazy import lazy

_HOME = {
    "FoldResult": "fold_result",
    "NestedResult": "result",
    "external_validation": "external",
    "forest": "baselines",
    "nested_cv": "nested",
    "probed": "leakage",
    "ridge": "baselines",
    "standard_baselines": "baselines",
    "task_for": "tasks",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
