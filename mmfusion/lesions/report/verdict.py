"""Sentences about segmented lesions: overlap, detection, and comparisons with other models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.evaluation.result import NestedResult
from mmfusion.lesions.report.study import oracle_note, reads_truth, rules_in
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.written import p_text, signed_text, unbroken, value_text

OVERLAP = ("dice", "dice_pooled", "precision", "recall")
DISTANCE = ("hd95", "assd", "dice_slices", "one_empty_pooled")
_SMALL = 20  # patients; with fewer, intervals are wide


def reference_of(result: NestedResult) -> str | None:
    """Return the model to compare the main model with; None if there is none.

    It is the first other network, or else the first rule without training. It does not depend on the scores,
    and it reads no true mask.
    """
    rules = rules_in(result)
    others = [m for m in result.models if m != result.main and not reads_truth(m)]
    return next(iter(sorted(others, key=lambda m: m in rules)), None)


def verdict(result: NestedResult) -> list[str]:
    """Return the sentences at the top of a report about segmentation; the first is the answer.

    "Better" means that the paired 95 % interval of the difference in Dice per patient lies above 0.
    """
    scores = result.scores
    main = scores.loc[result.main]
    lines = [
        f"{result.main}: Dice per patient {value_text(main['dice'])}, pooled Dice "
        f"{value_text(main['dice_pooled'])} (n = {result.n}).",
        "Dice per patient is the mean over patients. Pooled Dice adds up the volumes of all patients, so "
        "that large lesions count more. Other reports may give either of the two.",
        f"{_found(main['lesion_sensitivity_pooled', 'mean'])} There are "
        f"{main['false_lesions', 'mean']:.1f} false lesions per scan, with {main['fp_ml', 'mean']:.1f} mL.",
    ]
    empty = main["one_empty_pooled", "mean"]
    if empty:
        lines.append(
            f"Patients for whom only one of the two masks is empty: {empty:.0f}. Nothing was marked although "
            "there is a lesion, or something was marked although there is none. Their Dice is 0, and they "
            "have no surface distance."
        )
    if reads_truth(result.main):
        lines.insert(0, oracle_note())
    return lines + _comparisons(result)


def headline(result: NestedResult) -> str:
    """Return one line for the index of reports."""
    main = result.scores.loc[result.main]
    stamp = ", reads true boxes" if reads_truth(result.main) else ""
    text = f"{result.main}{stamp}: Dice per patient {value_text(main['dice'])}"
    reference = reference_of(result)
    if reference is None:
        return text
    return f"{text}; {reference} {value_text(result.scores.loc[reference, 'dice'])}"


def caveats(cohort: Cohort, result: NestedResult, preset: str = "demo") -> list[str]:
    """Return limits of a cohort and a result; `preset` is that of the networks."""
    notes = [str(note) for note in cohort.notes]
    if result.n < _SMALL:
        notes.append(f"with {result.n} patients, intervals are wide and small differences cannot be seen")
    if result.settings.get("repeats") == 1:
        notes.append("the folds were drawn once: with other folds every number would differ a little")
    if preset != "full":
        notes.append("the networks are small and had a short training; at full size their order may differ")
    return list(dict.fromkeys(note[:1].upper() + note[1:].rstrip(".") + "." for note in notes))


def with_intervals(scores: pd.DataFrame, metrics: Sequence[str] = OVERLAP) -> pd.DataFrame:
    """Return scores as text such as "0.712 [0.650, 0.770]", the best Dice per patient first."""
    order = scores.sort_values(("dice", "mean"), ascending=False, kind="stable")
    cells = {metric_title(m): [_cell(m, row) for _, row in order[m].iterrows()] for m in metrics}
    return pd.DataFrame(cells, order.index)


def _cell(metric: str, row: pd.Series) -> str:
    """Return a score with its interval, with the digits that fit: a count has neither."""
    if metric == "one_empty_pooled":
        return f"{row['mean']:.0f}"
    return unbroken(value_text(row, 1 if metric in ("hd95", "assd") else 3))


def paired_table(result: NestedResult, reference: str) -> pd.DataFrame:
    """Return the differences in Dice per patient to a model, with both tests, as a table for the page."""
    table = result.paired(reference)
    cells = {
        "difference in Dice": [unbroken(signed_text(row)) for _, row in table.iterrows()],
        "p, Wilcoxon": [p_text(p) for p in table["wilcoxon_p"]],
        "p, Wilcoxon with Holm's adjustment": [p_text(p) for p in table["wilcoxon_p_holm"]],
    }
    return pd.DataFrame(cells, table.index)


def dice_by_patient(predictions: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the Dice of every patient by model; repeats of a patient are averaged.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["unet", "unet"], "patient_id": ["a", "b"], "dice": [0.5, 1.0]})
    >>> dice_by_patient(table)
    {'unet': {'a': 0.5, 'b': 1.0}}
    """
    means = predictions.groupby(["model", "patient_id"], sort=False)["dice"].mean()
    found: dict[str, dict[str, float]] = {}
    for (model, patient), value in means.items():
        found.setdefault(str(model), {})[str(patient)] = float(value)
    return found


def against_rules(result: NestedResult) -> list[str]:
    """Return a sentence that compares the main model with the best rule without training, if any."""
    return _best_of(result, "rules without training", rules_in(result))


def _best_of(result: NestedResult, who: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    dice = result.scores["dice"]
    best = str(dice.loc[list(names), "mean"].idxmax())
    which = f"{best} has a Dice of"
    if len(names) > 1:
        which = f"Of the {len(names)} {who}, {best} has the highest Dice,"
    return [f"{which} {value_text(dice.loc[best])}: {result.main} {_against(result, best)}."]


def _comparisons(result: NestedResult) -> list[str]:
    rules, dice = rules_in(result), result.scores["dice"]
    networks = [m for m in result.models if m != result.main and m not in rules and not reads_truth(m)]
    lines = _best_of(result, "other networks", networks) + against_rules(result)
    oracle = [m for m in result.models if m != result.main and reads_truth(m)]
    lines += [
        f"{name} has a Dice of {value_text(dice.loc[name])}. With the true boxes, the difference to "
        f"{result.main} is {dice.loc[name, 'mean'] - dice.loc[result.main, 'mean']:+.3f}."
        for name in oracle
    ]
    if networks:
        smallest = result.detectable_difference(networks[0])
        lines.append(
            f"With {result.n} patients, a true difference in Dice of about {smallest:.3f} or more would be "
            "shown with 80 % power."
        )
    return lines


def _against(result: NestedResult, reference: str) -> str:
    row = result.paired(reference).loc[result.main]
    says = "is better" if row["lo"] > 0 else "is worse" if row["hi"] < 0 else "is not shown to differ"
    return f"{says} ({signed_text(row)}, Wilcoxon p {p_text(row['wilcoxon_p'])})"


def _found(share: float) -> str:
    return "No mask has a lesion." if np.isnan(share) else f"Of all lesions, {share:.0%} were found."
