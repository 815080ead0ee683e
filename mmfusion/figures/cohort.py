"""Overview figure of a cohort: classes, modalities per patient, missing cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.data.targets.base import label_counts
from mmfusion.errors import ReportError
from mmfusion.figures.style import GREY, INK, LIGHT, ORANGE, SKY, View, class_colours, styled
from mmfusion.modalities import IMAGING

_MANY = 40  # a modality with more features is one row of the heat map


@styled
def cohort_overview(cohort: Cohort, *, features: int = 12) -> Figure:
    """Number of patients by class and by combination of modalities, and a heat map of missing cells.

    Parameters
    ----------
    cohort : Cohort
        Cohort whose labelled patients are shown.
    features : int
        Number of features of each modality in the heat map. The features with the most missing cells are
        shown. A modality with more than 40 features is one row; its colour is the share of known values.

    Raises
    ------
    ReportError
        If no patient has a label.

    Examples
    --------
    >>> ids = pd.Index(["p1", "p2", "p3"], name="patient_id")
    >>> table = pd.DataFrame({("ehr", "age"): [61.0, 70.0, None]}, index=ids)
    >>> outcomes = pd.DataFrame({"stage": ["IA", "IIIB", "IA"]}, index=ids)
    >>> figure = cohort_overview(Cohort("example", table, outcomes, "stage2"))
    >>> figure.get_suptitle()
    'example: 3 patients, target stage2'
    """
    X, y = cohort.X, cohort.y
    if X.empty:
        raise ReportError("no patient has a label", file=cohort.name)
    rows, cells = _cells(cohort, X, features)
    figure = View(figsize=(7.2, 2.9 + 0.16 * len(rows)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    top, bottom = figure.subfigures(2, 1, height_ratios=[2.6, 0.6 + 0.16 * len(rows)])
    left, right = top.subfigures(1, 2, width_ratios=[1, 1.5])
    _classes(left.subplots(), y)
    _combinations(*right.subplots(2, 1, sharex=True, height_ratios=[2, 1]), presence(X))
    _heat_map(bottom, bottom.subplots(), rows, cells, presence(X))
    figure.suptitle(f"{cohort.name}: {len(X)} patients, target {cohort.target}", x=0.01, ha="left")
    return figure


def _classes(ax: Axes, y: pd.Series | pd.DataFrame) -> None:
    counts = label_counts(y)
    counts = counts[counts > 0]
    ax.bar(range(len(counts)), counts, color=list(class_colours(counts.index).values()), width=0.7)
    for i, n in enumerate(counts):
        ax.text(i, n, f"{n}\n{n / counts.sum():.0%}", ha="center", va="bottom", fontsize=8)
    ax.set_xticks(range(len(counts)), map(str, counts.index))
    ax.set_ylim(0, 1.22 * counts.max())
    ax.set_title("Class")
    ax.set_ylabel("patients")


def _combinations(bars: Axes, dots: Axes, has: pd.DataFrame) -> None:
    """Draw an UpSet plot of the number of patients with each combination of modalities.

    Lex et al. 2014, IEEE Transactions on Visualization and Computer Graphics 20(12).
    """
    counts = has.value_counts()
    modalities = list(has.columns)[::-1]
    bars.bar(range(len(counts)), counts, color=INK, width=0.6)
    for i, n in enumerate(counts):
        bars.text(i, n, str(n), ha="center", va="bottom", fontsize=8)
    bars.set_ylim(0, 1.18 * counts.max())
    bars.set_title("Exactly these modalities")
    bars.set_yticks([])
    bars.spines[["left", "bottom"]].set_visible(False)
    bars.tick_params(axis="x", length=0, labelbottom=False)
    for i, combination in enumerate(counts.index):
        on = [
            modalities.index(m)
            for m, value in zip(has.columns, np.atleast_1d(combination), strict=True)
            if value
        ]
        dots.scatter([i] * len(modalities), range(len(modalities)), color=LIGHT, s=38)
        dots.plot([i] * len(on), on, "o-", color=INK, ms=6, lw=1.5)
    shares = has.mean()
    dots.set_yticks(range(len(modalities)), [f"{m}  {shares[m]:.0%}" for m in modalities])
    dots.set_ylim(-0.6, len(modalities) - 0.4)
    dots.set_xlim(-0.6, max(len(counts) - 0.4, 3.6))
    dots.set_xticks([])
    dots.tick_params(length=0)
    dots.spines[:].set_visible(False)


def _cells(cohort: Cohort, X: pd.DataFrame, features: int) -> tuple[list[str], np.ndarray]:
    """Return the names of the heat map's rows, and its cells, shape (n_rows, n_patients).

    A cell is 0 if the patient lacks the modality, otherwise 1 plus the share of known values.
    """
    has, names, cells = presence(X), [], []
    for modality in cohort.modalities:
        block = X[modality][feature_names(X[modality], modality)].notna()
        present = has[modality].to_numpy()
        if block.shape[1] > _MANY:
            names.append(f"{modality}: {block.shape[1]} features")
            share = 1 + block.mean(axis=1).to_numpy()
            cells.append(np.where(present, share, 0))
            continue
        if modality in IMAGING and "volume" in X[modality]:
            names.append(f"{modality}: scan")
            cells.append(np.where(present, 1 + X[modality]["volume"].notna().to_numpy(), 0))
        missing = (~block[present]).mean().sort_values(ascending=False, kind="stable")
        for feature in missing.index[:features]:
            names.append(f"{modality}: {feature}")
            cells.append(np.where(present, 1 + block[feature].to_numpy(), 0))
    return names, np.array(cells, dtype=float)


def _heat_map(figure: object, ax: Axes, names: list[str], cells: np.ndarray, has: pd.DataFrame) -> None:
    order = np.lexsort((*cells[::-1], *(~has.to_numpy()).T[::-1]))
    colours = LinearSegmentedColormap.from_list("cells", [ORANGE, SKY]).with_extremes(under=LIGHT)
    ax.imshow(cells[:, order], cmap=colours, vmin=1, vmax=2, aspect="auto", interpolation="nearest")
    ax.set_yticks(range(len(names)), names, fontsize=7.5)
    ax.set_xticks([])
    ax.set_xlabel(f"{len(has)} patients", color=GREY)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.hlines(np.arange(0.5, len(names) - 1), -0.5, len(has) - 0.5, color="white", lw=1)
    labels = ("modality absent", "value missing", "value known")
    handles = [Patch(facecolor=c, label=label) for c, label in zip((LIGHT, ORANGE, SKY), labels, strict=True)]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
