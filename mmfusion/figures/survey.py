"""Figure of a survey of scans: spacing, grey values, volumes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from mmfusion.errors import ReportError
from mmfusion.figures.style import BLUE, GREY, ORANGE, new_figure, styled


@styled
def scan_survey(table: pd.DataFrame) -> Figure:
    """Spacing, grey values and volumes of scans, one mark per scan.

    Parameters
    ----------
    table : DataFrame
        `mmfusion.quality.survey.ScanSurvey.table`: columns x_mm, z_mm (mm), p1, p50, p99 (HU or SUVbw),
        lungs_ml, lesion_ml (mL).

    Raises
    ------
    ReportError
        If there is no scan.

    Examples
    --------
    >>> row = {"x_mm": 0.7, "z_mm": 3, "p1": -900, "p50": -100, "p99": 300, "lungs_ml": 4000, "lesion_ml": 8}
    >>> figure = scan_survey(pd.DataFrame([row, row]))
    """
    if not len(table):
        raise ReportError("no scans to draw", expected="at least one that was read")
    figure, axes = new_figure(2.9, 1, 3)
    _spacing(axes[0], table)
    _values(axes[1], table)
    _volumes(axes[2], table)
    return figure


def _spacing(ax: Axes, table: pd.DataFrame) -> None:
    ax.scatter(table["x_mm"], table["z_mm"], s=18, color=BLUE, alpha=0.6, lw=0)
    ax.set_xlim(0, 1.15 * table["x_mm"].max())
    ax.set_ylim(0, 1.15 * table["z_mm"].max())
    ax.set_title("spacing")
    ax.set_xlabel("pixels, mm", color=GREY)
    ax.set_ylabel("slices, mm")


def _values(ax: Axes, table: pd.DataFrame) -> None:
    ordered = table.sort_values(["p50", "p99"])
    rank = np.arange(len(ordered)) + 1
    ax.vlines(rank, ordered["p1"], ordered["p99"], color=GREY, lw=1, alpha=0.6)
    ax.scatter(rank, ordered["p50"], s=12, color=ORANGE, lw=0, zorder=3)
    ax.set_title("grey values, 1 to 99 %")
    ax.set_xlabel("scans, by their median", color=GREY)
    ax.set_ylabel("HU or SUV")


def _volumes(ax: Axes, table: pd.DataFrame) -> None:
    for name, colour in (("lungs_ml", BLUE), ("lesion_ml", ORANGE)):
        volumes = np.sort(table[name].dropna())
        volumes = volumes[volumes > 0]
        if len(volumes):
            share = (np.arange(len(volumes)) + 1) / len(volumes)
            look = {"color": colour, "label": name.split("_")[0], "marker": "o", "ms": 3, "lw": 1}
            ax.step(volumes, share, where="post", **look)
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    for which in (ax.xaxis.set_major_formatter, ax.xaxis.set_minor_formatter):
        which(StrMethodFormatter("{x:g}"))
    ax.tick_params(axis="x", which="both", labelsize=7.5)
    ax.set_ylim(0, 1.05)
    ax.set_title("volumes")
    ax.set_xlabel("mL", color=GREY)
    ax.set_ylabel("share of scans below")
    if ax.has_data():
        ax.legend()
