"""Figure of performance curves under changed inputs."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import BLUE, GREY, new_grid, styled
from mmfusion.metrics.names import metric_title


@styled
def robustness_curves(table: pd.DataFrame, *, metric: str = "macro_auc") -> Figure:
    """A metric by the strength of each perturbation, with 95 % intervals over patients.

    Parameters
    ----------
    table : DataFrame
        From `evaluation.robustness`.
    metric : str
        Metric in the table.

    Raises
    ------
    ReportError
        If the table has no such metric.

    Examples
    --------
    >>> row = {"perturbation": "noise", "unit": "HU", "metric": "macro_auc", "n": 40}
    >>> rows = [row | {"strength": s, "value": 0.7, "lo": 0.6, "hi": 0.8} for s in (0.0, 10.0)]
    >>> robustness_curves(pd.DataFrame(rows)).axes[0].get_xlabel()
    'HU'
    """
    shown = table[table["metric"] == metric]
    if shown.empty:
        raise ReportError(f"no metric {metric!r} to show", expected=", ".join(table["metric"].unique()))
    names = list(shown["perturbation"].unique())
    figure, axes = new_grid(len(names), columns=3, row=1.75, rest=0.4, sharey=True)
    for ax, name in zip(axes.flat, names, strict=False):
        rows = shown[shown["perturbation"] == name]
        none = rows.iloc[0]  # the strength that changes nothing comes first
        rows = rows.sort_values("strength")
        ax.axhline(none["value"], color=GREY, lw=0.9, ls=":")
        ax.fill_between(rows["strength"], rows["lo"], rows["hi"], color=BLUE, alpha=0.15, lw=0)
        ax.plot(rows["strength"], rows["value"], color=BLUE, marker="o", ms=4)
        ax.plot(none["strength"], none["value"], color="white", marker="o", ms=5, mec=BLUE, ls="", zorder=4)
        if none["strength"] > rows["strength"].median() and none["strength"] == rows["strength"].max():
            ax.invert_xaxis()  # such as a share of the dose: the change grows to the right
        ax.set_title(f"{name} (n = {int(none['n'])})")
        ax.set_xlabel(none["unit"])
    for ax in axes[:, 0]:
        ax.set_ylabel(metric_title(metric))
    return figure
