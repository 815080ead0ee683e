"""Single patients of a lesion report: pictures of typical ones, and groups by size and type."""

from __future__ import annotations

import pandas as pd

from mmfusion.bundle import load
from mmfusion.data.cohort import Cohort
from mmfusion.data.scans import scan_of
from mmfusion.evaluation.result import NestedResult
from mmfusion.figures.lesions import typical_patients
from mmfusion.imaging import Volume, read
from mmfusion.lesions.report.study import rules_in
from mmfusion.lesions.report.verdict import dice_by_patient
from mmfusion.metrics import scores_by, size_groups
from mmfusion.metrics.written import unbroken


def overlay_cases(result: NestedResult, cohort: Cohort) -> dict[str, tuple[Volume, Volume, Volume]]:
    """Return scan, true mask and predicted mask of the best, the median and the worst patient.

    The model of the fold in which the patient was held out predicts the mask again.

    Parameters
    ----------
    result : NestedResult
        Result of `nested_cv(..., out=folder)`, which keeps the models of the folds.
    cohort : Cohort
        The cohort that was judged.

    Returns
    -------
    dict
        For example "best: R01-012" -> (scan, true mask, predicted mask).
    """
    rows = result.of([result.main]).set_index("patient_id")
    dice = pd.Series(dice_by_patient(rows.reset_index())[result.main])
    by_text = {str(patient): patient for patient in cohort.X.index}
    bundles, cases = result.bundles(), {}
    for name, patient in typical_patients(dice).items():
        first = rows.loc[[patient]].iloc[0]
        model = load(bundles[first["repeat"], first["fold"]])
        one = [by_text[patient]]
        ((true, predicted),) = result.task.pairs(model, cohort.X.loc[one], cohort.y.loc[one])
        block = cohort.X.loc[one[0]][result.task.modality].rename(one[0])
        path, series, _ = scan_of(block)
        scan = path if isinstance(path, Volume) else read(path, series)
        cases[f"{name}: {patient}"] = (scan, true, predicted)
    return cases


def with_groups(result: NestedResult, cohort: Cohort) -> pd.DataFrame:
    """Return the scores of all patients with the size of the lesion, and its type if the cohort records it.

    Returns
    -------
    DataFrame
        `NestedResult.predictions` with the columns `size`, from the volume of the true mask, and `type`.
    """
    table = result.predictions.assign(size=size_groups(result.predictions["true_mm3"]))
    if "type" in cohort.outcomes:
        types = cohort.outcomes["type"].rename(str)
        table["type"] = table["patient_id"].map(types).fillna("not recorded")
    return table


def few_models(result: NestedResult, most: int = 4) -> list[str]:
    """Return the main model, the best rule without training, and the best others, at most `most` in all."""
    order = result.scores["dice", "mean"].sort_values(ascending=False, kind="stable").index
    others = [m for m in order if m != result.main]
    best_rule = [m for m in others if m in rules_in(result)][:1]
    rest = [m for m in others if m not in rules_in(result)][: most - 1 - len(best_rule)]
    return [result.main, *rest, *best_rule]


def patient_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per patient: size and type of the lesion, and the Dice of every model.

    Parameters
    ----------
    table : DataFrame
        As `with_groups` returns it.
    """
    dice = table.pivot_table(index="patient_id", columns="model", values="dice", sort=False)
    known = [c for c in ("size", "type") if c in table]
    facts = table.drop_duplicates("patient_id").set_index("patient_id")[known]
    return facts.join(dice[list(dict.fromkeys(table["model"]))].round(3))


def group_table(table: pd.DataFrame, by: str, models: list[str]) -> pd.DataFrame:
    """Return Dice per patient of some models by group, and the lesions that the first of them found.

    Parameters
    ----------
    table : DataFrame
        As `with_groups` returns it.
    by : str
        Column with the group.
    models : list of str
        Models to show.
    """
    rows = table[table["model"].isin(models)]
    found = scores_by(rows, by, metrics=("dice", "lesion_sensitivity_pooled"))
    cells = {}
    for name in models:
        mine = found[(found["model"] == name) & (found["metric"] == "dice")].set_index(by)
        cells.setdefault("n", mine["n"])
        cells[f"Dice, {name}"] = mine.apply(_interval, axis=1)
    first = found[(found["model"] == models[0]) & (found["metric"] == "lesion_sensitivity_pooled")]
    cells["lesions found"] = first.set_index(by)["mean"].map(_percent)
    return pd.DataFrame(cells)


def _interval(row: pd.Series) -> str:
    return unbroken(f"{row['mean']:.2f} [{row['lo']:.2f}, {row['hi']:.2f}]")


def _percent(share: float) -> str:
    return "–" if share != share else f"{share:.0%}"
