"""Evaluation that cannot leak: nested cross-validation, baselines, external validation."""

from mmfusion.lazy import lazy

_HOME = {
    "ALWAYS": "outside",
    "FoldEnsemble": "ensemble",
    "FoldResult": "fold_result",
    "NestedResult": "result",
    "external_validation": "external",
    "fit_recalibration": "recalibration",
    "fold_ensemble": "ensemble",
    "forest": "baselines",
    "judge_outside": "outside",
    "nested_cv": "nested",
    "probed": "leakage",
    "ridge": "baselines",
    "standard_baselines": "baselines",
    "task_for": "tasks",
    "transfer_table": "transfer",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
