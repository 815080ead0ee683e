"""Figures of scores of lesion masks: by group, by position of the slice, and a table of detection."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import CYCLE, GREY, INK, bare, legend_name, new_figure, styled
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.slices import POSITIONS

# columns of the table: metric, lines of the header, number format
_COLUMNS = (
    ("dice", "Dice\nper patient", "{:.2f}"),
    ("dice_pooled", "pooled\nDice", "{:.2f}"),
    ("lesion_sensitivity_pooled", "lesions\nfound", "{:.0%}"),
    ("false_lesions", "false lesions\nper scan", "{:.1f}"),
    ("fn_ml", "FN volume\nmL per scan", "{:.1f}"),
    ("fp_ml", "FP volume\nmL per scan", "{:.1f}"),
)
_LETTERS = 70  # of the names of groups that fit beside each other


@styled
def lesion_scores(predictions: pd.DataFrame, by: str, *, metric: str = "dice") -> Figure:
    """Show a score of every patient by group and model: a point per patient and a box per group.

    Parameters
    ----------
    predictions : DataFrame
        Scores of masks with columns model, patient_id, `by` and `metric`. Repeats of a patient are averaged.
    by : str
        Column with the group, such as "size" or "type". Categories keep their order.
    metric : str
        Column with the score.

    Raises
    ------
    ReportError
        If a column is missing, or if no patient has a score.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "patient_id": list("abc"), "dice": [0.5, 0.8, 0.9]})
    >>> figure = lesion_scores(table.assign(type=["solid", "solid", "cavity"]), "type")
    >>> [text.get_text().splitlines() for text in figure.axes[0].get_xticklabels()]
    [['cavity', 'n = 1'], ['solid', 'n = 2']]
    """
    if absent := [c for c in ("model", "patient_id", by, metric) if c not in predictions]:
        raise ReportError("the scores lack a column", column=", ".join(absent))
    known = predictions.dropna(subset=[metric, by])
    if known.empty:
        raise ReportError("no patient has a score", column=metric)
    means = known.groupby(["model", by, "patient_id"], observed=True, sort=False)[metric].mean().reset_index()
    models = list(dict.fromkeys(means["model"]))
    groups = [group for group, _ in means.groupby(by, observed=True)]
    figure, ax = new_figure(3.1)
    wide = 0.8 / len(models)
    rng = np.random.default_rng(0)
    for k, model in enumerate(models):
        colour = CYCLE[k % len(CYCLE)]
        for i, group in enumerate(groups):
            values = means.loc[(means["model"] == model) & (means[by] == group), metric].to_numpy()
            x = i + (k - (len(models) - 1) / 2) * wide
            if len(values) >= 3:  # a box of fewer patients would only repeat the points
                line = {"color": colour, "lw": 1.1}
                ax.boxplot(
                    [values],
                    positions=[x],
                    widths=0.7 * wide,
                    showfliers=False,
                    boxprops=line,
                    whiskerprops=line,
                    capprops=line,
                    medianprops={"color": INK, "lw": 1.4},
                    manage_ticks=False,
                )
            spread = rng.uniform(-0.18, 0.18, len(values)) * wide
            ax.scatter(x + spread, values, s=11, color=colour, alpha=0.6, linewidth=0, zorder=3)
        ax.scatter([], [], s=24, color=colour, label=legend_name(model))
    counts = means.groupby(by, observed=True)["patient_id"].nunique()
    tilted = sum(len(str(g)) for g in groups) > _LETTERS
    names = [f"{g}, n = {counts[g]}" if tilted else f"{g}\nn = {counts[g]}" for g in groups]
    how = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if tilted else {}
    ax.set_xticks(range(len(groups)), names, **how)
    ax.set(xlim=(-0.6, len(groups) - 0.4), ylabel=metric_title(metric))
    if metric.startswith(("dice", "iou", "precision", "recall")):
        ax.set_ylim(-0.03, 1.03)
    ax.set_title(f"{metric_title(metric)} by {by}")
    figure.legend(loc="outside lower center", ncols=min(len(models), 4))
    return figure


@styled
def slice_positions(table: pd.DataFrame) -> Figure:
    """Show the mean Dice of slices by their position in the lesion, one line per model.

    Parameters
    ----------
    table : DataFrame
        As `mmfusion.metrics.dice_by_position` returns it, with `by=["model"]`. Slices outside the lesion have
        a Dice of 0 by definition; only their number is shown.

    Raises
    ------
    ReportError
        If there are no slices of a lesion.

    Examples
    --------
    >>> rows = {"model": "m", "position": ["end", "central"], "dice": [0.6, 0.9], "slices": 4, "patients": 2}
    >>> figure = slice_positions(pd.DataFrame(rows))
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [0.6, 0.9]
    """
    inside = table[table["position"] != POSITIONS[-1]]
    if inside.empty:
        raise ReportError("no slices of a lesion", expected="rows of dice_by_position")
    places = [p for p in POSITIONS[:-1] if p in set(inside["position"])]
    figure, ax = new_figure(2.9)
    outside = table[table["position"] == POSITIONS[-1]].set_index("model")["slices"]
    for k, (model, rows) in enumerate(inside.groupby("model", sort=False)):
        dice = rows.set_index(rows["position"].astype(str))["dice"].reindex(places)
        extra = f" (slices outside: {outside[model]})" if model in outside else ""
        style = {"color": CYCLE[k % len(CYCLE)], "marker": "o", "markersize": 5}
        ax.plot(range(len(places)), dice, label=legend_name(f"{model}{extra}"), **style)
    counts = inside.groupby("position", observed=True)["slices"].max()
    ax.set_xticks(range(len(places)), [f"{p}\n{counts[p]} slices" for p in places])
    ax.set(ylim=(0, 1.03), xlim=(-0.3, len(places) - 0.7), ylabel="Dice of the slice")
    ax.set_title("Dice by position of the slice in the lesion")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def detection_table(scores: pd.DataFrame) -> Figure:
    """Show overlap and detection of every model as a table, with intervals over patients.

    Parameters
    ----------
    scores : DataFrame
        As `mmfusion.metrics.segmentation_table` returns it, or `NestedResult.scores` of masks.

    Raises
    ------
    ReportError
        If there are no models, or if the table lacks a metric.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_product([[c[0] for c in _COLUMNS], ["mean", "lo", "hi"]])
    >>> figure = detection_table(pd.DataFrame(0.5, index=["unet"], columns=columns))
    >>> [text.get_text() for text in figure.axes[0].texts][-6:-4]  # mean, and interval
    ['0.5', '0.5 to 0.5']
    """
    if absent := [name for name, _, _ in _COLUMNS if name not in scores.columns.unique(0)]:
        raise ReportError("the scores lack a metric", column=", ".join(absent))
    if scores.empty:
        raise ReportError("no model to show", expected="one row or more")
    n = len(scores)
    figure, ax = new_figure(0.42 * n + 0.75)
    left = 0.23  # share of the width for the names of the models
    step = (1 - left) / len(_COLUMNS)
    for j, (_, title, _) in enumerate(_COLUMNS):
        x = left + (j + 0.5) * step
        ax.text(x, n + 0.05, title, ha="center", va="bottom", weight="bold", fontsize=8, color=INK)
    for i, (model, row) in enumerate(scores.iterrows()):
        y = n - i - 0.5
        ax.axhline(n - i, color=GREY, lw=0.5)
        name = str(model) if len(str(model)) <= 24 else f"{str(model)[:23]}…"
        ax.text(0, y, name, ha="left", va="center", color=INK)
        for j, (metric, _, form) in enumerate(_COLUMNS):
            x = left + (j + 0.5) * step
            mean, lo, hi = (row[metric, part] for part in ("mean", "lo", "hi"))
            unknown = not np.isfinite(mean)
            ax.text(x, y + 0.02, "–" if unknown else form.format(mean), ha="center", va="bottom", color=INK)
            interval = "" if unknown else f"{form.format(lo)} to {form.format(hi)}"
            ax.text(x, y - 0.04, interval, ha="center", va="top", fontsize=6.5, color=GREY)
    ax.axhline(0, color=GREY, lw=0.5)
    ax.set(xlim=(0, 1), ylim=(0, n + 0.9))
    bare(ax)
    return figure
