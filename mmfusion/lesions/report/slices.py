"""Content of the report on PET/CT slices: differences by position in the lesion, and by uptake."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.evaluation.result import NestedResult
from mmfusion.lesions.report.igtv import FIRST, FLAT, MAIN
from mmfusion.lesions.report.verdict import against_rules
from mmfusion.metrics import wilcoxon_table
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.segmentation import segmentation_differences
from mmfusion.metrics.slices import POSITION_DICE
from mmfusion.metrics.written import p_text, signed_text, unbroken, value_text

_COMPARED = (
    (MAIN, FLAT),
    ("2.5D slice, scratch", FIRST),
    (MAIN, "2.5D concat, pretrained"),
    (FLAT, FIRST),
)


def gains(result: NestedResult, compared: Sequence[tuple[str, str]] = _COMPARED) -> pd.DataFrame:
    """Return paired differences between models: in Dice per patient, and in Dice of slices by position.

    Parameters
    ----------
    result : NestedResult
        Result of the models of `mmfusion.lesions.report.igtv.grid`.
    compared : sequence of (str, str)
        Pairs of a model and its reference.

    Returns
    -------
    DataFrame
        Columns model, reference, metric, n (patients), diff, lo, hi (95 % interval over patients), p
        (Wilcoxon). Positions that no patient has are left out.
    """
    rows = []
    for model, reference in compared:
        pair = result.of([model, reference])
        for metric in ("dice", *POSITION_DICE.values()):
            if pair[metric].isna().all():
                continue
            row = segmentation_differences(pair, reference, metric=metric).loc[model]
            ranks = wilcoxon_table(pair, reference, metric).loc[model]
            numbers = {"n": int(ranks["n"]), **row[["diff", "lo", "hi"]].to_dict(), "p": ranks["p"]}
            rows.append({"model": model, "reference": reference, "metric": metric, **numbers})
    return pd.DataFrame(rows)


def gain_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the differences of `gains` for the page, one row per comparison and position."""
    return pd.DataFrame(
        {
            "score": found["metric"].map(metric_title).to_numpy(),
            "patients": found["n"].to_numpy(),
            "difference": [unbroken(signed_text(row)) for _, row in found.iterrows()],
            "p, Wilcoxon": [p_text(p) for p in found["p"]],
        },
        index=pd.Index(found["model"] + " minus " + found["reference"], name="comparison"),
    )


def verdict(result: NestedResult, found: pd.DataFrame) -> list[str]:
    """Return the sentences at the top of the report; the first is the answer to its question."""
    dice = result.scores["dice"]
    table = found.set_index(["model", "reference", "metric"])
    ends = POSITION_DICE["end"]
    lines = []
    for (model, reference), what in (
        ((MAIN, FLAT), "Neighbouring slices"),
        ((FLAT, FIRST), "Pretrained weights"),
    ):
        row = table.loc[(model, reference, "dice")]
        lines.append(
            f"{what} {_says(row)} Dice per patient: {model} {value_text(dice.loc[model])}, {reference} "
            f"{value_text(dice.loc[reference])}, difference {signed_text(row)}, Wilcoxon p "
            f"{p_text(row['p'])}."
        )
        if (model, reference, ends) in table.index:
            row = table.loc[(model, reference, ends)]
            lines.append(
                f"In the end slices of the lesions, the same comparison gives {signed_text(row)}, "
                f"p {p_text(row['p'])}."
            )
    return lines + against_rules(result)


def headline(result: NestedResult) -> str:
    """Return one line for the index of reports."""
    dice = result.scores["dice"]
    named = ", ".join(f"{m} {value_text(dice.loc[m])}" for m in (MAIN, FLAT, FIRST))
    return f"Dice per patient: {named}"


def of_the_paper() -> str:
    """Return a sentence with the numbers of the paper, for context."""
    return (
        "For context only, the numbers of the paper (arXiv 2509.22841): a Dice of 0.609 with slice "
        "interaction, and of 0.385 for its baseline, on the private cohort LUCID. The paper has other "
        "patients, networks and training. Its numbers cannot be compared with those of this report."
    )


def uptake_groups(result: NestedResult, cohort: Cohort) -> pd.DataFrame | None:
    """Return the scores of all patients with the column `uptake`; None if the cohort does not record it.

    `uptake` tells whether the SUV of the lesion is below the median of the cohort. It is missing for patients
    whose SUV is not known.
    """
    if "suv" not in cohort.outcomes:
        return None
    suv = cohort.outcomes.loc[cohort.X.index, "suv"].rename(str)
    names = [f"SUV below {suv.median():.1f}", f"SUV {suv.median():.1f} and above"]
    groups = (suv >= suv.median()).map({False: names[0], True: names[1]}).where(suv.notna())
    table = result.predictions.assign(uptake=result.predictions["patient_id"].map(groups))
    return table.astype({"uptake": pd.CategoricalDtype(names, ordered=True)})


def _says(row: pd.Series) -> str:
    return "improve" if row["lo"] > 0 else "reduce" if row["hi"] < 0 else "are not shown to change"
