"""One look for all figures: sizes, colours that colour-blind readers tell apart, and no global state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from mmfusion.imaging.views.scene import View

WIDTH = 7.2  # inches: a report's column
GREY, LIGHT, INK = "#8c8c8c", "#e3e3e3", "#222222"
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"  # Okabe-Ito
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

_SEVERITY = {2: (BLUE, RED), 3: (BLUE, ORANGE, RED), 4: (BLUE, GREEN, ORANGE, RED), 5: (BLUE, SKY, GREEN, ORANGE, RED)}
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


def class_colours(classes: Sequence[object]) -> dict[str, str]:
    """A colour for each class, from mild to severe."""
    colours = _SEVERITY.get(len(classes)) or [CYCLE[i % len(CYCLE)] for i in range(len(classes))]
    return {str(c): colour for c, colour in zip(classes, colours, strict=True)}


def forest(ax: Axes, mean: Sequence[float], lo: Sequence[float], hi: Sequence[float], **style: object) -> None:
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


def pretty(metric: str) -> str:
    """The name of a metric as people write it."""
    return metric.replace("_", " ").replace("auc", "AUC").replace("f1", "F1").replace("ece", "ECE")


def bare(ax: Axes) -> None:
    """No frame, no ticks."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
