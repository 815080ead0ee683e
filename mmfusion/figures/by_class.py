"""Figures of numbers by class: boxes with a point per patient, and the trend over the classes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    class_colours,
    forest,
    label_rows,
    new_figure,
    new_grid,
    styled,
)

_COLUMNS = 3  # panels in a row
_WIDEST = 20  # letters of a title in a line


@styled
def boxes_by_class(
    values: pd.DataFrame,
    classes: pd.Series,
    *,
    titles: Mapping[str, str] | None = None,
    ylabel: str = "score",
    random_state: int = 0,
) -> Figure:
    r"""Draw a box per class with a point per patient, one panel per column of numbers.

    Parameters
    ----------
    values : DataFrame, shape (n, P)
        One row per patient; NaN if unknown.
    classes : Series, shape (n,)
        Categorical of the same patients.
    titles : mapping of str to str, optional
        Column -> second line of the title of its panel, such as a p-value.
    ylabel : str
        Name of the numbers.
    random_state : int
        Seed of the horizontal positions of the points.

    Raises
    ------
    ReportError
        If there is no column, or a column has no value.

    Examples
    --------
    >>> stage = pd.Series(pd.Categorical(["I", "I", "II"], ordered=True))
    >>> figure = boxes_by_class(pd.DataFrame({"hypoxia": [0.1, 0.2, 0.3]}), stage)
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['I\nn = 2', 'II\nn = 1']
    """
    empty = [str(name) for name in values if values[name].notna().sum() == 0]
    if not values.shape[1] or empty:
        raise ReportError("no numbers to show", column=", ".join(empty) or None)
    names = list(classes.cat.categories)
    colours = class_colours(names)
    rng = np.random.default_rng(random_state)
    figure, axes = new_grid(values.shape[1], columns=_COLUMNS, row=2.3, rest=0.2)
    for ax, column in zip(axes.flat, values.columns):
        groups = [values[column][classes == name].dropna().to_numpy() for name in names]
        drawn = ax.boxplot(
            groups, widths=0.6, showfliers=False, patch_artist=True, medianprops={"color": INK}
        )
        for k, (box, group, name) in enumerate(zip(drawn["boxes"], groups, names, strict=True), start=1):
            box.set(facecolor="none", edgecolor=GREY)
            spread = k + rng.uniform(-0.2, 0.2, len(group))
            ax.scatter(spread, group, s=9, color=colours[str(name)], alpha=0.6, linewidth=0, zorder=0)
        ax.set_xticks(range(1, len(names) + 1), [f"{n}\nn = {len(g)}" for n, g in zip(names, groups)])
        ax.set_title("\n".join([*_lines(column), *(titles or {}).get(column, "").splitlines()]), fontsize=8.5)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    return figure


def _lines(name: object) -> list[str]:
    """Return a name in lines that fit above a panel; a long name of words with underscores is broken there.

    >>> _lines("HALLMARK_WNT_BETA_CATENIN_SIGNALING")
    ['HALLMARK_WNT_BETA_', 'CATENIN_SIGNALING']
    """
    words = re.findall(r"[^ _]*[ _]*", str(name))
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1] + word.strip()) > _WIDEST:
            lines.append("")
        lines[-1] += word
    return [line.strip() for line in lines]


@styled
def trends(
    table: pd.DataFrame, *, xlabel: str = "Spearman correlation with the stage, 95 % interval"
) -> Figure:
    """Draw the trend of each column over ordered classes with its interval, beside that of random gene sets.

    Parameters
    ----------
    table : DataFrame, index column
        Columns rho, lo, hi, as in `mmfusion.metrics.ordered_table`; optional random_95, the 95th percentile
        of the absolute trend of random sets. Rows without a trend are left out.
    xlabel : str
        Name of the axis.

    Raises
    ------
    ReportError
        If no row has a trend.

    Examples
    --------
    >>> table = pd.DataFrame({"rho": [0.3], "lo": [0.1], "hi": [0.5], "random_95": [0.2]}, ["hypoxia"])
    >>> [text.get_text() for text in trends(table).axes[0].get_yticklabels()]
    ['hypoxia']
    """
    known = table.dropna(subset=["rho", "lo", "hi"]).sort_values("rho", ascending=False, kind="stable")
    if known.empty:
        raise ReportError("no trend is estimable")
    figure, ax = new_figure(1.1 + 0.24 * len(known))
    y = np.arange(len(known))[::-1]
    if "random_95" in known:
        chance = known["random_95"].fillna(0.0)
        said = "random gene sets of the same size, 95 % of them"
        ax.barh(y, 2 * chance, left=-chance, color=LIGHT, height=0.75, label=said)
        figure.legend(loc="outside upper center")
    ax.axvline(0, color=GREY, lw=1)
    forest(ax, *(known[name].to_numpy() for name in ("rho", "lo", "hi")), colours=[BLUE] * len(known))
    label_rows(ax, [str(name) for name in known.index])
    ax.set_xlabel(xlabel)
    return figure
