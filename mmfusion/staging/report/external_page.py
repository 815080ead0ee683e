"""Tables and sentences of the report of an external validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.evaluation.external import read_looks
from mmfusion.evaluation.external_comparison import ExternalComparison
from mmfusion.evaluation.recalibration import fit_recalibration
from mmfusion.evaluation.result import NestedResult
from mmfusion.metrics import ece_band, ordinal_cuts, score_table
from mmfusion.metrics.names import metric_title
from mmfusion.metrics.written import signed_text, unbroken, value_text
from mmfusion.staging.report.explained import looks_before, record_of_looks
from mmfusion.staging.report.verdict import against, caveats

JUDGED = ("macro_auc", "macro_f1", "brier", "ece_pooled")
CALIBRATED = ("brier", "log_loss", "ece_pooled")
AFTER = "recalibrated"
_NEAR = 0.05  # a slope that is called about right


def earlier_looks(bundle: Path, cohort: Cohort) -> list[str]:
    """Return a sentence if these weights were judged on these patients before; else none."""
    return looks_before([read_looks(record_of_looks(bundle, cohort))])


def beside_cv(
    result: NestedResult, compared: ExternalComparison, metrics: Sequence[str] = JUDGED
) -> pd.DataFrame:
    """Return each metric in cross-validation and in the external cohort, as text with 95 % intervals.

    Parameters
    ----------
    result : NestedResult
        Cross-validation on the training patients.
    compared : ExternalComparison
        Result in the external cohort.
    metrics : sequence of str
        Columns of `NestedResult.scores`.
    """
    rows = {}
    for model in compared.scores.index:
        for place, scores in (("cross-validation", result.scores), ("external", compared.scores)):
            if model in scores.index:
                found = scores.loc[model]
                rows[f"{model}, {place}"] = {
                    metric_title(m.removesuffix("_pooled")): unbroken(value_text(found[m])) for m in metrics
                }
    return pd.DataFrame.from_dict(rows, orient="index")


def recalibrated(result: NestedResult, compared: ExternalComparison) -> tuple[pd.DataFrame, list[str]]:
    """Return external predictions before and after recalibration, and sentences about it.

    The recalibration of each model is learned from its out-of-fold predictions of the training patients.
    """
    tables, lines = [], []
    for model, rows in compared.predictions.groupby("model", sort=False):
        try:
            found = fit_recalibration(result.predictions, compared.classes, model)
        except DataError as error:
            why = "" if error.got is None else f": {error.got}"
            lines.append(f"{error.problem[:1].upper()}{error.problem[1:]}{why}.")
            continue
        says = (
            "about right"
            if abs(found.slope - 1) < _NEAR
            else "too confident"
            if found.slope < 1
            else "not confident enough"
        )
        lines.append(
            f"{model}: recalibration slope {found.slope:.2f} from out-of-fold predictions of {found.n} "
            f"patients (1 is right; in cross-validation the model is {says})."
        )
        tables += [rows, found.apply(rows).assign(model=f"{model}, {AFTER}")]
    table = pd.concat(tables, ignore_index=True) if tables else compared.predictions.iloc[:0]
    return table, lines


def calibration_table(predictions: pd.DataFrame, classes: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Return Brier score, log loss and ECE of each model with intervals, and the band of ECE."""
    scores = score_table(predictions, classes, metrics=CALIBRATED)
    rows = {}
    for model, found in scores.iterrows():
        own = predictions[predictions["model"] == model]
        band = ece_band(own["y_true"], own[[f"p_{c}" for c in classes]], classes, random_state=seed)
        rows[model] = {
            metric_title(m.removesuffix("_pooled")): unbroken(value_text(found[m])) for m in CALIBRATED
        } | {"ECE if perfectly calibrated": f"[{band.lo:.3f}, {band.hi:.3f}]".replace(" ", "\u00a0")}
    return pd.DataFrame.from_dict(rows, orient="index")


