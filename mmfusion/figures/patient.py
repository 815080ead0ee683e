"""Figure of one patient's prediction."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from mmfusion.figures.style import GREY, INK, class_colours, new_figure, styled


@styled
def patient_probabilities(
    probabilities: Mapping[str, float],
    *,
    prior: Mapping[str, float] | None = None,
    stage: str = "",
    title: str = "",
) -> Figure:
    """Bar chart of the class probabilities of one patient; a tick marks the class's share in training.

    Parameters
    ----------
    probabilities : mapping of str to float
        Class -> probability, in order of severity (`StagePrediction.probabilities`).
    prior : mapping of str to float, optional
        Class -> share of the training patients.
    stage : str
        Class to print in bold (`StagePrediction.stage`). Default: the most probable.
    title : str
        Title, such as the patient's id.

    Examples
    --------
    >>> figure = patient_probabilities({"I-II": 0.7, "III-IV": 0.3}, prior={"I-II": 0.6, "III-IV": 0.4})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['70%', '30%']
    """
    names = list(probabilities)
    figure, ax = new_figure(0.75 + 0.3 * len(names), width=4.6)
    y = range(len(names))[::-1]
    ax.barh(y, list(probabilities.values()), color=list(class_colours(names).values()), height=0.62)
    for at, p in zip(y, probabilities.values(), strict=True):
        ax.annotate(
            f"{p:.0%}", (1.02, at), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=INK
        )
    if prior is not None:
        ax.vlines(
            [prior[c] for c in names], [at - 0.42 for at in y], [at + 0.42 for at in y], color=INK, lw=1.4
        )
        ax.set_xlabel("probability (tick: share in training)")
    else:
        ax.set_xlabel("probability")
    stage = stage or max(probabilities, key=probabilities.get)
    ax.set_yticks(list(y), names)
    for label in ax.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == stage else "normal")
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_color(GREY)
    ax.set_title(title)
    return figure
