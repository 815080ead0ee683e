"""Figures of the importance of genes and modalities, labelled as candidate associations."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import (
    BLUE,
    CYCLE,
    GREY,
    INK,
    LIGHT,
    RED,
    class_colours,
    legend_name,
    new_figure,
    styled,
)

if TYPE_CHECKING:  # they load torch
    from mmfusion.explain.gene_attribution import GeneAttribution
    from mmfusion.explain.modalities import ModalityAttribution


@styled
def gene_bars(sizes: pd.DataFrame, *, n: int = 20, highlight: Collection[str] = ()) -> Figure:
    """Bar chart of the n genes with the largest mean |SHAP value|, by class.

    Parameters
    ----------
    sizes : DataFrame, shape (n_genes, n_classes)
        Mean |SHAP value| (probability), from `GeneAttribution.table()["mean_abs"]` or a mean over folds.
        Index gene, largest first; one column per class.
    n : int
        Number of genes to show.
    highlight : collection of str
        Genes to mark, such as those planted in a phantom.

    Raises
    ------
    ReportError
        If there are no genes.

    Examples
    --------
    >>> sizes = pd.DataFrame({"early": [0.1, 0.02], "late": [0.1, 0.01]}, index=["EGFR", "KRAS"])
    >>> figure = gene_bars(sizes, highlight=["EGFR"])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['KRAS', 'EGFR']
    """
    if sizes.empty:
        raise ReportError("no genes to show")
    top = sizes.iloc[:n][::-1]
    figure, ax = new_figure(0.9 + 0.2 * len(top), width=5.6)
    left = np.zeros(len(top))
    for name, colour in class_colours(sizes.columns).items():
        values = top[top.columns[list(map(str, top.columns)).index(name)]].to_numpy()
        ax.barh(range(len(top)), values, left=left, color=colour, height=0.72, label=legend_name(name))
        left += values
    _gene_labels(ax, top.index, highlight)
    ax.set_xlabel("mean |SHAP value|, summed over classes (probability)\ncandidate associations")
    ax.margins(y=0.01)
    ax.legend(title="class", loc="lower right")
    return figure


@styled
def gene_intervals(
    genes: pd.DataFrame, *, n: int = 20, fdr: float = 0.1, highlight: Collection[str] = ()
) -> Figure:
    """Mean |SHAP value| of the n leading genes with its interval over patients.

    Points are filled if the gene has q < `fdr`. If no q was computed, all points are hollow.

    Parameters
    ----------
    genes : DataFrame
        From `explain.genes`: index gene, most important first; columns mean_abs_shap, lower, upper
        (probability) and q.
    n : int
        Number of genes to show.
    fdr : float
        False discovery rate, 0 to 1.
    highlight : collection of str
        Genes to mark, such as those planted in a phantom.

    Raises
    ------
    ReportError
        If there are no genes.

    Examples
    --------
    >>> row = {"mean_abs_shap": 0.1, "lower": 0.08, "upper": 0.12, "q": 0.05}
    >>> figure = gene_intervals(pd.DataFrame([row], index=["EGFR"]))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['EGFR']
    """
    if genes.empty:
        raise ReportError("no genes to show")
    top = genes.iloc[:n][::-1]
    y, found = np.arange(len(top)), (top["q"] < fdr).to_numpy()
    figure, ax = new_figure(0.9 + 0.2 * len(top), width=5.6)
    ax.hlines(y, top["lower"], top["upper"], color=BLUE, lw=2, alpha=0.5)
    for some, colour, label in ((found, BLUE, f"q < {fdr:g}"), (~found, "white", f"q not below {fdr:g}")):
        if some.any():
            x = top["mean_abs_shap"][some]
            label = label if top["q"].notna().any() else "q was not computed"
            ax.scatter(x, y[some], color=colour, edgecolor=BLUE, s=26, zorder=3, label=label)
    _gene_labels(ax, top.index, highlight)
    ax.set_xlim(left=0)
    ax.margins(y=0.02)
    ax.set_xlabel("mean |SHAP value| (probability), 95 % interval over patients\ncandidate associations")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@styled
def gene_beeswarm(
    attribution: GeneAttribution, class_: str, *, n: int = 15, highlight: Collection[str] = ()
) -> Figure:
    """SHAP values of the leading genes for one class, one dot per patient, coloured by expression.

    Parameters
    ----------
    attribution : GeneAttribution
        From `explain.gene_attribution`.
    class_ : str
        Class whose probability is explained.
    n : int
        Number of genes to show.
    highlight : collection of str
        Genes to mark, such as those planted in a phantom.

    Raises
    ------
    DataError
        If the attribution has no such class.

    Examples
    --------
    >>> from mmfusion.explain.attributions import GeneAttribution
    >>> values = np.array([[[0.1], [0.0]], [[-0.3], [0.1]]])
    >>> expression, base = np.array([[1.0, 0.0], [-3.0, 0.5]]), np.full((2, 1), 0.5)
    >>> output = base + values.sum(axis=1)
    >>> found = GeneAttribution(values, expression, output, base, ("P1", "P2"), ("EGFR", "KRAS"), ("I",))
    >>> figure = gene_beeswarm(found, "I")
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['KRAS', 'EGFR']
    """
    values = attribution.values_of(class_)
    top = list(attribution.mean_abs(class_).index[:n])[::-1]
    expression = pd.DataFrame(attribution.expression, columns=attribution.genes)
    figure, ax = new_figure(1.0 + 0.25 * len(top), width=6.0)
    ax.axvline(0, color=GREY, lw=1)
    for row, gene in enumerate(top):
        v = values[gene].to_numpy()
        dots = ax.scatter(v, row + _swarm(v), c=expression[gene], cmap="cividis", vmin=-2, vmax=2, s=9, lw=0)
    _gene_labels(ax, top, highlight)
    ax.set_ylim(-0.7, len(top) - 0.3)
    ax.set_xlabel(f"SHAP value for {class_} (probability)\ncandidate associations")
    bar = figure.colorbar(dots, ax=ax, shrink=0.5, pad=0.01, ticks=[-2, 0, 2])
    bar.set_label("expression (z-score)")
    bar.outline.set_visible(False)
    return figure


@styled
def gene_null(table: pd.DataFrame, *, n: int = 20, fdr: float = 0.05) -> Figure:
    """Importance of the leading genes, compared with models fitted to permuted labels.

    Parameters
    ----------
    table : DataFrame
        From `explain.null_attribution`. Index gene; columns observed, null_mean, null_sd (mean |SHAP value|,
        probability) and q (false discovery rate).
    n : int
        Number of genes to show.
    fdr : float
        False discovery rate, 0 to 1. The dots of genes at or below it are filled.

    Examples
    --------
    >>> row = {"observed": 0.1, "null_mean": 0.02, "null_sd": 0.01, "q": 0.01}
    >>> figure = gene_null(pd.DataFrame([row], index=["EGFR"]))
    """
    top = table.iloc[:n][::-1]
    y = np.arange(len(top))
    figure, ax = new_figure(0.9 + 0.2 * len(top), width=5.6)
    left, label = top["null_mean"] - 2 * top["null_sd"], "permuted labels, mean ± 2 SD"
    ax.barh(y, 4 * top["null_sd"], left=left, color=LIGHT, height=0.7, label=label)
    ax.plot(top["null_mean"], y, "|", color=GREY, ms=8)
    found = (top["q"] <= fdr).to_numpy()
    ax.scatter(top["observed"][found], y[found], color=BLUE, s=26, zorder=3, label=f"FDR ≤ {fdr:g}")
    ax.scatter(
        top["observed"][~found],
        y[~found],
        facecolor="white",
        edgecolor=BLUE,
        s=26,
        zorder=3,
        label=f"FDR > {fdr:g}",
    )
    _gene_labels(ax, top.index, ())
    ax.set_xlim(left=0)
    ax.margins(y=0.02)
    ax.set_xlabel("mean |SHAP value| (probability)\ncandidate associations")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def modality_contributions(attribution: ModalityAttribution) -> Figure:
    """Mean |Shapley value| of each modality for each class's probability, and its spread over patients.

    The column of a modality leaves out patients who lack it.

    Parameters
    ----------
    attribution : ModalityAttribution
        From `explain.modalities`.

    Examples
    --------
    >>> from mmfusion.explain.modalities import ModalityAttribution
    >>> values, present = np.array([[[0.2], [-0.1]]]), np.array([[True, True]])
    >>> output, base = np.array([[0.6]]), np.array([0.5])
    >>> found = ModalityAttribution(values, present, output, base, ("P1",), ("ct", "rna"), ("I",))
    >>> figure = modality_contributions(found)
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['ct', 'rna']
    """
    size = attribution.mean_abs()
    figure, (left, right) = new_figure(2.7, 1, 2, width_ratios=[1, 1.25])
    colours = class_colours(attribution.classes)
    width = 0.8 / len(colours)
    for k, (name, colour) in enumerate(colours.items()):
        left.bar(
            np.arange(len(size)) + (k - (len(colours) - 1) / 2) * width,
            size[name],
            width * 0.9,
            color=colour,
            label=legend_name(name),
        )
    left.set_xticks(range(len(size)), size.index)
    left.set_ylabel("mean |Shapley value|")
    left.legend(title="class", ncols=len(colours), loc="upper center", bbox_to_anchor=(0.5, 1.28))
    severe = attribution.classes[-1]
    values = attribution.values_of(severe)
    right.axhline(0, color=GREY, lw=1)
    for j, modality in enumerate(attribution.modalities):
        v = values[modality][attribution.present[:, j]].to_numpy()
        right.scatter(j + 0.9 * _swarm(v, width=0.35), v, s=9, color=CYCLE[j % len(CYCLE)], alpha=0.8, lw=0)
    right.set_xticks(range(len(attribution.modalities)), attribution.modalities)
    right.set_ylabel(f"Shapley value for {severe}")
    return figure


def _gene_labels(ax: object, genes: Collection[str], highlight: Collection[str]) -> None:
    ax.set_yticks(range(len(genes)), list(genes))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    for label in ax.get_yticklabels():
        marked = label.get_text() in set(highlight)
        label.set(color=RED if marked else INK, fontweight="bold" if marked else "normal", fontstyle="italic")


def _swarm(values: np.ndarray, bins: int = 60, width: float = 0.38) -> np.ndarray:
    """Return offsets that separate points with similar values; equal values give equal offsets."""
    span = np.ptp(values)
    cell = (
        np.zeros(len(values), int)
        if span == 0
        else np.floor((values - values.min()) / span * (bins - 1)).astype(int)
    )
    offsets = np.zeros(len(values))
    widest = max(np.bincount(cell).max(), 2)
    for c in np.unique(cell):
        members = np.flatnonzero(cell == c)
        steps = np.arange(len(members)) - (len(members) - 1) / 2
        offsets[members] = steps * min(0.07, 2 * width / widest)
    return offsets