def estimable_cuts(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the divisions in early and late with patients on both sides, and sentences on the others."""
    there, cuts, lines = set(predictions["y_true"]), {}, []
    for name, positive in ordinal_cuts(classes).items():
        if there & set(positive) and there - set(positive):
            cuts[name] = positive
        else:
            lines.append(f"Net benefit for {name} is not estimable: all external patients are on one side.")
    return cuts, lines


def verdict(result: NestedResult, compared: ExternalComparison) -> list[str]:
    """Return the sentences at the top of the report; the first is the answer."""
    row, scores = compared.paired("ridge").loc[compared.main], compared.scores["macro_auc"]
    main, ridge = scores.loc[compared.main], scores.loc["ridge"]
    own = result.scores.loc[result.main, "macro_auc"]
    gap = main["mean"] - own["mean"]
    lines = [
        f"{compared.main} {against(row)} in the external cohort.",
        f"External macro-AUC {value_text(main)} against {value_text(ridge)} of the ridge that was fitted on "
        f"the same patients (n = {compared.n}): difference {signed_text(row)}.",
        f"In cross-validation on the training patients, {compared.main} had {value_text(own)}. The external "
        f"result is {abs(gap):.3f} {'lower' if gap < 0 else 'higher'}.",
    ]
    if main["lo"] <= 0.5 <= main["hi"]:
        lines.append(f"The external interval of {compared.main} includes 0.5, which is chance.")
    if main["hi"] < 0.5:
        lines.append(f"The external interval of {compared.main} lies below 0.5, which is worse than chance.")
    brier = compared.paired("majority", "brier").loc[compared.main]
    says = "better" if brier["hi"] < 0 else "worse" if brier["lo"] > 0 else "not shown to be better"
    lines.append(
        f"Brier score (squared error summed over classes, 0 to 2, lower is better): {compared.main} is "
        f"{says} than the class frequencies of the training patients ({signed_text(brier)})."
    )
    return lines


def headline(compared: ExternalComparison) -> str:
    """Return one line for the index of reports."""
    scores, row = compared.scores["macro_auc"], compared.paired("ridge").loc[compared.main]
    return (
        f"External: {compared.main} {value_text(scores.loc[compared.main])}, "
        f"ridge {value_text(scores.loc['ridge'])} macro-AUC: {against(row)} ({signed_text(row)})"
    )


def to_metrics(compared: ExternalComparison) -> dict[str, object]:
    """Return the metrics of the models in the external cohort, as JSON values."""
    names = compared.scores.columns.unique(0)
    models = {
        model: {m: {"mean": row[m, "mean"], "ci": [row[m, "lo"], row[m, "hi"]]} for m in names}
        for model, row in compared.scores.iterrows()
    }
    paired = {
        metric: {
            model: {"diff": row["diff"], "ci": [row["lo"], row["hi"]]}
            for model, row in compared.paired("ridge", metric).iterrows()
        }
        for metric in ("macro_auc", "brier")
    }
    return {"models": models, "paired_vs_ridge": paired}


def limits(result: NestedResult, train: Cohort, external: Cohort, found: ExternalComparison) -> list[str]:
    """Return the limits of both cohorts, those that they share once, and those of the external result."""
    texts: dict[str, list[str]] = {}
    for cohort, lines in ((train, caveats(train, result)), (external, caveats(external))):
        for line in lines:
            texts.setdefault(line, []).append(cohort.name)
    own = [text if len(names) > 1 else f"{names[0]}: {text}" for text, names in texts.items()]
    return [*own, *found.notes]


def shares(cohort: Cohort) -> str:
    """Return the number of patients and of each class, such as "demo: 120 patients (I 50, II 70)"."""
    counts: Mapping[str, int] = cohort.y.value_counts(sort=False)
    named = ", ".join(f"{name} {n}" for name, n in counts.items())
    return f"{cohort.name}: {len(cohort)} patients ({named})"
