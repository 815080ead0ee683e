"""Performance within groups of patients, and how much the groups differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.display import html_card, html_table
from mmfusion.errors import DataError, check_list, check_whole
from mmfusion.evaluation.group_gaps import chance_of_gap, group_draws, group_gap
from mmfusion.evaluation.grouping import UNKNOWN, patient_groups
from mmfusion.evaluation.recalibration import is_constant
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import check_classes, check_cohort
from mmfusion.metrics.few import class_counts, said_of_classes, said_of_one_class
from mmfusion.metrics.folds import ModelPredictions, one_model
from mmfusion.metrics.intervals import interval
from mmfusion.metrics.significance import holm

METRICS = ("macro_auc", "balanced_accuracy")


@dataclass(frozen=True, repr=False)
class Subgroups:
    """Performance of models within groups of patients.

    Attributes
    ----------
    table : DataFrame
        A row per grouping, group, model and metric: `by`, `group`, `n` (patients), `model`, `metric`,
        `value`, `lo`, `hi` (95 % interval over patients), and `said`: why there is no value, which classes
        are absent or have few patients, or "".
    gaps : DataFrame
        A row per grouping, model and metric with two or more groups that can be judged: `lowest` and
        `highest` group, `difference` (largest minus smallest value), `ratio` (smallest by largest),
        `p_chance` (share of random groups that differ as much; they have as many patients of each class as
        the real ones), and `p_holm` (the same, adjusted for the number of groupings). The difference has no
        interval: a maximum minus a minimum is never below 0, so an interval would exclude 0 even if all
        groups were equal.
    notes : list of str
        What was left out.
    """

    table: pd.DataFrame
    gaps: pd.DataFrame
    notes: list[str]

    def __repr__(self) -> str:
        return "\n".join(
            [self.table.to_string(index=False), "", self.gaps.to_string(index=False), *self.notes]
        )

    def _repr_html_(self) -> str:
        parts = html_table(self.table.set_index("by")), html_table(self.gaps.set_index("by"))
        return html_card("Performance within groups of patients", *parts, notes=self.notes)


def subgroups(
    result: NestedResult,
    cohort: Cohort,
    by: Sequence[str] | Mapping[str, pd.Series] | None = None,
    *,
    models: Sequence[str] | None = None,
    metrics: Sequence[str] = METRICS,
    smallest: int = 20,
    n_boot: int = 1000,
    n_permutations: int = 1000,
    random_state: int = 0,
) -> Subgroups:
    """Return the performance of models within groups of patients, from out-of-fold predictions.

    The folds of a repeat are pooled, because a group has few patients in a fold. Even if the model
    works equally well for all groups, their values differ by chance. Therefore `p_chance` compares the
    difference with that of random groups, which have as many patients of each class as the real ones.

    Metrics that depend on each class, such as "macro_auc" and "balanced_accuracy", have no value in a group
    with one to four patients of a class. With five to nine, `said` calls them uncertain. The AUC of a model
    that predicts the same for all patients of a fold is not estimable.

    Parameters
    ----------
    result : NestedResult
        Result of `nested_cv` for classes.
    cohort : Cohort
        The cohort of the result.
    by : sequence of str, or mapping of str to Series, optional
        Groupings, as for `patient_groups`. Default: sex, age, ethnicity, smoking, site and modalities, as far
        as the cohort has them.
    models : sequence of str, optional
        Models of the result. Default: the main model.
    metrics : sequence of str
        Metrics of classes, such as "macro_auc" (0 to 1) and "balanced_accuracy" (0 to 1).
    smallest : int
        Smallest number of patients of a group that is judged.
    n_boot, n_permutations : int
        Number of resamples of patients, and of random groups.
    random_state : int
        Seed.

    Returns
    -------
    Subgroups
        `table`, `gaps` and `notes`.

    Raises
    ------
    DataError
        If the result has no classes or another cohort's patients, a model or a grouping is unknown, or
        `smallest` is below 2.
    MMFusionError
        If fairlearn is not installed.

    References
    ----------
    Weerts et al. 2023, "Fairlearn: assessing and improving fairness of AI systems", JMLR 24(257).

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from mmfusion.evaluation import nested_cv
    >>> ids = pd.Index([f"p{i}" for i in range(24)], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "sex"): ["f", "f", "m", "m"] * 6, ("ehr", "x"): np.arange(24.0)}, ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB"] * 12}, ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    >>> found = subgroups(nested_cv(DummyClassifier(), cohort, **options), cohort, ["sex"], smallest=5)
    >>> found.table.loc[found.table["metric"] == "balanced_accuracy", ["group", "value"]].values.tolist()
    [['f', 0.5], ['m', 0.5]]
    """
    check_list(models=models, metrics=metrics)
    _check(result, cohort, smallest, n_permutations)
    groupings = patient_groups(cohort, by)
    rows, gaps = [], []
    for name in models or [result.main]:
        model = one_model(result.predictions, result.classes, name)
        for grouping, of_patient in groupings.items():
            groups = of_patient.reindex(model.patients)
            sizes = groups.value_counts()
            for metric in metrics:
                said = _said(model, groups, result.classes, metric, smallest)
                draws = {
                    g: group_draws(model, groups == g, metric, n_boot, random_state + i)
                    for i, g in enumerate(said)  # the groups are drawn independently
                }
                own = {"by": grouping, "model": name, "metric": metric}
                values = [_value(draws[g], text, estimable=ok) for g, (text, ok) in said.items()]
                rows += [
                    own | {"group": g, "n": int(sizes[g])} | v for g, v in zip(said, values, strict=True)
                ]
                kept = [g for g, v in zip(said, values, strict=True) if np.isfinite(v["value"])]
                if len(kept) > 1:
                    gap = group_gap(model, groups, kept, metric)
                    p = chance_of_gap(
                        model, groups, kept, metric, gap["difference"], n_permutations, random_state
                    )
                    gaps.append(own | gap | {"p_chance": p})
    table = pd.DataFrame(rows, columns=["by", "group", "n", "model", "metric", "value", "lo", "hi", "said"])
    columns = ["by", "model", "metric", "lowest", "highest", "difference", "ratio", "p_chance"]
    differences = pd.DataFrame(gaps, columns=columns)
    families = differences.groupby(["model", "metric"])["p_chance"]
    differences["p_holm"] = families.transform(holm) if len(differences) else np.array([], dtype=float)
    return Subgroups(table, differences, _notes(table, groupings))


def _check(result: NestedResult, cohort: Cohort, smallest: int, n_permutations: int) -> None:
    if not isinstance(result, NestedResult):
        got = type(result).__name__
        raise DataError("not a result", parameter="result", expected="a NestedResult", got=got)
    check_cohort(cohort)
    check_classes(result.task, result.target, "groups are judged for classes")
    check_whole("smallest", smallest, 0)
    if smallest < 2:
        raise DataError("too small a group", parameter="smallest", expected="2 or more", got=smallest)
    check_whole("n_permutations", n_permutations)
    if len(absent := result.present.index.difference(cohort.X.index)):
        raise DataError("the cohort lacks a patient of the result", patient=absent[0], file=cohort.name)


def _said(
    model: ModelPredictions, groups: pd.Series, classes: Sequence[str], metric: str, smallest: int
) -> dict[str, tuple[str, bool]]:
    """Return what is said about each group, and if it has a value; patients of no known group come last."""
    found = {}
    alike = metric.startswith("macro_auc") and _constant_in_folds(model)
    for group in sorted(groups.unique(), key=lambda g: (g == UNKNOWN, g.startswith(">"), g[:1] != "<", g)):
        members = (groups == group).to_numpy()
        n = int(members.sum())
        counts = class_counts(model.codes[members], model.person_ids[members], len(classes))
        if alike:
            found[group] = "not estimable: the model predicts the same for all patients of a fold", False
        elif n < smallest:
            found[group] = f"too small: {n} of at least {smallest} patients", False
        elif (counts > 0).sum() == 1:  # also for metrics that have a value then, such as accuracy
            found[group] = said_of_one_class(counts, classes), False
        else:
            found[group] = said_of_classes(counts, classes, metric)
    return found


def _constant_in_folds(model: ModelPredictions) -> bool:
    """Return True if only the folds differ, so that pooling them would rank their shares of the classes."""
    proba = pd.DataFrame(model.proba, index=model.rows.index)
    folds = proba.groupby([model.rows["repeat"], model.rows["fold"]])
    return all(is_constant(rows.to_numpy()) for _, rows in folds)


def _value(draws: np.ndarray, said: str, *, estimable: bool) -> dict[str, object]:
    if not estimable:
        return {"value": np.nan, "lo": np.nan, "hi": np.nan, "said": said}
    lo, hi = interval(draws[1:])
    return {"value": float(draws[0]), "lo": lo, "hi": hi, "said": said}


def _notes(table: pd.DataFrame, groupings: Mapping[str, pd.Series]) -> list[str]:
    notes = [
        f"{by}, {row.group}: {row.said}."
        for by, rows in table[table["said"] != ""].groupby("by", sort=False)
        for row in rows.drop_duplicates(["group", "said"]).itertuples()
    ]
    if not groupings:
        notes.append("The cohort records no two groups by sex, age, ethnicity, smoking, site or modalities.")
    return notes
