"""Tasks: how a fold is predicted, scored and compared for a kind of target."""

from __future__ import annotations

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
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
    """Return the task of a cohort's target, by the target's kind; a cohort that names no kind has classes.

    Raises
    ------
    DataError
        If there is no task for the kind.
    """
    kind = getattr(getattr(cohort, "target_spec", None), "kind", "nominal")
    if kind not in TASKS:
        raise DataError("no task for this kind of target", got=kind, expected=", ".join(TASKS))
    return TASKS[kind].of(cohort)
