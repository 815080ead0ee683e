"""Result of a nested cross-validation: predictions, metrics and intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort, presence
from mmfusion.display import html_card, html_table
from mmfusion.errors import DataError
from mmfusion.evaluation.fold_result import FoldResult
from mmfusion.evaluation.tasks import Task
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.written import unbroken, value_text

_SHOWN = 5  # metrics that a notebook shows


@dataclass(frozen=True, repr=False)
class NestedResult:
    """Out-of-fold predictions of several models on the same patients.

    Parameters
    ----------
    cohort, target : str
        Names of the cohort and of the target.
    task : Task
        Way to score and to compare the models.
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id). Columns: `person`, and the columns of the task. For
        classes: `y_true`, `y_pred` (the class that the model decided on) and `p_<class>`. For vectors:
        `true_<name>` and `pred_<name>`. For masks: the scores.
    folds : list of FoldResult
        Results of all folds: chosen parameters, trials, losses, warnings, seconds.
    main : str
        Name of the model whose parameters were searched.
    present : DataFrame of bool, index patient_id
        One column per modality; True if the patient has it.
    settings : mapping
        Settings of the cross-validation.
    seconds : float
        Wall-clock time, s.
    of_fewer : DataFrame
        As `predictions`, for models that were fitted on a share of the training rows. The column
        `train_fraction` has the share.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from mmfusion.evaluation import nested_cv
    >>> ids = pd.Index([f"p{i}" for i in range(8)], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [50.0 + i for i in range(8)]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB"] * 4}, index=ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    >>> result = nested_cv(DummyClassifier(), cohort, **options)
    >>> result.models, result.classes, result.n
    (['DummyClassifier'], ('I', 'II-IV'), 8)
    """

    cohort: str
    target: str
    task: Task
    predictions: pd.DataFrame
    folds: Sequence[FoldResult]
    main: str
    present: pd.DataFrame
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    of_fewer: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def from_folds(
        cls,
        folds: Sequence[FoldResult],
        cohort: Cohort,
        task: Task,
        *,
        main: str,
        settings: Mapping[str, object],
        seconds: float,
    ) -> NestedResult:
        """Collect the results of the folds; their order does not depend on which fold ended first."""
        order = list(dict.fromkeys(sorted((f.model for f in folds), key=lambda m: m != main)))
        folds = sorted(folds, key=lambda f: (order.index(f.model), f.model, f.repeat, f.fold))
        everything = pd.concat([_rows(task, f) for f in folds], ignore_index=True)
        whole = everything["train_fraction"] == 1
        return cls(
            cohort=cohort.name,
            target=cohort.target,
            task=task,
            predictions=everything[whole].drop(columns="train_fraction").reset_index(drop=True),
            of_fewer=everything[~whole].reset_index(drop=True),
            folds=folds,
            main=main,
            present=presence(cohort.X),
            settings=settings,
            seconds=seconds,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in order of severity; empty if the target has no classes."""
        return getattr(self.task, "classes", ())

    @property
    def models(self) -> list[str]:
        """Names of the models that were fitted on all training rows; the searched model comes first."""
        return list(self.predictions["model"].unique())

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.present)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Metrics of every model with 95 % intervals over patients; columns (metric, mean | lo | hi)."""
        return self.task.scores(self.of(self.models))

    def paired(self, reference: str | None = None) -> pd.DataFrame:
        """Return differences to `reference` in the primary metric, on the same resamples of patients.

        Parameters
        ----------
        reference : str, optional
            Name of a model. Default: the reference of the task, such as "ridge".

        Raises
        ------
        DataError
            If there is no such model.
        """
        return self.task.differences(self.of(self.models), self._reference(reference))

    def of(self, models: Sequence[str]) -> pd.DataFrame:
        """Return the predictions of these models."""
        return self.predictions[self.predictions["model"].isin(list(models))]

    def params(self) -> pd.DataFrame:
        """Return the parameters that the inner folds of each outer fold chose, one row per outer fold."""
        mine = self._of_main()
        several = len({f.repeat for f in mine}) > 1
        names = [
            f"repeat {f.repeat + 1}, fold {f.fold + 1}" if several else f"fold {f.fold + 1}" for f in mine
        ]
        return pd.DataFrame([f.params for f in mine], index=names)

    def typical_params(self) -> dict[str, object]:
        """Return parameters for a final model: of floats the median over the folds, of others the mode."""
        typical = {}
        for name in self.params():
            values = [f.params[name] for f in self._of_main()]
            if all(isinstance(v, float) for v in values):
                typical[name] = float(np.median(values))
            else:
                count = Counter(map(repr, values))
                typical[name] = max(values, key=lambda v: count[repr(v)])
        return typical

    def trials(self) -> pd.DataFrame:
        """Return all Optuna trials: repeat, fold, score on the inner folds (`value`) and parameters."""
        return pd.DataFrame(
            [{"repeat": f.repeat, "fold": f.fold, **t} for f in self._of_main() for t in f.trials]
        )

    def histories(self) -> pd.DataFrame:
        """Return the training and validation losses of the main model by fold, member and epoch."""
        rows = [
            {"repeat": f.repeat, "fold": f.fold, "member": m, **epoch}
            for f in self._of_main()
            for m, history in enumerate(f.history)
            for epoch in history
        ]
        return pd.DataFrame(rows)

    def bundles(self, model: str | None = None) -> dict[tuple[int, int], Path]:
        """Return the folder of each outer fold's saved model, by (repeat, fold); empty if none was saved.

        Parameters
        ----------
        model : str, optional
            Name of a model. Default: the main model.
        """
        mine = [f for f in self.folds if f.model == (model or self.main) and f.train_fraction == 1]
        return {(f.repeat, f.fold): Path(f.bundle) for f in mine if f.bundle}

    def learning_curve(self) -> pd.DataFrame:
        """Return the primary metric by model and number of training rows; empty without `learning_curve`.

        Returns
        -------
        DataFrame
            Columns model, n_train (mean number of training rows), mean, lo, hi (95 % interval over patients).
        """
        if self.of_fewer.empty:
            return pd.DataFrame(columns=["model", "n_train", "mean", "lo", "hi"])
        whole = self.of(self.of_fewer["model"].unique())
        parts = []
        for fraction, rows in [*self.of_fewer.groupby("train_fraction"), (1.0, whole)]:
            table = self.task.scores(rows)[self.task.primary].rename_axis("model").reset_index()
            sizes = [(f.model, f.n_train) for f in self.folds if f.train_fraction == fraction]
            n_train = pd.DataFrame(sizes, columns=["model", "n"]).groupby("model")["n"].mean()
            parts.append(table.assign(n_train=table["model"].map(n_train)))
        return pd.concat(parts).sort_values(["model", "n_train"]).reset_index(drop=True)

    def warnings(self) -> pd.Series:
        """Return the number of folds in which each warning was given."""
        return pd.Series([w for f in self.folds for w in f.warnings], dtype=str).value_counts()

    def inputs(self) -> dict[str, tuple[str, ...]]:
        """Return the modalities that each model reads, by name of the model."""
        return {f.model: f.inputs for f in self.folds}

    def detectable_difference(self, reference: str | None = None) -> float:
        """Return the smallest difference to `reference` in the primary metric that 80 % power could show."""
        reference = self._reference(reference)
        return self.task.detectable(self.of([self.main, reference]), self.main, reference)

    def to_metrics(self) -> dict[str, object]:
        """Return the content of `metrics.json` of a report, as JSON values.

        `primary` names the metric of the headline, the model, and the baseline that it is compared with. The
        baseline is None if it was not judged or is the model itself. `paired_vs_ridge` is kept for programs
        that read older reports.
        """
        inputs, primary = self.inputs(), self.task.primary
        metrics = self.scores.columns.unique(0)
        models = {}
        for name, row in self.scores.iterrows():
            models[name] = {m: {"mean": row[m, "mean"], "ci": [row[m, "lo"], row[m, "hi"]]} for m in metrics}
            models[name]["inputs"] = list(inputs[name])
        reference = self.task.reference if self.task.reference in self.models else None
        paired = {}
        if reference:
            rows = self.paired(reference).iterrows()
            paired = {m: {f"{primary}_diff": r["diff"], "ci": [r["lo"], r["hi"]]} for m, r in rows}
        return {
            "cohort": self.cohort,
            "target": self.target,
            "n": self.n,
            "main": self.main,
            "primary": {
                "metric": primary,
                "model": self.main,
                "reference": None if reference == self.main else reference,
            },
            "models": models,
            "paired_vs_ridge": paired,
            "seconds": self.seconds,
        }

    def _reference(self, name: str | None) -> str:
        name = name or self.task.reference
        if name not in self.models:
            raise DataError(f"no predictions of {name!r}", expected=", ".join(self.models))
        return name

    def _of_main(self) -> list[FoldResult]:
        return [f for f in self.folds if f.model == self.main and f.train_fraction == 1]

    def __repr__(self) -> str:
        metrics = [m for m in (self.task.primary, self.task.second) if m in self.scores.columns.unique(0)]
        title = f"Nested cross-validation of {self.cohort} ({self.target}, n={self.n}), mean [95 % interval]"
        rows = [
            [name, *(unbroken(value_text(row[m])) for m in metrics)] for name, row in self.scores.iterrows()
        ]
        cells = [["", *map(metric_title, metrics)], *rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip().replace("\u00a0", " ") for row in cells]
        return "\n".join([title, *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        metrics = list(dict.fromkeys([self.task.primary, *self.scores.columns.unique(0)]))[:_SHOWN]
        inputs = self.inputs()
        rows = {
            name: {"inputs": ", ".join(inputs.get(name, ()))}
            | {metric_title(m): unbroken(value_text(row[m])) for m in metrics}
            for name, row in self.scores.iterrows()
        }
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
        title = f"Nested cross-validation of {self.cohort}, target {self.target}: {self.n} patients"
        notes = ["Mean over the outer folds, with a 95 % interval over patients."]
        return html_card(title, html_table(table), notes=notes)


def _rows(task: Task, fold: FoldResult) -> pd.DataFrame:
    """Return the predictions of a fold as rows of the table of all predictions."""
    keys = pd.DataFrame({"patient_id": fold.patients, "person": fold.person_ids})
    keys.insert(0, "model", fold.model)
    keys.insert(1, "repeat", fold.repeat)
    keys.insert(2, "fold", fold.fold)
    table = pd.concat([keys, task.frame(fold.predictions)], axis=1)
    return table.assign(train_fraction=fold.train_fraction)
