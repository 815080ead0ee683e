"""Performance within groups of patients, and how much the groups differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.display import html_card, html_table
from mmfusion.errors import DataError, check_whole
from mmfusion.evaluation.group_gaps import chance_of_gap, group_draws, group_gap
from mmfusion.evaluation.grouping import UNKNOWN, patient_groups
from mmfusion.evaluation.result import NestedResult
from mmfusion.evaluation.tasks import check_classes, check_cohort
from mmfusion.metrics.folds import one_model
from mmfusion.metrics.intervals import interval
from mmfusion.metrics.significance import holm

METRICS = ("macro_auc", "balanced_accuracy")
ONE_CLASS = "one class only"


@dataclass(frozen=True, repr=False)
class Subgroups:
    """Performance of models within groups of patients.

    Attributes
    ----------
    table : DataFrame
        A row per grouping, group, model and metric: `by`, `group`, `n` (patients), `model`, `metric`,
        `value`, `lo`, `hi` (95 % interval over patients), and `said`: why there is no value, which classes
        are absent, or "".
    gaps : DataFrame
        A row per grouping, model and metric with two or more groups that can be judged: `lowest` and
        `highest` group, `difference` (largest minus smallest value), its interval `lo`, `hi`, `ratio`
        (smallest by largest), `p_chance` (share of random groups of the same sizes that differ as much), and
        `p_holm` (the same, adjusted for the number of groupings).
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
    difference with that of random groups of the same sizes.

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
    >>> ids = pd.Index([f"p{i}" for i in range(12)], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "sex"): ["f", "f", "m", "m"] * 3, ("ehr", "x"): np.arange(12.0)}, ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB"] * 6}, ids)
    >>> cohort = Cohort("example", table, outcomes, "stage2")
    >>> options = {"outer": 2, "baselines": False, "where": "serial", "progress": False}
    >>> found = subgroups(nested_cv(DummyClassifier(), cohort, **options), cohort, ["sex"], smallest=5)
    >>> found.table.loc[found.table["metric"] == "macro_auc", ["group", "value"]].values.tolist()
    [['f', 0.5], ['m', 0.5]]
    """
    _check(result, cohort, smallest, n_permutations)
    groupings = patient_groups(cohort, by)
    rows, gaps = [], []
    for name in models or [result.main]:
        model = one_model(result.predictions, result.classes, name)
        for grouping, of_patient in groupings.items():
            groups = of_patient.reindex(model.patients)
            said = _said(groups, model.codes, result.classes, smallest)
            for metric in metrics:
                draws = {
                    g: group_draws(model, groups == g, metric, n_boot, random_state + i)
                    for i, g in enumerate(said.index)  # the groups are drawn independently
                }
                own = {"by": grouping, "model": name, "metric": metric}
                values = [_value(draws[g], said[g], metric) for g in said.index]
                sizes = groups.value_counts()
                rows += [
                    own | {"group": g, "n": int(sizes[g])} | v
                    for g, v in zip(said.index, values, strict=True)
                ]
                kept = [g for g, v in zip(said.index, values, strict=True) if np.isfinite(v["value"])]
                if len(kept) > 1:
                    gap = group_gap(model, groups, kept, draws, metric)
                    p = chance_of_gap(
                        model, groups, kept, metric, gap["difference"], n_permutations, random_state
                    )
                    gaps.append(own | gap | {"p_chance": p})
    table = pd.DataFrame(rows, columns=["by", "group", "n", "model", "metric", "value", "lo", "hi", "said"])
    columns = ["by", "model", "metric", "lowest", "highest", "difference", "lo", "hi", "ratio", "p_chance"]
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


def _said(groups: pd.Series, codes: np.ndarray, classes: Sequence[str], smallest: int) -> pd.Series:
    """Return why a group is not judged, or which classes it lacks; patients of no known group come last."""
    found = {}
    for group in sorted(groups.unique(), key=lambda g: (g == UNKNOWN, g.startswith(">"), g[:1] != "<", g)):
        counts = np.bincount(codes[(groups == group).to_numpy()], minlength=len(classes))
        absent = [c for c, n in zip(classes, counts, strict=True) if not n]
        if counts.sum() < smallest:
            found[group] = f"too small: {counts.sum()} of at least {smallest} patients"
        elif (counts > 0).sum() == 1:
            found[group] = f"{ONE_CLASS} ({classes[int(counts.argmax())]}): not estimable"
        else:
            found[group] = f"no patient of class {', '.join(absent)}" if absent else ""
    return pd.Series(found, dtype=object)


def _value(draws: np.ndarray, said: str, metric: str) -> dict[str, object]:
    if said.startswith(("too small", ONE_CLASS)):
        return {"value": np.nan, "lo": np.nan, "hi": np.nan, "said": said}
    lo, hi = interval(draws[1:])
    return {"value": float(draws[0]), "lo": lo, "hi": hi, "said": said}


def _notes(table: pd.DataFrame, groupings: Mapping[str, pd.Series]) -> list[str]:
    notes = [
        f"{by}, {row.group}: {row.said}."
        for by, rows in table[table["said"] != ""].groupby("by", sort=False)
        for row in rows.drop_duplicates("group").itertuples()
    ]
    if not groupings:
        notes.append("The cohort records no two groups by sex, age, ethnicity, smoking, site or modalities.")
    return notes
