"""Figures of published numbers: Dice against IoU, and ranges that rounding or chance leave open."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import BLUE, GREY, INK, LIGHT, ORANGE, new_figure, styled
from mmfusion.metrics.implied import dice_of_iou


@styled
def dice_against_iou(table: pd.DataFrame) -> Figure:
    """Draw published pairs of Dice and IoU, the curve of one mask, and the area of means over patients.

    Parameters
    ----------
    table : DataFrame
        Columns `iou` and `dice`; index: model.

    Raises
    ------
    ReportError
        If there is no pair.

    Examples
    --------
    >>> figure = dice_against_iou(pd.DataFrame({"iou": [0.8], "dice": [0.88]}, index=["U-Net"]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['U-Net']
    """
    if table.empty:
        raise ReportError("no pair of Dice and IoU to show", column="dice")
    figure, ax = new_figure(3.6)
    low = max(0.0, float(table["iou"].min()) - 0.06)
    lowest = max(0.0, float(table["dice"].min()) - 0.06)  # a narrow range keeps the names apart
    iou = np.linspace(low, 1, 200)
    dice = [dice_of_iou(one) for one in iou]
    ax.fill_between(iou, iou, dice, color=LIGHT, label="means over patients")
    ax.plot(iou, dice, color=BLUE, label="one mask")
    ax.scatter(table["iou"], table["dice"], color=ORANGE, s=26, zorder=3, label="published")
    for model, row in table.iterrows():
        ax.annotate(
            str(model), (row["iou"], row["dice"]), (6, -9), textcoords="offset points", fontsize=8, color=INK
        )
    ax.set(xlabel="IoU", ylabel="Dice", xlim=(low, 1), ylim=(lowest, 1))
    figure.legend(loc="outside upper right", ncols=3)
    return figure


@styled
def ranges(table: pd.DataFrame, *, title: str, references: Mapping[str, float] | None = None) -> Figure:
    """Draw a horizontal range for each row, with a point if there is a value.

    Parameters
    ----------
    table : DataFrame
        Columns `low` and `high`, and optionally `value`; index: names.
    title : str
        What is drawn, for the axis.
    references : mapping, optional
        Name -> value of vertical lines.

    Raises
    ------
    ReportError
        If there is no row.

    Examples
    --------
    >>> figure = ranges(pd.DataFrame({"low": [0.2], "high": [0.3]}, index=["U-Net"]), title="share")
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['U-Net']
    """
    if table.empty:
        raise ReportError("no range to show", column=title)
    figure, ax = new_figure(0.45 * len(table) + 1.0)
    rows = np.arange(len(table))
    ax.hlines(rows, table["low"], table["high"], color=BLUE, lw=5)
    if "value" in table:
        ax.scatter(table["value"], rows, color=ORANGE, zorder=3, s=26, label="published")
    for (name, value), style in zip((references or {}).items(), ("--", ":", "-.", "-")):
        ax.axvline(value, color=GREY, ls=style, lw=1, label=name, zorder=0)
    ax.set_yticks(rows, [str(name) for name in table.index])
    ax.set(ylim=(len(table) - 0.4, -0.6), xlabel=title, xlim=(0, None))
    if ax.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper right", ncols=3)
    return figure
