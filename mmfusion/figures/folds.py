"""Figures of a cross-validation, by fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import (
    BLUE,
    CYCLE,
    GREY,
    ORANGE,
    WIDTH,
    annotate_cells,
    class_colours,
    new_figure,
    new_grid,
    styled,
)
from mmfusion.metrics.folds import ModelPredictions, one_model
from mmfusion.metrics.names import metric_title


@styled
def hyperparameters(params: pd.DataFrame) -> Figure:
    """Hyperparameters that the inner folds chose, one row per outer fold.

    Each cell shows its value. Colour runs from the smallest to the largest value of the column. Choices that
    are not numbers are coloured in the order of their names. A column in which all folds agree is pale.

    Parameters
    ----------
    params : DataFrame, shape (n_folds, n_parameters)
        From `NestedResult.params()`.

    Raises
    ------
    ReportError
        If the table is empty because no parameter was searched.

    Examples
    --------
    >>> figure = hyperparameters(pd.DataFrame({"lr": [0.001, 0.003], "fusion": ["gmu", "concat"]}))
    >>> figure.axes[0].images[0].get_array().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if params.empty:
        raise ReportError("no parameters to show", hint="nothing was searched")
    shade = np.column_stack([_min_max(params[c]) for c in params])
    figure, ax = new_figure(1.0 + 0.3 * len(params), width=min(WIDTH, 2.0 + 1.1 * params.shape[1]))
    ax.imshow(shade, cmap="Blues", vmin=-0.1, vmax=1.2, aspect="auto")
    annotate_cells(ax, shade, [[_short(v) for v in row] for row in params.to_numpy(dtype=object)], dark=0.7)
    ax.set_xticks(range(params.shape[1]), [str(c).replace("__", "\n") for c in params.columns])
    ax.set_yticks(range(len(params)), params.index.astype(str))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xticks(np.arange(0.5, params.shape[1] - 1), minor=True)
    ax.set_yticks(np.arange(0.5, len(params) - 1), minor=True)
    ax.grid(which="minor", color="white", lw=1.5)
    ax.tick_params(which="minor", length=0)
    return figure


@styled
def confusions(predictions: pd.DataFrame, classes: Sequence[object], model: str) -> Figure:
    """Confusion matrix of each outer fold of the first repeat, and of all patients together.

    Rows are the true classes. Colour is the share of the row. The number in a cell is the number of patients;
    for all patients together, it is the mean over repeats.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>`.
    classes : sequence
        Classes in order of severity.
    model : str
        Model to show.

    Raises
    ------
    DataError
        If the model has no predictions, or they are malformed.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> figure = confusions(table, ["I", "II"], "m")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '0', '1', '0']
    """
    judged = one_model(predictions, classes, model)
    counts = _confusions(judged, len(classes))
    repeat = min(key[0] for key in counts)
    folds = {f"Fold {fold + 1}": c for (r, fold), c in counts.items() if r == repeat}
    n_repeats = judged.rows["repeat"].nunique()
    pooled = sum(counts.values()) / n_repeats
    panels = folds | {"All folds" if n_repeats == 1 else f"All, mean of {n_repeats} repeats": pooled}
    if len(folds) == 1:
        panels = {"All patients": pooled}
    figure, axes = new_grid(len(panels), columns=3, row=2.35, rest=0.15, panel=WIDTH / 3)
    n_cols = axes.shape[1]
    for i, (ax, (title, matrix)) in enumerate(zip(axes.flat, panels.items(), strict=False)):
        total = matrix.sum(axis=1, keepdims=True)
        share = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
        ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
        annotate_cells(ax, share, [[f"{v:.0f}" for v in row] for row in matrix])
        ax.set_title(title)
        ax.set_xticks(range(len(classes)), map(str, classes))
        ax.set_yticks(range(len(classes)), map(str, classes))
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_ylabel("true" if i % n_cols == 0 else "")
        ax.set_xlabel("predicted" if i >= len(panels) - n_cols else "")
    figure.suptitle(model, x=0.01, ha="left")
    return figure


@styled
def learning_curves(histories: pd.DataFrame) -> Figure:
    """Training and validation loss by epoch, one panel per fold.

    The epoch with the smallest validation loss is marked, if there is one. The first repeat is shown, and the
    first network of an ensemble.

    Parameters
    ----------
    histories : DataFrame
        From `staging.report.watched.watched_histories` or `NestedResult.histories`: columns repeat, fold,
        member, epoch, train_loss, and valid_loss if some rows were held out.

    Raises
    ------
    ReportError
        If the table is empty because the model was not trained by epochs.

    Examples
    --------
    >>> row = {"repeat": 0, "fold": 0, "member": 0, "epoch": 1, "train_loss": 1.0, "valid_loss": 1.1}
    >>> figure = learning_curves(pd.DataFrame([row, row | {"epoch": 2, "train_loss": 0.8}]))
    """
    if histories.empty:
        raise ReportError("no learning curves to show", hint="the model was not trained by epochs")
    first = histories[(histories["repeat"] == histories["repeat"].min()) & (histories["member"] == 0)]
    folds = dict(list(first.groupby("fold")))
    figure, axes = new_grid(len(folds), columns=5, row=1.7, rest=0.4, sharex=True, sharey=True)
    for ax, (fold, h) in zip(axes.flat, folds.items(), strict=False):
        ax.plot(h["epoch"], h["train_loss"], color=BLUE, label="training rows")
        if "valid_loss" in h:
            ax.plot(h["epoch"], h["valid_loss"], color=ORANGE, label="inner validation rows")
            best = h.loc[h["valid_loss"].idxmin()]
            ax.plot(best["epoch"], best["valid_loss"], "o", color=ORANGE, mec="white", ms=6, label="least")
        ax.set_title(f"Fold {int(fold) + 1}")
        ax.set_xlabel("epoch")
    for ax in axes[:, 0]:
        ax.set_ylabel("loss")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


