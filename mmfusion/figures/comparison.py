"""Figures that compare models, always with intervals."""

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
    legend_name,
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
        From `metrics.score_table`. Index model; columns (metric, mean | lo | hi).
    metric : str
        Name in the first column level of `scores`.
    main : str, optional
        Model that has a colour of its own.
    references : mapping of str to float, optional
        Vertical lines by name. "chance", "majority" and "optimum" have fixed colours. Default: chance at 0.5
        if the metric is an AUC.

    Raises
    ------
    ReportError
        If the metric is not in `scores`.

    Examples
    --------
    >>> scores = pd.DataFrame({("macro_auc", k): [0.7, 0.8] for k in ("mean", "lo", "hi")}, ["ridge", "gmu"])
    >>> model_comparison(scores, main="gmu").axes[0].get_yticklabels()[0].get_text()
    'gmu'
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
    metric: str = "macro_auc",
) -> Figure:
    """Difference of every model to the reference, with two intervals.

    The thick line is the interval of the bootstrap over patients. With several folds, it is widened for
    overlapping training sets, and a thin line is the interval of the corrected t-test over folds.

    Parameters
    ----------
    paired : DataFrame
        From `metrics.paired_table`.
    reference : str
        Reference model of `paired`, for the label.
    main : str, optional
        Model that has a colour of its own.
    detectable : float, optional
        Smallest difference that this number of patients can show (`metrics.minimum_detectable_difference`).
        Smaller differences are shaded, unless it is NaN.
    metric : str
        Metric of the differences, for the label.

    Raises
    ------
    ReportError
        If there is no model other than the reference.

    Examples
    --------
    >>> columns = ["diff", "lo", "hi", "corrected_lo", "corrected_hi", "p_holm"]
    >>> table = pd.DataFrame([[0.05, 0.01, 0.09, -0.01, 0.11, 0.04]], ["crossmodal"], columns)
    >>> figure = paired_differences(table, detectable=0.06)
    """
    if paired.empty:
        raise ReportError("no model other than the reference", expected="two models or more")
    table = paired.sort_values("diff", ascending=False, kind="stable")
    figure, ax = new_figure(1.0 + 0.27 * len(table))
    detectable = detectable if detectable and np.isfinite(detectable) else 0.0
    if detectable:
        ax.axvspan(
            -detectable, detectable, color=LIGHT, alpha=0.6, lw=0, label="too small to detect at this n"
        )
    ax.axvline(0, color=GREY, lw=1)
    y = np.arange(len(table))[::-1]
    folds = table["corrected_lo"].notna().any()
    if folds:
        corrected = table["corrected_lo"], table["corrected_hi"]
        ax.hlines(y, *corrected, color=GREY, lw=0.9, label="corrected t-test over folds")
    colours = [BLUE if main in (None, name) else INK for name in table.index]
    forest(ax, table["diff"].to_numpy(), table["lo"].to_numpy(), table["hi"].to_numpy(), colours=colours)
    ax.plot([], [], color=INK, lw=2, label=f"over patients{', widened for the folds' if folds else ''}")
    label_rows(ax, list(table.index))
    reach = 1.8 * max(np.nanmax(np.abs(table[["lo", "hi"]].to_numpy())), detectable)
    low, high = ax.get_xlim()
    ax.set_xlim(max(low, -reach), min(high, reach))  # with few folds, thin lines may be cut off
    texts = [
        f"{d:+.3f}  p {p:.2f}" if p >= 0.01 else f"{d:+.3f}  p<.01"
        for d, p in zip(table["diff"], table["p_holm"], strict=True)
    ]
    _write(ax, table, texts)
    ax.set_xlabel(f"difference in {metric_title(metric)} to {reference}, 95 % intervals (p: Holm)")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def modality_ablation(table: pd.DataFrame, *, optimum: Mapping[str, float] | None = None) -> Figure:
    """Macro-AUC for each set of modalities given to the model, beside the best possible value if it is known.

    Parameters
    ----------
    table : DataFrame
        Rows of `scores["macro_auc"]`. Index: the modalities given, in the order to show; columns mean, lo,
        hi.
    optimum : mapping of str to float, optional
        Best possible macro-AUC of a row.

    Examples
    --------
    >>> table = pd.DataFrame({"mean": [0.8, 0.7], "lo": [0.7, 0.6], "hi": [0.9, 0.8]}, ["rna + ehr", "ehr"])
    >>> figure = modality_ablation(table, optimum={"ehr": 0.75})
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
    """Metric within groups of patients, such as patients with the same modalities.

    Parameters
    ----------
    table : DataFrame
        From `metrics.scores_by_group`: columns model, group, n, mean, lo, hi.
    smallest : int
        Smallest group that is plotted. Smaller groups are listed without a value, because the value would be
        unreliable.

    Raises
    ------
    ReportError
        If there are no groups.

    Examples
    --------
    >>> row = {"model": "ridge", "group": "site A", "n": 40, "mean": 0.7, "lo": 0.6, "hi": 0.8}
    >>> figure = by_presence(pd.DataFrame([row, row | {"group": "site B", "n": 4}]))
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
            label=legend_name(model),
        )
        for low in at[~shown] if m == 0 else ():
            ax.text(0.5, low, " too few patients", color=GREY, fontsize=8, va="center")
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
    """Macro-AUC by number of training patients; it shows if more patients would help.

    Parameters
    ----------
    table : DataFrame
        From `NestedResult.learning_curve()`: columns model, n_train, mean, lo, hi.
    references : mapping of str to float, optional
        Horizontal lines by name, as in `model_comparison`. Default: chance at 0.5.

    Raises
    ------
    ReportError
        If the table is empty because no learning curve was computed.

    Examples
    --------
    >>> row = {"model": "ridge", "n_train": 50, "mean": 0.7, "lo": 0.6, "hi": 0.8}
    >>> figure = learning_curve(pd.DataFrame([row, row | {"n_train": 100, "mean": 0.75}]))
    """
    if table.empty:
        raise ReportError("no learning curve to show", hint="nested_cv(..., learning_curve=[0.25, 0.5])")
    figure, ax = new_figure(3.1, width=5.4)
    for i, (model, rows) in enumerate(table.groupby("model", sort=False)):
        colour = CYCLE[i % len(CYCLE)]
        ax.fill_between(rows["n_train"], rows["lo"], rows["hi"], color=colour, alpha=0.15, lw=0)
        ax.plot(
            rows["n_train"], rows["mean"], "o-", color=colour, ms=5, mec="white", label=legend_name(model)
        )
    for name, value in ({"chance": 0.5} if references is None else references).items():
        ax.axhline(value, color=_LINES.get(name, GREY), lw=1, ls="--")
        look = {"fontsize": 8, "va": "center", "color": _LINES.get(name, GREY)}
        ax.annotate(name, (1, value), xycoords=("axes fraction", "data"), **look)
    ax.set_xlabel("training patients")
    ax.set_ylabel("macro-AUC")
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _lines(ax: object, references: Mapping[str, float]) -> None:
    for name, value in references.items():
        colour = _LINES.get(name, GREY)
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        look = {"ha": "center", "va": "bottom", "fontsize": 8, "color": colour}
        ax.axvline(value, color=colour, lw=1.1, ls="--", zorder=0)
        ax.annotate(f"{name} {value:.2f}", (value, 1), (0, 2), **place, **look)


def _write(ax: object, table: pd.DataFrame, texts: list[str] | None = None) -> None:
    """Write one text per row at the right edge; by default, the mean with its interval."""
    texts = texts or [f"{r['mean']:.3f} [{r['lo']:.3f}, {r['hi']:.3f}]" for _, r in table.iterrows()]
    for y, text in zip(np.arange(len(table))[::-1], texts, strict=True):
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=INK)
