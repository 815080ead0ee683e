"""Figure of site effects before and after harmonisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import BLUE, CYCLE, GREY, ORANGE, legend_name, new_figure, styled

if TYPE_CHECKING:
    from mmfusion.quality.separability import SiteSeparability


@styled
def site_effects(found: SiteSeparability) -> Figure:
    """Principal components by site, and each feature's share of variance between sites, before and after.

    Parameters
    ----------
    found : SiteSeparability
        From `quality.site_separability`.

    Raises
    ------
    ReportError
        If there are no patients.

    Examples
    --------
    >>> import pandas as pd
    >>> from mmfusion.quality.separability import SiteSeparability
    >>> table = pd.DataFrame({"auc": [0.9, 0.5]}, index=["before", "after"])
    >>> features = pd.DataFrame({"eta2_before": [0.4], "eta2_after": [0.1]}, index=["volume"])
    >>> places = {f"pc{i}_{state}": [0.0, 1.0] for i in (1, 2) for state in ("before", "after")}
    >>> pca = pd.DataFrame({"site": ["north", "south"], **places}, index=["P1", "P2"])
    >>> figure = site_effects(SiteSeparability(table, features, pca))
    >>> figure.axes[0].get_title(loc="left")
    'before: site AUC 0.90'
    """
    if found.pca.empty:
        raise ReportError("no patients to show")
    sites = sorted(found.pca["site"].unique())
    colours = {s: CYCLE[i % len(CYCLE)] for i, s in enumerate(sites)}
    figure, axes = new_figure(2.9, 1, 3, width_ratios=[1, 1, 1.05])
    for ax, state in zip(axes, ("before", "after")):
        for name, rows in found.pca.groupby("site"):
            points = (rows[f"pc1_{state}"], rows[f"pc2_{state}"])
            ax.scatter(*points, s=11, color=colours[name], alpha=0.75, lw=0, label=legend_name(name))
        ax.set_title(f"{state}: site AUC {found.table.loc[state, 'auc']:.2f}")
        ax.set_xlabel("component 1")
        ax.set_xticks([])
        ax.set_yticks([])
    axes[0].set_ylabel("component 2")
    _shares(axes[2], found)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=min(len(sites), 6), title="site", fontsize=7.5
    )
    return figure


def _shares(ax: Axes, found: SiteSeparability) -> None:
    table = found.features.dropna(subset=["eta2_before"]).sort_values("eta2_before", ascending=False)
    rank = np.arange(1, len(table) + 1)
    for state, colour in (("before", ORANGE), ("after", BLUE)):
        ax.scatter(rank, table[f"eta2_{state}"], s=12, color=colour, lw=0, label=state)
    ax.set_ylim(
        -0.02, 1.02 if table["eta2_before"].max() > 0.6 else max(0.1, 1.15 * table["eta2_before"].max())
    )
    ax.set_title("variance between sites")
    ax.set_xlabel("features, most affected first", color=GREY)
    ax.set_ylabel("share (eta²)")
    ax.legend(handletextpad=0.1)