@styled
def cv_vs_external(table: pd.DataFrame) -> Figure:
    """Metric of each fold's model on its own outer fold and on the external cohort.

    A point on the diagonal has the same value in both.

    Parameters
    ----------
    table : DataFrame
        Columns fold, metric, cv, external; one row per fold and metric.

    Raises
    ------
    ReportError
        If columns are missing or there are no rows.

    Examples
    --------
    >>> rows = {"fold": [1, 2], "metric": "macro_auc", "cv": [0.8, 0.75], "external": [0.7, 0.72]}
    >>> figure = cv_vs_external(pd.DataFrame(rows))
    """
    absent = {"fold", "metric", "cv", "external"} - set(table)
    if absent or table.empty:
        raise ReportError(
            "nothing to compare", expected="columns fold, metric, cv, external", got=list(table.columns)
        )
    figure, ax = new_figure(4.2, width=5.2)
    values = table[["cv", "external"]].to_numpy(dtype=float)
    low, high = np.nanmin(values), np.nanmax(values)
    pad = 0.08 * (high - low) + 0.01
    ax.plot([low - pad, high + pad], [low - pad, high + pad], color=GREY, lw=1, ls="--", zorder=0)
    for colour, (metric, rows) in zip(CYCLE * 3, table.groupby("metric", sort=False), strict=False):
        ax.scatter(
            rows["cv"],
            rows["external"],
            s=42,
            color=colour,
            edgecolor="white",
            label=metric_title(str(metric)),
        )
        for _, row in rows.iterrows():
            ax.annotate(
                str(row["fold"]),
                (row["cv"], row["external"]),
                (4, 3),
                textcoords="offset points",
                fontsize=7,
                color=GREY,
            )
    ax.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), aspect="equal")
    ax.set_xlabel("held-out fold")
    ax.set_ylabel("external cohort")
    figure.legend(loc="outside right upper")
    return figure


@styled
def class_probabilities(predictions: pd.DataFrame, classes: Sequence[object], model: str) -> Figure:
    """Box plots of the out-of-fold probability of each class, by true class.

    Parameters
    ----------
    predictions : DataFrame
        One row per (model, repeat, fold, patient_id) with `y_true` and `p_<class>`.
    classes : sequence
        Classes in order of severity; one panel per class.
    model : str
        Model to show.

    Raises
    ------
    DataError
        If the model has no predictions, or they are malformed.

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "repeat": 0, "fold": 0, "patient_id": ["a", "b"]})
    >>> table = table.assign(y_true=["I", "II"], p_I=[0.9, 0.6], p_II=[0.1, 0.4])
    >>> figure = class_probabilities(table, ["I", "II"], "m")
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['probability of I', 'probability of II']
    """
    judged = one_model(predictions, classes, model)
    true = judged.codes[judged.rows["patient"]]
    figure, axes = new_figure(2.4, 1, len(classes), sharey=True, squeeze=False)
    colours = class_colours(classes)
    for k, (ax, name) in enumerate(zip(axes[0], classes, strict=True)):
        boxes = ax.boxplot(
            [judged.proba[true == c, k] for c in range(len(classes))],
            tick_labels=list(map(str, classes)),
            patch_artist=True,
            widths=0.6,
            flierprops={"marker": ".", "ms": 3, "mec": GREY},
            medianprops={"color": "black"},
        )
        for patch, colour in zip(boxes["boxes"], colours.values(), strict=True):
            patch.set(facecolor=colour, alpha=0.55, edgecolor=colour)
        ax.set_title(f"probability of {name}")
        ax.set_xlabel("true class")
    axes[0, 0].set_ylim(0, 1)
    return figure


def _confusions(judged: ModelPredictions, n_classes: int) -> dict[tuple[int, int], np.ndarray]:
    sets = judged.sets("accuracy", np.ones((len(judged.patients), 1)))
    return {key: s.confusion[:, :, 0].reshape(n_classes, n_classes) for key, s in sets.items()}


def _min_max(column: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().any():
        numbers = pd.Series(pd.factorize(column.astype(str), sort=True)[0], dtype=float)
    values = numbers.to_numpy(dtype=float)
    span = np.ptp(values)
    return (values - values.min()) / span if span > 0 else np.zeros(len(values))


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
