"""Figures that set models side by side, always with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import (
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    forest,
    label_rows,
    new_figure,
    styled,
)
from mmfusion.metrics.names import metric_title

_LINES = {"chance": GREY, "majority": ORANGE, "optimum": GREEN}


@styled
def model_comparison(
    scores: pd.DataFrame,
    *,
    metric: str = "macro_auc",
    main: str | None = None,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """One metric of every model with its 95 % interval, best on top.

    Parameters
    ----------
    scores : DataFrame
        From `metrics.score_table`.
    metric : str
        Its first column level.
    main : str, optional
        The model to be told apart by colour.
    references : mapping of str to float, optional
        Lines: "chance", "majority", "optimum" have colours of their own. Default chance at 0.5 for an AUC.

    Raises
    ------
    ReportError
        If the metric is not in `scores`.
    """
    if metric not in scores.columns.unique(0):
        raise ReportError(f"no metric {metric!r} to show", expected=", ".join(scores.columns.unique(0)))
    table = scores[metric].sort_values("mean", ascending=False, kind="stable")
    if references is None:
        references = {"chance": 0.5} if "auc" in metric else {}
    colours = [BLUE if main in (None, name) else INK for name in table.index]
    figure, ax = new_figure(0.9 + 0.27 * len(table))
    _lines(ax, references)
    forest(ax, table["mean"].to_numpy(), table["lo"].to_numpy(), table["hi"].to_numpy(), colours=colours)
    label_rows(ax, list(table.index))
    _write(ax, table)
    for label in ax.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == main else "normal")
    ax.set_xlabel(f"{metric_title(metric)}, 95 % interval over patients")
    return figure


@styled
def paired_differences(
    paired: pd.DataFrame,
    *,
    reference: str = "ridge",
    main: str | None = None,
    detectable: float | None = None,
) -> Figure:
    """Every model minus the reference: bootstrap over patients (thick), corrected for overlapping training sets (thin).

    Parameters
    ----------
    paired : DataFrame
        From `metrics.paired_table`.
    reference : str
        Its reference, for the label.
    main : str, optional
        The model to be told apart by colour.
    detectable : float, optional
        Smallest difference that this n could show (`metrics.minimum_detectable_difference`): shaded.

    Raises
    ------
    ReportError
        If there is nothing to compare.
    """
    if paired.empty:
        raise ReportError("no model beside the reference", expected="two models or more")
    table = paired.sort_values("diff", ascending=False, kind="stable")
    figure, ax = new_figure(1.0 + 0.27 * len(table))
    if detectable:
        ax.axvspan(
            -detectable, detectable, color=LIGHT, alpha=0.6, lw=0, label="below what this n could detect"
        )
    ax.axvline(0, color=GREY, lw=1)
    y = np.arange(len(table))[::-1]
    ax.hlines(
        y, table["corrected_lo"], table["corrected_hi"], color=GREY, lw=0.9, label="corrected t, over folds"
    )
    colours = [BLUE if main in (None, name) else INK for name in table.index]
    forest(ax, table["diff"].to_numpy(), table["lo"].to_numpy(), table["hi"].to_numpy(), colours=colours)
    ax.plot([], [], color=INK, lw=2, label="bootstrap, over patients")
    label_rows(ax, list(table.index))
    reach = 1.8 * max(np.nanmax(np.abs(table[["lo", "hi"]].to_numpy())), detectable or 0.0)
    low, high = ax.get_xlim()
    ax.set_xlim(max(low, -reach), min(high, reach))  # few folds: thin lines may run out of the picture
    texts = [
        f"{d:+.3f}  p {p:.2f}" if p >= 0.01 else f"{d:+.3f}  p<.01"
        for d, p in zip(table["diff"], table["p_holm"], strict=True)
    ]
    _write(ax, table, texts)
    ax.set_xlabel(f"difference in macro-AUC to {reference}, 95 % intervals (p: Holm)")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def modality_ablation(table: pd.DataFrame, *, optimum: Mapping[str, float] | None = None) -> Figure:
    """Macro-AUC by which modalities the model was given, next to what is possible with them where that is known.

    Parameters
    ----------
    table : DataFrame
        Index: what was given, in the order to show; columns mean, lo, hi (rows of `scores["macro_auc"]`).
    optimum : mapping of str to float, optional
        Best possible value of a row.
    """
    figure, ax = new_figure(1.0 + 0.32 * len(table))
    ax.axvline(0.5, color=GREY, lw=1, ls="--")
    forest(ax, table["mean"].to_numpy(), table["lo"].to_numpy(), table["hi"].to_numpy())
    label_rows(ax, list(table.index))
    _write(ax, table)
    y = np.arange(len(table))[::-1]
    known = [(optimum[name], y[i]) for i, name in enumerate(table.index) if optimum and name in optimum]
    if known:
        ax.scatter(
            *zip(*known, strict=True),
            marker="D",
            s=26,
            facecolor="white",
            edgecolor=GREEN,
            zorder=4,
            label="optimum",
        )
        figure.legend(loc="outside upper right")
    ax.set_xlabel("macro-AUC, 95 % interval over patients (dashed: chance)")
    return figure


@styled
def by_presence(table: pd.DataFrame, *, smallest: int = 10) -> Figure:
    """A metric within groups of patients, such as those who have the same modalities.

    Parameters
    ----------
    table : DataFrame
        From `metrics.scores_by_group`: columns model, group, n, mean, lo, hi.
    smallest : int
        Groups of fewer patients are named, not plotted: their numbers would say nothing.

    Raises
    ------
    ReportError
        If there are no groups.
    """
    if table.empty:
        raise ReportError("no groups to show")
    groups = table.drop_duplicates("group")[["group", "n"]]
    models = list(table["model"].unique())
    figure, ax = new_figure(1.0 + len(groups) * (0.2 + 0.15 * len(models)))
    ax.axvline(0.5, color=GREY, lw=1, ls="--")
    y = np.arange(len(groups))[::-1]
    for m, model in enumerate(models):
        rows = table[table["model"] == model].set_index("group").reindex(groups["group"])
        shown = ((rows["n"] >= smallest) & rows["mean"].notna()).to_numpy()
        at = y + (0.5 - (m + 0.5) / len(models)) * 0.6
        ax.hlines(
            at[shown], rows["lo"][shown], rows["hi"][shown], color=CYCLE[m % len(CYCLE)], lw=2, alpha=0.75
        )
        ax.scatter(
            rows["mean"][shown],
            at[shown],
            color=CYCLE[m % len(CYCLE)],
            s=28,
            edgecolor="white",
            zorder=3,
            label=model,
        )
        for at_y in at[~shown] if m == 0 else ():
            ax.text(0.5, at_y, " too few to say", color=GREY, fontsize=8, va="center")
    label_rows(ax, [f"{g}  (n={n})" for g, n in groups.itertuples(index=False)])
    ax.set_ylim(-0.6, len(groups) - 0.4)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("macro-AUC, 95 % interval over patients (dashed: chance)")
    if len(models) > 1:
        figure.legend(loc="outside upper center", ncols=min(4, len(models)))
    return figure


@styled
def learning_curve(table: pd.DataFrame, *, references: Mapping[str, float] | None = None) -> Figure:
    """Macro-AUC by the number of training patients: whether more of them would help.

    Parameters
    ----------
    table : DataFrame
        Columns model, n_train, mean, lo, hi (`NestedResult.learning_curve()`).
    references : mapping of str to float, optional
        Lines, as in `model_comparison`.

    Raises
    ------
    ReportError
        If the curve was not asked for.
    """
    if table.empty:
        raise ReportError("no learning curve to show", hint="nested_cv(..., learning_curve=[0.25, 0.5])")
    figure, ax = new_figure(3.1, width=5.4)
    for i, (model, rows) in enumerate(table.groupby("model", sort=False)):
        colour = CYCLE[i % len(CYCLE)]
        ax.fill_between(rows["n_train"], rows["lo"], rows["hi"], color=colour, alpha=0.15, lw=0)
        ax.plot(rows["n_train"], rows["mean"], "o-", color=colour, ms=5, mec="white", label=model)
    for name, value in ({"chance": 0.5} if references is None else references).items():
        ax.axhline(value, color=_LINES.get(name, GREY), lw=1, ls="--")
        ax.annotate(
            name,
            (1, value),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="center",
            color=_LINES.get(name, GREY),
        )
    ax.set_xlabel("training patients")
    ax.set_ylabel("macro-AUC")
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _lines(ax: object, references: Mapping[str, float]) -> None:
    for name, value in references.items():
        colour = _LINES.get(name, GREY)
        ax.axvline(value, color=colour, lw=1.1, ls="--", zorder=0)
        ax.annotate(
            f"{name} {value:.2f}", (value, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=8, color=colour,
        )  # fmt: skip


def _write(ax: object, table: pd.DataFrame, texts: list[str] | None = None) -> None:
    """Numbers at the right edge, a row each."""
    texts = texts or [f"{r['mean']:.3f} [{r['lo']:.3f}, {r['hi']:.3f}]" for _, r in table.iterrows()]
    for y, text in zip(np.arange(len(table))[::-1], texts, strict=True):
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=INK)
