"""What a nested cross-validation found, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort, presence
from mmfusion.metrics import minimum_detectable_difference, paired_table, score_table


@dataclass(frozen=True, repr=False)
class NestedResult:
    """Out-of-fold predictions of several models on the same patients.

    Parameters
    ----------
    cohort, target : str
        What was predicted, on whom.
    classes : tuple of str
        In order of severity.
    predictions : DataFrame
        A row per (model, repeat, fold, patient_id): `person`, `y_true`, and `p_<class>` for every class.
    folds : list of dict
        What every fold returned: chosen parameters, trials, learning curves, warnings, seconds.
    main : str
        The model that was searched.
    present : DataFrame of bool
        Which patient has which modality.
    settings : mapping
        How it was done.
    seconds : float
        Wall-clock seconds.
    of_fewer : DataFrame
        As `predictions`, of models fitted on a share of the training rows (`train_fraction`).
    """

    cohort: str
    target: str
    classes: tuple[str, ...]
    predictions: pd.DataFrame
    folds: Sequence[Mapping[str, object]]
    main: str
    present: pd.DataFrame
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    of_fewer: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def from_folds(
        cls,
        folds: Sequence[dict],
        cohort: Cohort,
        *,
        main: str,
        settings: Mapping[str, object],
        seconds: float,
    ) -> NestedResult:
        """Gather what the folds returned, in an order that does not depend on who was first."""
        classes = tuple(str(c) for c in cohort.y.cat.remove_unused_categories().cat.categories)
        order = list(dict.fromkeys(sorted((f["model"] for f in folds), key=lambda m: m != main)))
        folds = sorted(folds, key=lambda f: (order.index(f["model"]), f["model"], f["repeat"], f["fold"]))
        parts = []
        for f in folds:
            proba = pd.DataFrame(f["proba"], columns=[f"p_{c}" for c in f["classes"]])
            proba = proba.reindex(columns=[f"p_{c}" for c in classes], fill_value=0.0)
            keys = {name: f[name] for name in ("model", "repeat", "fold", "train_fraction")}
            parts.append(
                proba.assign(**keys, patient_id=f["patients"], person=f["people"], y_true=f["y_true"])
            )
        front = ["model", "repeat", "fold", "patient_id", "person", "y_true"]
        everything = pd.concat(parts, ignore_index=True)
        everything = everything[[*front, *everything.columns.difference(front, sort=False)]]
        whole = everything["train_fraction"] == 1
        return cls(
            cohort=cohort.name,
            target=cohort.target,
            classes=classes,
            predictions=everything[whole].drop(columns="train_fraction").reset_index(drop=True),
            of_fewer=everything[~whole].reset_index(drop=True),
            folds=folds,
            main=main,
            present=presence(cohort.X),
            settings=settings,
            seconds=seconds,
        )

    @property
    def models(self) -> list[str]:
        """Names of the models judged on all training rows, the searched one first."""
        return list(self.predictions["model"].unique())

    @property
    def n(self) -> int:
        """Patients."""
        return len(self.present)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Metrics of every model with 95 % bootstrap intervals over patients; columns (metric, mean | lo | hi)."""
        return score_table(self.of(self.models), self.classes)

    def paired(self, reference: str = "ridge") -> pd.DataFrame:
        """Macro-AUC of every model minus that of `reference`, on the same resamples of patients."""
        return paired_table(self.of(self.models), self.classes, reference=reference)

    def of(self, models: Sequence[str]) -> pd.DataFrame:
        """Predictions of these models."""
        return self.predictions[self.predictions["model"].isin(list(models))]

    def params(self) -> pd.DataFrame:
        """The setting that the inner folds of each outer fold chose."""
        mine = self._of_main()
        several = len({f["repeat"] for f in mine}) > 1
        names = [
            f"repeat {f['repeat'] + 1}, fold {f['fold'] + 1}" if several else f"fold {f['fold'] + 1}"
            for f in mine
        ]
        return pd.DataFrame([f["params"] for f in mine], index=names)

    def typical_params(self) -> dict[str, object]:
        """One setting to fit a final model at: of fractions the median of what the folds chose, else the mode."""
        typical = {}
        for name in self.params():
            values = [f["params"][name] for f in self._of_main()]
            if all(isinstance(v, float) for v in values):
                typical[name] = float(np.median(values))
            else:
                count = Counter(map(repr, values))
                typical[name] = max(values, key=lambda v: count[repr(v)])
        return typical

    def trials(self) -> pd.DataFrame:
        """Every Optuna trial: fold, inner macro-AUC (`value`) and parameters."""
        rows = [{"repeat": f["repeat"], "fold": f["fold"], **t} for f in self._of_main() for t in f["trials"]]
        return pd.DataFrame(rows)

    def histories(self) -> pd.DataFrame:
        """Train and validation loss of the refitted model by fold, member and epoch."""
        rows = [
            {"repeat": f["repeat"], "fold": f["fold"], "member": m, **epoch}
            for f in self._of_main()
            for m, history in enumerate(f["history"])
            for epoch in history
        ]
        return pd.DataFrame(rows)

    def bundles(self) -> dict[tuple[int, int], Path]:
        """Saved model of each outer fold, by (repeat, fold); empty unless `out` was given."""
        return {(f["repeat"], f["fold"]): Path(f["bundle"]) for f in self._of_main() if f.get("bundle")}

    def learning_curve(self) -> pd.DataFrame:
        """Macro-AUC with interval by model and number of training patients; empty unless it was asked for."""
        if self.of_fewer.empty:
            return pd.DataFrame(columns=["model", "n_train", "mean", "lo", "hi"])
        whole = self.of(self.of_fewer["model"].unique())
        parts = []
        for fraction, rows in [*self.of_fewer.groupby("train_fraction"), (1.0, whole)]:
            auc = score_table(rows, self.classes)["macro_auc"].rename_axis("model").reset_index()
            sizes = [(f["model"], f["n_train"]) for f in self.folds if f["train_fraction"] == fraction]
            n_train = pd.DataFrame(sizes, columns=["model", "n"]).groupby("model")["n"].mean()
            parts.append(auc.assign(n_train=auc["model"].map(n_train)))
        return pd.concat(parts).sort_values(["model", "n_train"]).reset_index(drop=True)

    def warnings(self) -> pd.Series:
        """How often each warning was given in the folds."""
        return pd.Series([w for f in self.folds for w in f["warnings"]], dtype=str).value_counts()

    def detectable_difference(self, reference: str = "ridge") -> float:
        """The smallest macro-AUC difference to `reference` that this n could show with 80 % power."""
        return minimum_detectable_difference(
            self.of([self.main, reference]), self.classes, self.main, reference
        )

    def to_metrics(self) -> dict[str, object]:
        """What `metrics.json` of a report holds."""
        inputs = {f["model"]: f["inputs"] for f in self.folds}
        metrics = self.scores.columns.unique(0)
        models = {}
        for name, row in self.scores.iterrows():
            models[name] = {m: {"mean": row[m, "mean"], "ci": [row[m, "lo"], row[m, "hi"]]} for m in metrics}
            models[name]["inputs"] = inputs[name]
        paired = {}
        if "ridge" in self.models:
            table = self.paired("ridge")
            paired = {m: {"macro_auc_diff": r["diff"], "ci": [r["lo"], r["hi"]]} for m, r in table.iterrows()}
        return {
            "cohort": self.cohort,
            "target": self.target,
            "n": self.n,
            "main": self.main,
            "models": models,
            "paired_vs_ridge": paired,
            "seconds": self.seconds,
        }

    def _of_main(self) -> list[Mapping[str, object]]:
        return [f for f in self.folds if f["model"] == self.main and f["train_fraction"] == 1]

    def __repr__(self) -> str:
        auc = self.scores["macro_auc"]
        lines = [
            f"Nested cross-validation of {self.cohort} ({self.target}, n={self.n}), macro-AUC [95 % interval]"
        ]
        lines += [f"  {m:<16} {r['mean']:.3f} [{r['lo']:.3f}, {r['hi']:.3f}]" for m, r in auc.iterrows()]
        return "\n".join(lines)
