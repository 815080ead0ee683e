"""Content of the report on masks and expression: its tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.evaluation.result import NestedResult
from mmfusion.lesions.report.ablations import EXPRESSION, GROUPS, MAIN, MASK, group_of
from mmfusion.metrics import widened_score
from mmfusion.metrics.segmentation import segmentation_differences
from mmfusion.metrics.written import p_text, signed_text, unbroken, value_text
from mmfusion.radiogenomics.permuted_expression import MEAN
from mmfusion.radiogenomics.report.joint_study import RIDGE

_SMALL = 100  # patients; with fewer, a mean correlation has a wide interval
_DP = "Dice per patient"


def verdict(
    result: NestedResult,
    null: pd.DataFrame,
    dice: pd.Series,
    best: Mapping[str, float],
    null_panel: NestedResult | None = None,
) -> list[str]:
    """Return the sentences at the top of the report; the first is the answer.

    Parameters
    ----------
    result : NestedResult
        Cross-validation of the expression.
    null : DataFrame
        `ExpressionNull.table()` of the main model.
    dice : Series
        Dice per patient of the main model: mean, lo, hi.
    best : mapping of str to float
        Best possible correlation of each gene; empty if it is not known.
    null_panel : NestedResult, optional
        The main model on the null panel.
    """
    scores, names = result.scores.loc[result.main], result.task.names
    r = scores["pearson"]
    lines = [
        f"Mean Pearson correlation of {len(names)} genes: {value_text(r)} (n = {result.n}, permutation p "
        f"{p_text(null.loc[MEAN, 'p'])}). Dice per patient of the masks: {value_text(dice)}.",
        f"Spearman correlation {value_text(scores['spearman'])}, concordance "
        f"{value_text(scores['concordance'])}.",
    ]
    if best:
        lines.append(_of_the_best(r, sum(best.values()) / len(best)))
    if null_panel is not None:
        lines.append(_null_sentence(null_panel))
    for name in (RIDGE, EXPRESSION):
        if name in result.models:
            other = value_text(result.scores.loc[name, "pearson"])
            lines.append(f"{name[:1].upper()}{name[1:]} has {other}. {_difference(result, name)}.")
    return lines


def _of_the_best(r: pd.Series, best: float) -> str:
    says = "includes" if r["lo"] <= best <= r["hi"] else "does not include"
    return (
        f"The best possible mean correlation of this synthetic panel is {best:.3f}; the interval {says} it. "
        "A model reaches it if it knows the true appearance of each lesion and the formulas of the panel."
    )


def _null_sentence(null: NestedResult) -> str:
    r = widened_score(null.scores.loc[null.main, "pearson"], null.predictions)
    says = "includes" if r["lo"] <= 0 <= r["hi"] else "does not include"
    return (
        f"On a panel without signal, the same model has {value_text(r)}; this interval, widened for "
        f"overlapping training sets, {says} 0."
    )


def _difference(result: NestedResult, reference: str) -> str:
    row = result.paired(reference).loc[result.main]
    says = "better than" if row["lo"] > 0 else "worse than" if row["hi"] < 0 else "not shown to differ from"
    return f"The main model is {says} it ({signed_text(row)})"


def headline(result: NestedResult, dice: pd.Series) -> str:
    """Return one line for the index of reports."""
    r = result.scores.loc[result.main, "pearson"]
    return (
        f"Mean Pearson of {len(result.task.names)} genes {value_text(r)}; Dice per patient {value_text(dice)}"
    )


def ablation_table(result: NestedResult, masks: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model: correlation and Dice, each with the difference to the main model.

    Parameters
    ----------
    result : NestedResult
        Cross-validation of the expression.
    masks : DataFrame
        Scores of the masks of all models that predict them, on the same folds (`masks_of`).
    scores : DataFrame
        `mask_scores_of([masks])`.
    """
    pearson, dice = result.paired(result.main), segmentation_differences(masks, result.main)
    ablated = [name for name in [*result.models, MASK] if group_of(name) or name == MAIN]
    rows = {}
    for name in sorted(ablated, key=lambda one: ("", *GROUPS).index(group_of(one))):
        expressed, masked = name in result.models, name in scores.index
        rows[name] = {
            "Pearson": _cell(result.scores.loc[name, "pearson"], value_text) if expressed else "–",
            "difference": _cell(pearson.loc[name], signed_text) if name in pearson.index else "–",
            _DP: _cell(scores.loc[name, "dice"], value_text) if masked else "–",
            "difference in Dice": _cell(dice.loc[name], signed_text) if name in dice.index else "–",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _cell(row: pd.Series, write: object) -> str:
    return unbroken(write(row, 2))  # more digits would make the table wider than the page


def of_the_paper() -> str:
    """Return a sentence about the numbers of the paper."""
    return (
        "The paper of CSPAT proposes the same ablations (neck, gates, one task or both), but reports no "
        "numbers. There is nothing of the paper to put beside these figures."
    )


def cosine_sentence(cosines: pd.DataFrame) -> str:
    """Return a sentence about the cosine between the gradients of both tasks.

    Parameters
    ----------
    cosines : DataFrame
        Columns fold, epoch, cosine.

    Examples
    --------
    >>> table = pd.DataFrame({"fold": [0, 0], "epoch": [1, 2], "cosine": [0.1, -0.2]})
    >>> cosine_sentence(table)
    'The mean cosine is -0.050, from +0.100 in the first epoch to -0.200 in the last. It is below 0 in 1 of 2 epochs.'
    """  # noqa: E501
    if cosines.empty:
        return "The cosine was not recorded."
    by_epoch = cosines.groupby("epoch")["cosine"].mean()
    below, n = int((by_epoch < 0).sum()), len(by_epoch)
    return (
        f"The mean cosine is {cosines['cosine'].mean():+.3f}, from {by_epoch.iloc[0]:+.3f} in the first "
        f"epoch to {by_epoch.iloc[-1]:+.3f} in the last. It is below 0 in {below} of {n} epochs."
    )


def protocol(cohort: Cohort, result: NestedResult, said: Sequence[str]) -> list[str]:
    """Return sentences that tell who was judged, and how; `said` are further sentences."""
    persons = cohort.groups.loc[cohort.X.index, "patient"].nunique()
    lines = [
        f"{result.n} patients ({persons} persons) with a CT, a mask and expression of "
        f"{', '.join(result.task.names)}.",
        f"{result.settings['outer']} folds of persons, the same for all models and both tasks. Means and "
        "standard deviations of the expression are those of the training patients. No model reads the mask "
        "of a test patient.",
        "The predicted expression of a patient is a mean over the windows of the scan, weighted by the "
        "predicted lesion in each.",
    ]
    return [line for line in [*lines, *said] if line]


def caveats(cohort: Cohort, result: NestedResult, *, small: bool) -> list[str]:
    """Return limits of the cohort and of the result; `small` tells whether the networks are small."""
    notes = [str(note) for note in cohort.notes]
    if result.n < _SMALL:
        notes.append(
            f"with {result.n} patients, the interval of a mean correlation is wide, and small differences "
            "between models cannot be seen"
        )
    if small:
        notes.append("the networks are small and had a short training; at full size their order may differ")
    notes += [
        "the folds were drawn once: with other folds every number would differ a little",
        "the ablations are compared on the same test patients and are not adjusted for their number",
        "expression is measured in one sample of the tumour, and the scan shows all of it",
        "a predicted expression of EGFR is not its mutation status",
        "Grad-CAM shows where a network looks, not why; maps of wrong predictions look as convincing",
    ]
    return list(dict.fromkeys(note[:1].upper() + note[1:].rstrip(".") + "." for note in notes))
