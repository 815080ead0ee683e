"""One look for all figures: sizes, colours that colour-blind readers tell apart, and no global state."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from mmfusion.imaging.colours import BLUE, GREEN, ORANGE, PURPLE, RED, SKY
from mmfusion.imaging.views.scene import View

WIDTH = 7.2  # inches: a report's column
GREY, LIGHT, INK = "#8c8c8c", "#e3e3e3", "#222222"
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

# the same on every page, under every target (`data.tnm.TARGETS`): part of a stage, or several, may share its colour
_STAGES = {"I": BLUE, "II": GREEN, "III": ORANGE, "IV": RED, "IIIA": ORANGE, "IIIB": PURPLE,
           "I-II": SKY, "II-IV": RED, "III-IV": RED}  # fmt: skip
_RC = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "figure.titlesize": 10.5,
    "figure.titleweight": "bold",
}

styled = rc_context(_RC)  # decorates every function that makes a figure; settings are as they were afterwards


def new_figure(
    height: float, n_rows: int = 1, n_cols: int = 1, *, width: float = WIDTH, **options: object
) -> tuple[View, object]:
    """An empty figure and its axes, as `Figure.subplots` returns them."""
    figure = View(figsize=(width, height), layout="compressed")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    return figure, figure.subplots(n_rows, n_cols, **options)


def new_grid(
    n: int, *, columns: int, row: float, rest: float, panel: float | None = None, **options: object
) -> tuple[View, np.ndarray]:
    """A figure of `n` panels, at most `columns` side by side; those left over in the last row are hidden.

    Parameters
    ----------
    row, rest : float
        Height of a row of panels, and of what stands above and below them, inches.
    panel : float, optional
        Width of a panel; default an equal share of the report's column.

    Returns
    -------
    figure : View
    axes : ndarray of Axes, shape (rows, columns)
    """
    columns = min(columns, n)
    rows = -(-n // columns)
    width = WIDTH if panel is None else panel * columns
    figure, axes = new_figure(row * rows + rest, rows, columns, width=width, squeeze=False, **options)
    for ax in axes.flat[n:]:
        ax.set_visible(False)
    return figure, axes


def class_colours(classes: Sequence[object]) -> dict[str, str]:
    """A colour for each class: that of its stage, of other names by their order."""
    names = [str(c) for c in classes]
    free = [c for c in CYCLE if c not in {_STAGES.get(name) for name in names}] or CYCLE
    by_order = dict(zip([name for name in names if name not in _STAGES], cycle(free)))
    return {name: _STAGES.get(name) or by_order[name] for name in names}


def forest(
    ax: Axes, mean: Sequence[float], lo: Sequence[float], hi: Sequence[float], **style: object
) -> None:
    """Points with intervals, the first on top."""
    y = np.arange(len(mean))[::-1]
    colours = style.pop("colours", [BLUE] * len(mean))
    for i in range(len(mean)):
        ax.plot([lo[i], hi[i]], [y[i], y[i]], color=colours[i], lw=2, solid_capstyle="butt", alpha=0.75)
    ax.scatter(mean, y, color=colours, s=30, zorder=3, edgecolor="white", linewidth=0.7)
    ax.set_ylim(-0.6, len(mean) - 0.4)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def label_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Names of the rows of a forest plot, the first on top."""
    ax.set_yticks(np.arange(len(labels))[::-1], labels)


def annotate_cells(ax: Axes, values: np.ndarray, texts: Sequence[Sequence[str]], dark: float = 0.55) -> None:
    """Write texts into the cells of an image of values in [0, 1]; white where the cell is dark."""
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            colour = "white" if values[i, j] > dark else INK
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)


def bare(ax: Axes) -> None:
    """No frame, no ticks."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
