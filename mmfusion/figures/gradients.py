"""Figure of the cosine between the gradients of two tasks over training."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmfusion.errors import ReportError
from mmfusion.figures.style import BLUE, GREY, new_figure, styled


@styled
def gradient_cosines(cosines: pd.DataFrame) -> Figure:
    """Cosine between the gradients of two tasks by epoch: each fold, and the mean over folds.

    Parameters
    ----------
    cosines : DataFrame
        Columns fold, epoch, cosine.

    Raises
    ------
    ReportError
        If there are no rows.

    Examples
    --------
    >>> table = pd.DataFrame({"fold": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], "cosine": [0.1, 0.0, 0.3, -0.2]})
    >>> len(gradient_cosines(table).axes[0].lines)  # two folds, the mean, and 0
    4
    """
    if cosines.empty:
        raise ReportError("no cosines to show", hint="log_cosine=True records them")
    figure, ax = new_figure(2.6, width=5.6)
    ax.axhline(0, color=GREY, lw=0.8, ls="--")
    for k, (_, fold) in enumerate(cosines.groupby("fold")):
        ax.plot(fold["epoch"], fold["cosine"], color=GREY, lw=0.9, label=None if k else "single folds")
    mean = cosines.groupby("epoch")["cosine"].mean()
    ax.plot(mean.index, mean, "o-", color=BLUE, ms=4, mec="white", label="mean over folds")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel="cosine of the gradients")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
