"""The report of the leak demonstrations: the effect of each leak, and the guard against it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mmfusion.errors import DataError
from mmfusion.evaluation.leakage.demos import demo_gaps
from mmfusion.evaluation.leakage.registry import Demo, all_demos, get_demo
from mmfusion.metrics.names import metric_title

_NULL = ("null", "boxes alone")  # cohorts in which nothing can be learned
_SMALL = 0.05  # a smaller gap is called a little difference
LIMITATIONS = (
    "Random numbers are simpler than patients. The size of each effect depends on the number of patients, of "
    "features and of choices.",
    "A paper that does not exclude a leak does not necessarily have it. Only the authors can tell.",
    "With few repeats, an honest AUC of a null cohort differs from 0.5 by chance; see the SD in the tables.",
)


def chosen(names: Sequence[str]) -> list[Demo]:
    """Return the demonstrations of a report; ["all"] gives all ten.

    Examples
    --------
    >>> [demo.number for demo in chosen(["tuning", "D1"])]
    ['D10', 'D1']
    """
    return all_demos() if list(names) == ["all"] else [get_demo(name) for name in names]


def verdict(rows: pd.DataFrame, demos: Sequence[Demo]) -> list[str]:
    """Return the conclusions of the report, the most important first.

    Raises
    ------
    DataError
        If there are no demonstrations.

    Examples
    --------
    >>> from mmfusion.evaluation.leakage import run_demos
    >>> print(verdict(run_demos(["D9"], n_rep=2), chosen(["D9"]))[-1])
    Little difference: imputer, filter by variance and scaler fitted on all patients.
    """
    if not demos:
        raise DataError("no demonstration to show", parameter="demos")
    gaps = {demo: _null_of(rows, demo) for demo in demos}
    lines = []
    large = sorted((d for d in demos if gaps[d]["gap"] > _SMALL), key=lambda d: -gaps[d]["gap"])
    if large:
        first = gaps[large[0]]
        lines.append(
            f"Where nothing can be found, {len(large)} of {len(demos)} leaks give a better result. The "
            f"largest: {large[0].title} ({metric_title(large[0].metric)} {first['leaky']:.2f} instead of "
            f"{first['honest']:.2f})."
        )
        lines += [
            f"{d.number}, {d.title}: {metric_title(d.metric)} {gaps[d]['leaky']:.2f} with the leak, "
            f"{gaps[d]['honest']:.2f} without."
            for d in large[1:]
        ]
    lines += [f"Little difference: {d.title}." for d in demos if gaps[d]["gap"] <= _SMALL]
    return lines


def _null_of(rows: pd.DataFrame, demo: Demo) -> pd.Series:
    gaps = demo_gaps(rows[rows["demo"] == demo.number]).xs(demo.metric, level="metric")
    cohort = next(name for name in _NULL if (demo.number, name) in gaps.index)
    return gaps.loc[(demo.number, cohort)]


def null_rows(rows: pd.DataFrame, demos: Sequence[Demo]) -> pd.DataFrame:
    """Return the AUCs in cohorts without signal, with one name of the metric, for one figure of all leaks.

    Examples
    --------
    >>> from mmfusion.evaluation.leakage import run_demos
    >>> null_rows(run_demos(["D8"], n_rep=1), chosen(["D8"]))[["demo", "metric"]].drop_duplicates().values
    array([['D8 patients', 'auc']], dtype=object)
    """
    parts = []
    for demo in demos:
        mine = rows["demo"].eq(demo.number) & rows["cohort"].eq("null") & rows["metric"].eq(demo.metric)
        if demo.chance is not None:
            parts.append(rows[mine].assign(demo=f"{demo.number} {demo.name}", metric="auc"))
    return pd.concat(parts, ignore_index=True) if parts else rows[:0]


def table_of(rows: pd.DataFrame, demo: Demo) -> pd.DataFrame:
    """Return the means of a demonstration by cohort and metric, with titles for readers.

    Examples
    --------
    >>> from mmfusion.evaluation.leakage import run_demos
    >>> list(table_of(run_demos(["D8"], n_rep=2), chosen(["D8"])[0]))
    ['with the leak', 'without', 'difference', 'SD of the difference', 'repeats', 'best possible']
    """
    gaps = demo_gaps(rows[rows["demo"] == demo.number]).droplevel("demo")
    best = [_best(demo, cohort, metric) for cohort, metric in gaps.index]
    gaps = gaps.assign(best=best).round(3)
    gaps.index = gaps.index.set_levels([metric_title(m) for m in gaps.index.levels[1]], level=1)
    titles = ["with the leak", "without", "difference", "SD of the difference", "repeats", "best possible"]
    return gaps.set_axis(titles, axis=1)


def _best(demo: Demo, cohort: str, metric: str) -> float:
    if metric != demo.metric or demo.best is None or demo.chance is None:
        return float("nan")
    return {"null": demo.chance, "planted": demo.best}.get(cohort, float("nan"))


def guards() -> pd.DataFrame:
    """Return the guard of this library against each kind of leak; tests make each leak on purpose.

    Examples
    --------
    >>> guards().index[0]
    'a step fitted before the folds'
    """
    rows = {
        "a step fitted before the folds": ("nested_cv refuses parts that stay fitted in the folds", "D1, D2"),
        "inputs that determine the label": ("forbidden names; a probe of up to three columns", "D1, D3"),
        "rows of one person in both sets": ("splits by person; other splits are refused", "D4, D5"),
        "one patient under two ids": ("scans and profiles are compared (check_no_duplicates)", "D8"),
        "true boxes at prediction": ("masks made with them are marked as oracle", "D7"),
        "a choice by the test set": ("settings and early stopping use inner folds only", "D6, D10"),
        "several looks at external data": ("external_validation records all and refuses the second", "D6"),
        "models judged on different patients": ("paired comparisons refuse them", ""),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["guard", "demonstrations"])
