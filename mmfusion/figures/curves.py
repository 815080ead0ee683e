"""Figures of predicted probabilities: ROC curves and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from mmfusion.figures.style import BLUE, GREY, LIGHT, WIDTH, class_colours, new_figure, new_grid, styled
from mmfusion.metrics.curves import mean_roc
from mmfusion.metrics.curves import reliability as reliability_bins


@styled
def roc(predictions: pd.DataFrame, classes: Sequence[object], model: str, *, random_state: int = 0) -> Figure:
    """One-vs-rest ROC curve of each class, mean over folds, with 95 % bands over patients.

    Computed by `metrics.curves.mean_roc`.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>`.
    classes : sequence
        Classes in order of severity; one panel per class.
    model : str
        Model to show.
    random_state : int
        Seed of the bootstrap.

    Raises
    ------
    DataError
        If the model has no predictions, or they are malformed.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": list("abcd")})
    >>> table["y_true"] = ["I", "I", "II", "II"]
    >>> table["p_I"], table["p_II"] = [0.9, 0.6, 0.7, 0.1], [0.1, 0.4, 0.3, 0.9]
    >>> figure = roc(table, ["I", "II"], "m")
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['I versus rest', 'II versus rest']
    """
    curves, aucs = mean_roc(predictions, classes, model, random_state=random_state)
    figure, axes = new_figure(
        0.9 + 6.6 / len(classes), 1, len(classes), sharex=True, sharey=True, squeeze=False
    )
    colours = class_colours(classes)
    for ax, (name, curve) in zip(axes[0], curves.groupby("class", sort=False), strict=True):
        ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls="--")
        ax.fill_between(curve["fpr"], curve["lo"], curve["hi"], color=colours[name], alpha=0.2, lw=0)
        ax.plot(curve["fpr"], curve["tpr"], color=colours[name])
        area = aucs.loc[name]
        ax.set_title(f"{name} versus rest")
        text = f"AUC {area['mean']:.2f}\n[{area['lo']:.2f}, {area['hi']:.2f}]"
        text = "not estimable" if pd.isna(area["mean"]) else text  # no patient of the class
        ax.text(0.97, 0.04, text, ha="right", transform=ax.transAxes, fontsize=8.5)
        ax.set_xlabel("false positive rate")
        ax.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes[0, 0].set_ylabel("true positive rate")
    figure.suptitle(model, x=0.01, ha="left")
    return figure


@styled
def reliability(
    predictions: pd.DataFrame, classes: Sequence[object], models: Sequence[str], *, bins: int = 8
) -> Figure:
    """Reliability diagrams: share of correct predictions by probability of the predicted class.

    One panel per model. Each bin holds the same number of predictions.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>`.
    classes : sequence
        Classes in order of severity.
    models : sequence of str
        Models to show.
    bins : int
        Number of bins.

    Raises
    ------
    DataError
        If a model has no predictions, or they are malformed.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": list("abcd")})
    >>> table["y_true"] = ["I", "I", "II", "II"]
    >>> table["p_I"], table["p_II"] = [0.9, 0.6, 0.7, 0.1], [0.1, 0.4, 0.3, 0.9]
    >>> figure = reliability(table, ["I", "II"], ["m"], bins=2)
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['m']
    """
    figure, axes = new_grid(
        len(models), columns=3, row=2.7, rest=0.1, panel=WIDTH / 3, sharex=True, sharey=True
    )
    for ax, model in zip(axes.flat, models, strict=False):
        table = reliability_bins(predictions, classes, model, bins=bins)
        ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls="--")
        ax.fill_between([0, 1], [0, 1], [0, 0], color=LIGHT, alpha=0.5, lw=0)
        ax.vlines(table["confidence"], table["lo"], table["hi"], color=BLUE, alpha=0.5, lw=2)
        ax.plot(table["confidence"], table["accuracy"], "o-", color=BLUE, ms=4.5, mec="white", lw=1.2)
        ax.set_title(model)
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        ax.text(0.96, 0.06, "overconfident", ha="right", color=GREY, fontsize=8)
        ax.set_xlabel("predicted probability")
    for ax in axes[:, 0]:
        ax.set_ylabel("share correct")
    return figure
