"""Figure of the leak demonstrations: the result with the leak beside the honest one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import BLUE, GREY, LIGHT, ORANGE, new_figure, styled
from mmfusion.metrics.names import metric_title

_COLOURS = {"leaky": ORANGE, "honest": BLUE}


@styled
def leak_gaps(rows: pd.DataFrame, *, metric: str, chance: float | None = None) -> Figure:
    """Draw each repeat of the demonstrations, leaky and honest, with a line between the two means.

    Parameters
    ----------
    rows : DataFrame
        Rows of one or more demonstrations, as `mmfusion.evaluation.leakage.slice_split_demo` returns them.
    metric : str
        Metric to draw.
    chance : float, optional
        Value that a model reaches which knows nothing; a vertical line.

    Raises
    ------
    ReportError
        If there is no row with this metric.

    Examples
    --------
    >>> rows = pd.DataFrame({"demo": "slices", "cohort": "null", "rep": 0, "metric": "auc",
    ...                      "protocol": ["leaky", "honest"], "value": [0.9, 0.5]})
    >>> [text.get_text() for text in leak_gaps(rows, metric="auc", chance=0.5).axes[0].get_yticklabels()]
    ['slices: null']
    """
    rows = rows[rows["metric"] == metric] if "metric" in rows else rows[:0]
    if rows.empty:
        raise ReportError("no result of the demonstrations to show", parameter="metric", got=metric)
    groups = list(rows.groupby(["demo", "cohort"], sort=False))
    figure, ax = new_figure(0.45 * len(groups) + 0.9)
    for y, (_, group) in enumerate(groups):
        means = group.groupby("protocol")["value"].mean()
        ax.plot(means, np.full(len(means), y), color=LIGHT, lw=4, zorder=1, solid_capstyle="butt")
        for protocol, some in group.groupby("protocol"):
            label = protocol if y == 0 else None
            ax.scatter(
                some["value"], np.full(len(some), y), color=_COLOURS[protocol], s=22, label=label, zorder=2
            )
    if chance is not None:
        ax.axvline(chance, color=GREY, lw=0.8, ls="--", label="chance", zorder=0)
    ax.set_yticks(range(len(groups)), [f"{demo}: {cohort}" for (demo, cohort), _ in groups])
    ax.set(ylim=(len(groups) - 0.4, -0.6), xlabel=metric_title(metric))
    figure.legend(loc="outside upper right", ncols=3)
    return figure
