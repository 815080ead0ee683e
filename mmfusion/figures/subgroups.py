"""Figure of the performance within groups of patients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import CYCLE, GREY, INK, legend_name, new_figure, styled
from mmfusion.metrics.names import metric_title


@styled
def subgroup_forest(
    table: pd.DataFrame, *, metric: str = "macro_auc", overall: Mapping[str, float] | None = None
) -> Figure:
    """A metric within groups of patients, with 95 % intervals; groups that cannot be judged are left out.

    Parameters
    ----------
    table : DataFrame
        `table` of `evaluation.subgroups`: columns by, group, n, model, metric, value, lo, hi.
    metric : str
        Metric in the table.
    overall : mapping of str to float, optional
        Value of each model for all patients, drawn as a line.

    Raises
    ------
    ReportError
        If no group has a value.

    Examples
    --------
    >>> row = {"by": "sex", "group": "female", "n": 40, "model": "ridge", "metric": "macro_auc"}
    >>> row |= {"value": 0.7, "lo": 0.6, "hi": 0.8}
    >>> small = row | {"group": "male", "n": 4, "value": float("nan")}
    >>> figure = subgroup_forest(pd.DataFrame([row, small]))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['sex', 'female  (n = 40)']
    """
    shown = table[(table["metric"] == metric) & table["value"].notna()]
    if shown.empty:
        raise ReportError("no group of patients has a value", expected=metric_title(metric))
    models = list(shown["model"].unique())
    labels, place = [], {}
    for by, rows in shown.groupby("by", sort=False):
        labels.append(str(by))
        for group, n in rows.drop_duplicates("group")[["group", "n"]].itertuples(index=False):
            place[by, group] = len(labels)
            labels.append(f"{group}  (n = {n})")
    figure, ax = new_figure(0.9 + len(labels) * (0.17 + 0.07 * len(models)))
    for m, (model, rows) in enumerate(shown.groupby("model", sort=False)):
        colour = CYCLE[m % len(CYCLE)]
        y = np.array([place[by, group] for by, group in rows[["by", "group"]].itertuples(index=False)])
        y = y + ((m + 0.5) / len(models) - 0.5) * 0.6
        if overall and model in overall:
            ax.axvline(overall[model], color=colour, lw=0.9, ls=":")
        ax.hlines(y, rows["lo"], rows["hi"], color=colour, lw=2, alpha=0.75)
        ax.scatter(rows["value"], y, color=colour, s=26, edgecolor="white", lw=0.7, zorder=3,
                   label=legend_name(model))  # fmt: skip
    if metric.startswith("macro_auc"):
        ax.axvline(0.5, color=GREY, lw=1, ls="--")
    ax.set_yticks(range(len(labels)), labels)
    heads = set(range(len(labels))) - set(place.values())
    for i, label in enumerate(ax.get_yticklabels()):
        label.set_fontweight("bold" if i in heads else "normal")
        label.set_color(INK)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    lines = " (dotted: all patients)" if overall else ""
    ax.set_xlabel(f"{metric_title(metric)}, 95 % interval over patients{lines}")
    if len(models) > 1:
        figure.legend(loc="outside upper center", ncols=min(3, len(models)))
    return figure
