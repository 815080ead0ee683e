"""Figure of the correlation of predicted expression with the true one, beside its permutation null."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import GREEN, GREY, LIGHT, forest, label_rows, new_figure, styled


@styled
def correlation_null(
    scores: pd.DataFrame,
    null: pd.DataFrame,
    *,
    best: Mapping[str, float] | None = None,
    permuted: str = "expression",
) -> Figure:
    """Draw the correlation of each gene with its interval, and the range of the permutations.

    Parameters
    ----------
    scores : DataFrame, index gene
        Columns mean, lo, hi: Pearson's correlation with its 95 % interval over patients.
    null : DataFrame, index gene
        Column null_95, the 95th percentile of the permutations, as in
        `mmfusion.radiogenomics.ExpressionNull.table`. Other rows are not used.
    best : mapping of str to float, optional
        Gene -> best possible correlation, where it is known.
    permuted : str
        Name of what was permuted.

    Raises
    ------
    ReportError
        If there is no gene, or a gene has no permutations.

    Examples
    --------
    >>> scores = pd.DataFrame({"mean": [0.4], "lo": [0.2], "hi": [0.6]}, ["EGFR"])
    >>> figure = correlation_null(scores, pd.DataFrame({"null_95": [0.15]}, ["EGFR"]))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['EGFR']
    """
    if scores.empty:
        raise ReportError("no genes to show")
    if absent := [str(gene) for gene in scores.index if gene not in null.index]:
        raise ReportError("genes without permutations", column=", ".join(absent))
    order = scores.sort_values("mean", ascending=False, kind="stable")
    y = np.arange(len(order))[::-1]
    figure, ax = new_figure(1.0 + 0.27 * len(order), width=5.6)
    chance = null["null_95"].loc[order.index]
    ax.barh(y, chance, color=LIGHT, height=0.7, label=f"permuted {permuted}, up to the 95th percentile")
    ax.axvline(0, color=GREY, lw=1)
    forest(ax, *(order[name].to_numpy() for name in ("mean", "lo", "hi")))
    if best:
        known = [(best[gene], k) for gene, k in zip(order.index, y, strict=True) if gene in best]
        ax.plot(*zip(*known, strict=True), "|", color=GREEN, ms=11, mew=2, label="best possible")
    label_rows(ax, [str(gene) for gene in order.index])
    ax.set_xlabel("Pearson correlation, 95 % interval over patients")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
