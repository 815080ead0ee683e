"""Evaluation that cannot leak: nested cross-validation, baselines, external validation."""

from mmfusion.lazy import lazy

_HOME = {
    "ALWAYS": "external_comparison",
    "FoldEnsemble": "ensemble",
    "FoldResult": "fold_result",
    "NestedResult": "result",
    "check_perturbations": "perturbed",
    "external_validation": "external",
    "fit_recalibration": "recalibration",
    "fold_ensemble": "ensemble",
    "forest": "baselines",
    "judge_outside": "external_comparison",
    "nested_cv": "nested",
    "patient_groups": "grouping",
    "presence_groups": "grouping",
    "probed": "leakage",
    "PERTURBATIONS": "perturbations",
    "Revalidation": "revalidation",
    "revalidate": "revalidation",
    "ridge": "baselines",
    "robustness": "perturbed",
    "standard_baselines": "baselines",
    "Subgroups": "by_subgroup",
    "subgroups": "by_subgroup",
    "task_for": "tasks",
    "transfer_table": "transfer",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME, ("leakage",))
