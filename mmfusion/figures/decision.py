"""Figures for decisions: net benefit by threshold, and errors by the share of patients that are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import CYCLE, GREEN, GREY, INK, legend_name, new_figure, new_grid, styled
from mmfusion.metrics.decision_curve import decision_curve as net_benefit
from mmfusion.metrics.decision_curve import ordinal_cuts
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.selective import Selective


@styled
def decision_curve(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    models: Sequence[str],
    *,
    cuts: Mapping[str, Sequence[str]] | None = None,
    random_state: int = 0,
) -> Figure:
    """Net benefit of each model by threshold probability, beside treating everybody and nobody.

    Computed by `metrics.decision_curve`. The band is the 95 % interval over patients of the first model.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>`.
    classes : sequence
        Classes in order of severity.
    models : sequence of str
        Models to show.
    cuts : mapping of str to sequence of str, optional
        Title of a panel -> classes that are to be treated. Default: each division of the classes in early and
        late (`metrics.ordinal_cuts`).
    random_state : int
        Seed of the bootstrap.

    Raises
    ------
    DataError
        If a model has no predictions, or net benefit cannot be estimated.
    ReportError
        If there are no models or no cuts.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": list("abcd")})
    >>> table["y_true"], table["p_I"] = ["I", "I", "II", "II"], [0.9, 0.4, 0.3, 0.1]
    >>> table["p_II"] = 1 - table["p_I"]
    >>> [ax.get_title(loc="left") for ax in decision_curve(table, ["I", "II"], ["m"]).axes]
    ['positive: II']
    """
    cuts = ordinal_cuts(classes) if cuts is None else cuts
    if not cuts or not models:
        raise ReportError("no decision to show", expected="a model and a cut", got=f"{list(models)}, {cuts}")
    figure, axes = new_grid(len(cuts), columns=2, row=2.7, rest=0.5)
    for ax, (name, positive) in zip(axes.flat, cuts.items(), strict=False):
        top = 0.0
        for k, model in enumerate(models):
            curve = net_benefit(predictions, classes, model, positive, random_state=random_state)
            colour = CYCLE[k % len(CYCLE)]
            if k == 0:
                ax.fill_between(curve["threshold"], curve["lo"], curve["hi"], color=colour, alpha=0.18, lw=0)
            ax.plot(curve["threshold"], curve["net_benefit"], color=colour, label=legend_name(model))
            top = max(top, curve["net_benefit"].max(), curve["hi"].max() if k == 0 else 0.0)
        ax.plot(curve["threshold"], curve["treat_all"], color=GREY, ls="--", lw=1, label="treat all")
        ax.axhline(0, color=INK, lw=0.8, ls=":", label="treat none")
        # far below 0 the curves say nothing more, and would flatten the rest
        ax.set(xlim=(0, curve["threshold"].max()), ylim=(-0.35 * top - 0.01, 1.08 * top + 0.01))
        ax.set_title(f"positive: {name}")
        ax.set_xlabel("threshold probability")
    for ax in axes[:, 0]:
        ax.set_ylabel("net benefit")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=5)
    return figure


@styled
def selective_prediction(curves: Mapping[str, Selective]) -> Figure:
    """Each metric by coverage, the share of patients that are kept, beside random rejection and the oracle.

    The band, random rejection and the oracle are those of the first model. The oracle leaves out the wrong
    predictions first.

    Parameters
    ----------
    curves : mapping of str to Selective
        Model -> result of `metrics.selective_prediction`.

    Raises
    ------
    ReportError
        If there are no curves.

    Examples
    --------
    >>> from mmfusion.metrics import selective_prediction as curve_of
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": range(20)})
    >>> table = table.assign(y_true=["I"] * 15 + ["II"] * 5, p_I=[0.9] * 10 + [0.6] * 10)
    >>> found = curve_of(table.assign(p_II=1 - table["p_I"]), ["I", "II"], "m", n_boot=10)
    >>> [ax.get_ylabel() for ax in selective_prediction({"m": found}).axes]
    ['share of wrong predictions', 'macro-F1']
    """
    if not curves:
        raise ReportError("no curves of selective prediction", expected="at least one model")
    first = next(iter(curves.values())).table
    metrics = list(first["metric"].unique())
    figure, axes = new_figure(3.2, 1, len(metrics), squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        mine = first[first["metric"] == metric]
        ax.plot(mine["coverage"], mine["random"], color=GREY, lw=1, ls="--", label="left out at random")
        ax.plot(mine["coverage"], mine["oracle"], color=GREEN, lw=1, ls=":", label="oracle: wrong ones first")
        for k, (model, found) in enumerate(curves.items()):
            rows = found.table[found.table["metric"] == metric]
            colour = CYCLE[k % len(CYCLE)]
            if k == 0:
                ax.fill_between(rows["coverage"], rows["lo"], rows["hi"], color=colour, alpha=0.18, lw=0)
            label = f"{legend_name(model)}, AURC {found.aurc:.3f} [{found.lo:.3f}, {found.hi:.3f}]"
            ax.plot(rows["coverage"], rows["value"], color=colour, label=label)
        ax.set(xlim=(0, 1))
        ax.set_xlabel("share of patients kept (coverage)")
        ax.set_ylabel("share of wrong predictions" if metric == "risk" else metric_title(metric))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return figure
