"""Common style of all figures: sizes, and colours that colour-blind readers can distinguish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes

from mmfusion.imaging.colours import BLUE, GREEN, ORANGE, PURPLE, RED, SKY
from mmfusion.imaging.views.settings import drawn_with
from mmfusion.imaging.views.view import View

WIDTH = 7.2  # inches, the width of a report's column
GREY, LIGHT, INK = "#8c8c8c", "#e3e3e3", "#222222"
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

# a stage has the same colour for every target; a part or a union of stages may share a colour
_STAGES = {
    "I": BLUE,
    "II": GREEN,
    "III": ORANGE,
    "IV": RED,
    "IIIA": ORANGE,
    "IIIB": PURPLE,
    "I-II": SKY,
    "II-IV": RED,
    "III-IV": RED,
}
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


def styled(draw: Callable[..., View]) -> Callable[..., View]:
    """Decorate a function that makes a figure: it has the common style, and its texts are shown as they are.

    >>> @styled
    ... def titled(title):
    ...     figure, ax = new_figure(2.0)
    ...     ax.set_title(title)
    ...     return figure
    >>> titled("$a$").axes[0].title.get_parse_math()
    False
    """

    @wraps(draw)
    def drawn(*args: object, **options: object) -> View:
        return draw(*args, **options).literal()

    return drawn_with(_RC)(drawn)


def new_figure(
    height: float, n_rows: int = 1, n_cols: int = 1, *, width: float = WIDTH, **options: object
) -> tuple[View, object]:
    """Return an empty figure and its axes.

    Parameters
    ----------
    height, width : float
        Size in inches.
    n_rows, n_cols : int
        Grid of panels.
    **options
        Passed to `Figure.subplots`.

    Examples
    --------
    >>> figure, axes = new_figure(2.0, 1, 3)
    >>> axes.shape
    (3,)
    """
    figure = View(figsize=(width, height), layout="compressed")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    return figure, figure.subplots(n_rows, n_cols, **options)


def new_grid(
    n: int, *, columns: int, row: float, rest: float, panel: float | None = None, **options: object
) -> tuple[View, np.ndarray]:
    """Return a figure with a grid of panels; unused panels of the last row are hidden.

    Parameters
    ----------
    n : int
        Number of panels.
    columns : int
        Largest number of panels in a row.
    row, rest : float
        Height in inches of a row of panels, and of the space above and below the grid.
    panel : float, optional
        Width of a panel in inches. Default: an equal share of the report's column.
    **options
        Passed to `Figure.subplots`.

    Returns
    -------
    figure : View
    axes : ndarray of Axes, shape (rows, columns)

    Examples
    --------
    >>> figure, axes = new_grid(4, columns=3, row=2.0, rest=0.5)
    >>> axes.shape, [ax.get_visible() for ax in axes.flat].count(False)
    ((2, 3), 2)
    """
    columns = min(columns, n)
    rows = -(-n // columns)
    width = WIDTH if panel is None else panel * columns
    figure, axes = new_figure(row * rows + rest, rows, columns, width=width, squeeze=False, **options)
    for ax in axes.flat[n:]:
        ax.set_visible(False)
    return figure, axes


def class_colours(classes: Sequence[object]) -> dict[str, str]:
    """Return a colour for each class: the colour of the stage, or for other names a colour by their order.

    >>> class_colours(["I", "IV"])["I"] == class_colours(["I", "II", "III", "IV"])["I"]
    True
    """
    names = [str(c) for c in classes]
    free = [c for c in CYCLE if c not in {_STAGES.get(name) for name in names}] or CYCLE
    by_order = dict(zip([name for name in names if name not in _STAGES], cycle(free)))
    return {name: _STAGES.get(name) or by_order[name] for name in names}


def forest(
    ax: Axes, mean: Sequence[float], lo: Sequence[float], hi: Sequence[float], **style: object
) -> None:
    """Draw points with horizontal intervals, the first on top.

    `mean`, `lo` and `hi` have shape (n,). `style` may hold `colours`, one per point.

    Examples
    --------
    >>> figure, ax = new_figure(2.0)
    >>> forest(ax, mean=[0.7, 0.6], lo=[0.6, 0.5], hi=[0.8, 0.7])
    >>> len(ax.lines)  # one interval per row
    2
    """
    y = np.arange(len(mean))[::-1]
    colours = style.pop("colours", [BLUE] * len(mean))
    for i in range(len(mean)):
        ax.plot([lo[i], hi[i]], [y[i], y[i]], color=colours[i], lw=2, solid_capstyle="butt", alpha=0.75)
    ax.scatter(mean, y, color=colours, s=30, zorder=3, edgecolor="white", linewidth=0.7)
    ax.set_ylim(-0.6, len(mean) - 0.4)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def label_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Write the names of the rows of a forest plot, the first on top.

    Examples
    --------
    >>> figure, ax = new_figure(2.0)
    >>> label_rows(ax, ["fusion", "ridge"])
    >>> ax.get_yticks().tolist()
    [1, 0]
    """
    ax.set_yticks(np.arange(len(labels))[::-1], labels)


def annotate_cells(ax: Axes, values: np.ndarray, texts: Sequence[Sequence[str]], dark: float = 0.55) -> None:
    """Write texts into the cells of an image, in white where the cell is dark.

    Parameters
    ----------
    ax : Axes
        Axes with the image.
    values : ndarray, shape (rows, columns)
        Values of the image, 0 to 1.
    texts : sequence of sequences of str, shape (rows, columns)
        Text of each cell.
    dark : float
        Value above which a cell is dark, 0 to 1.

    Examples
    --------
    >>> figure, ax = new_figure(2.0)
    >>> annotate_cells(ax, np.array([[0.9, 0.1]]), [["9", "1"]])
    >>> [text.get_color() for text in ax.texts]
    ['white', '#222222']
    """
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            colour = "white" if values[i, j] > dark else INK
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)


def legend_name(name: object) -> str:
    """Return a name for a legend; matplotlib leaves out names that begin with an underscore.

    >>> legend_name("ridge"), legend_name("_x")
    ('ridge', ' _x')
    """
    return f" {name}" if str(name).startswith("_") else str(name)


def bare(ax: Axes) -> None:
    """Remove the frame and the ticks of an axes.

    Examples
    --------
    >>> figure, ax = new_figure(2.0)
    >>> bare(ax)
    >>> len(ax.get_xticks())
    0
    """
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
