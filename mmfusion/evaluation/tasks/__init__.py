"""Tasks: ways to predict, score and compare, one for each kind of target."""

from __future__ import annotations

import pandas as pd

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

__all__ = [
    "TASKS",
    "ClassificationTask",
    "RegressionTask",
    "SegmentationTask",
    "Task",
    "check_classes",
    "check_cohort",
    "task_for",
    "task_of",
]


def task_for(cohort: Cohort) -> Task:
    """Return the task of a cohort's target; `TASKS` maps the kind of a target to its task.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB"]}, index=ids)
    >>> task_for(Cohort("example", table, outcomes, "stage2"))
    ClassificationTask(classes=('I', 'II-IV'))
    """
    return TASKS[cohort.target_spec.kind].of(cohort)


def check_cohort(value: object, name: str = "cohort") -> None:
    """Raise a `DataError` if the parameter `name` is no cohort.

    Examples
    --------
    >>> check_cohort("demo", "one")
    Traceback (most recent call last):
    mmfusion.errors.DataError: parameter one: not a cohort (expected a Cohort, from mf.load_cohort; got str)
    """
    if not isinstance(value, Cohort):
        expected, got = "a Cohort, from mf.load_cohort", type(value).__name__
        raise DataError("not a cohort", parameter=name, expected=expected, got=got)


def check_classes(task: Task, target: str, problem: str) -> None:
    """Raise a `DataError` if a task predicts no classes.

    Parameters
    ----------
    task : Task
        Task of the cohort or of the result.
    target : str
        Name of the target.
    problem : str
        What is not possible without classes.

    Examples
    --------
    >>> check_classes(ClassificationTask(("I", "II")), "stage2", "robustness is measured for classes")
    >>> check_classes(RegressionTask(("EGFR",)), "panel", "robustness is measured for classes")
    Traceback (most recent call last):
    mmfusion.errors.DataError: robustness is measured for classes (expected a target with classes; got panel)
    """
    if not hasattr(task, "classes"):
        raise DataError(problem, expected="a target with classes", got=target)


def task_of(predictions: pd.DataFrame) -> Task:
    """Return the task that made a table of predictions, by its columns.

    Parameters
    ----------
    predictions : DataFrame
        As in `NestedResult.predictions`. The order of the columns is the order of the classes.

    Examples
    --------
    >>> task_of(pd.DataFrame({"y_true": ["I"], "p_I": [0.75], "p_II": [0.25]}))
    ClassificationTask(classes=('I', 'II'))
    """
    columns = [str(c) for c in predictions]
    if "y_true" in columns:
        return ClassificationTask(tuple(c.removeprefix("p_") for c in columns if c.startswith("p_")))
    if names := [c.removeprefix("pred_") for c in columns if c.startswith("pred_")]:
        return RegressionTask(tuple(names))
    return SegmentationTask()
