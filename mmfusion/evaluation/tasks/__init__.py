"""Tasks: ways to predict, score and compare, one for each kind of target."""

from __future__ import annotations

from mmfusion.data.cohort import Cohort
from mmfusion.evaluation.tasks.base import Task
from mmfusion.evaluation.tasks.classification import ClassificationTask
from mmfusion.evaluation.tasks.regression import RegressionTask
from mmfusion.evaluation.tasks.segmentation import SegmentationTask

# kind of target -> task
TASKS: dict[str, type[Task]] = {
    "ordinal": ClassificationTask,
    "nominal": ClassificationTask,
    "binary": ClassificationTask,
    "vector": RegressionTask,
    "mask": SegmentationTask,
}

__all__ = ["TASKS", "ClassificationTask", "RegressionTask", "SegmentationTask", "Task", "task_for"]


def task_for(cohort: Cohort) -> Task:
    """Return the task of a cohort's target; `TASKS` maps the kind of a target to its task."""
    return TASKS[cohort.target_spec.kind].of(cohort)
