"""Sentences about the result of a nested cross-validation, and about its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.targets.base import label_counts
from mmfusion.evaluation.result import NestedResult
from mmfusion.metrics import widened_score
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.written import signed_text, unbroken, value_text

SHOWN = ("macro_auc", "balanced_accuracy", "macro_f1", "brier")
_ONE_DRAW = "the outer folds were drawn once: with other folds every number would differ a little"
_TOO_NARROW = (
    "the interval of a single model takes the trained models as given. For models that are trained on other "
    "patients it is too narrow. Intervals of differences are widened for this reason"
)
_SMALL = 20  # with fewer patients in a class, a fold has only a few of them


def verdict(result: NestedResult, best_possible: float | None = None) -> list[str]:
    """Return the sentences at the top of a report, which compare the fusion with the ridge.

    The first sentence is the answer. The texts have no markup. "Beats" means that the paired 95 % interval
    lies above 0. It is widened for overlapping training sets, as is the interval that is compared with
    chance (`metrics.widened_score`).
    """
    auc = result.scores["macro_auc"]
    main, ridge = auc.loc[result.main], auc.loc["ridge"]
    row = result.paired("ridge").loc[result.main]
    lines = [
        f"{result.main} {against(row)}.",
        f"Macro-AUC {value_text(main)} against {value_text(ridge)} of the ridge "
        f"on all inputs (n = {result.n}): difference {signed_text(row)}.",
        f"The smallest true difference that {result.n} patients would show with 80 % power is "
        f"{result.detectable_difference('ridge'):.3f}.",
    ]
    lines += not_beyond_chance(result.main, widened_score(main, result.predictions))
    lines += worse_than_chance(auc, result.predictions)
    lines += _single(result, auc) + _others(result, auc)
    if best_possible is not None:
        lines.append(
            f"The highest possible macro-AUC on this synthetic cohort is {best_possible:.3f}. {result.main} "
            f"reaches {_share(main, best_possible)} of the difference between chance (0.5) and this optimum, "
            f"and the ridge {_share(ridge, best_possible)}."
        )
    return lines


def not_beyond_chance(model: str, score: pd.Series) -> list[str]:
    """Return a sentence if an interval of an AUC includes 0.5; it is wide enough for a cross-validation.

    Examples
    --------
    >>> not_beyond_chance("gmu", pd.Series({"mean": 0.55, "lo": 0.45, "hi": 0.65}))[0][-56:]
    'includes 0.5: gmu is not shown to be better than chance.'
    """
    if not score["lo"] <= 0.5 <= score["hi"]:
        return []
    return [
        f"Widened for overlapping training sets, the interval of {model} is [{score['lo']:.3f}, "
        f"{score['hi']:.3f}]. It includes 0.5: {model} is not shown to be better than chance."
    ]


def worse_than_chance(auc: pd.DataFrame, predictions: pd.DataFrame | None = None) -> list[str]:
    """Return a sentence about the models whose interval lies wholly below 0.5; no sentence if there are none.

    Parameters
    ----------
    auc : DataFrame, index model
        Columns mean, lo, hi of an AUC, 0 to 1.
    predictions : DataFrame, optional
        Predictions of a cross-validation, for whose folds the intervals are widened.

    Examples
    --------
    >>> auc = pd.DataFrame({"mean": [0.4, 0.7], "lo": [0.3, 0.6], "hi": [0.45, 0.8]}, ["gmu", "ridge"])
    >>> worse_than_chance(auc)[0][:51]
    'Worse than chance: gmu 0.400 [0.300, 0.450]. The in'
    """
    wide = auc if predictions is None else auc.apply(widened_score, axis=1, predictions=predictions)
    below = wide[wide["hi"] < 0.5]
    if below.empty:
        return []
    named = ", ".join(f"{name} {value_text(row)}" for name, row in below.iterrows())
    return [
        f"Worse than chance: {named}. The interval lies wholly below 0.5. A model without any information "
        "would be near 0.5, so this hints at an error, such as exchanged labels, a reversed column, or a bug "
        "in the code. In a small sample it can also arise by itself: patients who are left out of the "
        "training rows shift the shares of the classes there in the opposite direction. Look for the reason "
        "before you use any number of this report."
    ]


def headline(result: NestedResult) -> str:
    """Return one line for the index of reports."""
    auc = result.scores["macro_auc"]
    row = result.paired("ridge").loc[result.main]
    wide = widened_score(auc.loc[result.main], result.predictions)
    chance = "; worse than chance" if wide["hi"] < 0.5 else ""
    return (
        f"{result.main} {value_text(auc.loc[result.main])}, ridge {value_text(auc.loc['ridge'])} macro-AUC: "
        f"{against(row)} ({signed_text(row)}){chance}"
    )


def caveats(cohort: Cohort, result: NestedResult | None = None) -> list[str]:
    """Return limits of a cohort and a result: notes on files, small classes, columns that were left out."""
    notes = [str(note) for note in cohort.notes]
    counts = label_counts(cohort.y)
    notes += [
        f"class {name} has only {n} patients: results for it are uncertain"
        for name, n in counts.items()
        if 0 < n < _SMALL
    ]
    if left_out := cohort.provenance.get("left_out"):
        names = left_out if isinstance(left_out, Mapping) else {str(name): "" for name in left_out}
        notes.append(
            "not used as inputs, as they are known only at or after staging, or identify a patient: "
            + ", ".join(map(str, names))
        )
    if result is not None:
        notes += [_ONE_DRAW] * (result.settings.get("repeats") == 1) + [_TOO_NARROW]
    return list(dict.fromkeys(note[:1].upper() + note[1:].rstrip(".") + "." for note in notes))


def against(row: pd.Series) -> str:
    """Return "beats the ridge" or the like from the interval of a difference, `lo` to `hi`."""
    if row["lo"] > 0:
        return "beats the ridge"
    if row["hi"] < 0:
        return "is worse than the ridge"
    return "does not beat the ridge"


def _single(result: NestedResult, auc: pd.DataFrame) -> list[str]:
    inputs = result.inputs()
    singles = [m for m in auc.index if len(inputs[m]) == 1 and m != result.main]
    if not singles or len(inputs[result.main]) < 2:
        return []
    best = auc.loc[singles, "mean"].idxmax()
    row = result.paired(best).loc[result.main]
    says = "better" if row["lo"] > 0 else "worse" if row["hi"] < 0 else "not shown to be better"
    which = (
        f"The best of the {len(singles)} models that read one modality"
        if len(singles) > 1
        else "The model that reads one modality"
    )
    return [
        f"{which}, {best}, has {value_text(auc.loc[best])}: {result.main} is {says} ({signed_text(row)})."
    ]


def _others(result: NestedResult, auc: pd.DataFrame) -> list[str]:
    table = result.paired("ridge").drop(index=result.main)
    better = list(table.index[(table["lo"] > 0) & (table["p_holm"] < 0.05)])
    best = auc["mean"].idxmax()
    text = (
        f"Of the {len(table)} other models, {', '.join(better)} beat"
        if better
        else f"None of the {len(table)} other models beats"
    )
    text = text.replace(" beat", " beats") if len(better) == 1 else text
    return [
        f"{text} the ridge (5 % level, Holm-corrected). The highest macro-AUC of all is that of {best}, "
        f"{value_text(auc.loc[best])}; its difference to the others can be chance."
    ]


def _share(row: pd.Series, best_possible: float) -> str:
    return f"{(row['mean'] - 0.5) / (best_possible - 0.5):.0%}"


def with_intervals(scores: pd.DataFrame, metrics: Sequence[str] = SHOWN) -> pd.DataFrame:
    """Return scores as text such as "0.712 [0.650, 0.770]", the best macro-AUC first.

    Parameters
    ----------
    scores : DataFrame
        `NestedResult.scores`.
    metrics : sequence of str
        Columns to show.
    """
    order = scores.sort_values(("macro_auc", "mean"), ascending=False, kind="stable")
    cells = {metric_title(m): [unbroken(value_text(row)) for _, row in order[m].iterrows()] for m in metrics}
    return pd.DataFrame(cells, order.index)
