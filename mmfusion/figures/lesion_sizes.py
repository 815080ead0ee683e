"""Figure of measured against true sizes of lesions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from mmfusion.errors import ReportError
from mmfusion.figures.style import CYCLE, GREY, new_figure, styled

_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
# columns, title, logarithmic?
_PAIRS = (
    ("true_ml", "volume_ml", "Volume, mL", True),
    ("true_longest_mm", "longest_mm", "Longest diameter, mm", False),
)


@styled
def measured_sizes(table: pd.DataFrame) -> Figure:
    """Draw measured against true volumes and diameters, and the Dice against the true volume.

    Parameters
    ----------
    table : DataFrame
        One row per lesion; columns `volume_ml`, `true_ml`, `longest_mm`, `true_longest_mm`, `dice`. Rows
        without a true volume are left out.

    Raises
    ------
    ReportError
        If no lesion has a true volume.

    Examples
    --------
    >>> table = pd.DataFrame({"volume_ml": [4.0], "true_ml": [5.0], "longest_mm": [20.0],
    ...                       "true_longest_mm": [21.0], "dice": [0.9]})
    >>> [ax.get_title(loc="left") for ax in measured_sizes(table).axes]
    ['Volume, mL', 'Longest diameter, mm', 'Dice']
    """
    known = table.dropna(subset=["true_ml", "dice"])
    if known.empty:
        raise ReportError("no lesion has a true mask")
    figure, axes = new_figure(2.9, 1, 3)
    for ax, (true, measured, title, logarithmic) in zip(axes, _PAIRS):
        _against(ax, known[true], known[measured], logarithmic=logarithmic)
        ax.set(xlabel="true", ylabel="measured")
        ax.set_title(title, loc="left")
    axes[2].scatter(known["true_ml"], known["dice"], s=18, color=CYCLE[0], alpha=0.8)
    axes[2].set(xscale="log", ylim=(0, 1), xlabel="true volume, mL")
    axes[2].set_title("Dice", loc="left")
    axes[2].set_box_aspect(1)
    for axis in (axes[0].xaxis, axes[0].yaxis, axes[2].xaxis):
        axis.set_major_formatter(_PLAIN)
        axis.set_minor_formatter(NullFormatter())
    return figure


def _against(ax: Axes, true: pd.Series, measured: pd.Series, *, logarithmic: bool) -> None:
    """Draw points and the line of equality, with equal axes."""
    both = np.concatenate([true, measured])
    low, high = float(both.min()), float(both.max())
    ends = (low / 1.3, high * 1.3) if logarithmic else (max(low - 3, 0), high + 3)
    ax.plot(ends, ends, color=GREY, linewidth=1)
    ax.scatter(true, measured, s=18, color=CYCLE[0], alpha=0.8)
    scale = "log" if logarithmic else "linear"
    ax.set(xscale=scale, yscale=scale, xlim=ends, ylim=ends)
    ax.set_box_aspect(1)
