"""The part of the report on signatures that predicts them from CT: its patients, models and sentences."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from sklearn.base import BaseEstimator

from mmfusion.data.cohort import Cohort, feature_names, presence
from mmfusion.errors import check_whole
from mmfusion.evaluation.regression_baselines import MeanOfTraining
from mmfusion.evaluation.result import NestedResult
from mmfusion.features import LesionMeasures, extract, with_signatures
from mmfusion.metrics import holm
from mmfusion.metrics.written import p_text, value_text
from mmfusion.modalities import SEED
from mmfusion.radiogenomics.expression import ExpressionRegressor
from mmfusion.radiogenomics.permuted_expression import MEAN
from mmfusion.radiogenomics.report.reading import features_only
from mmfusion.radiogenomics.report.signatures import SignatureStudy
from mmfusion.synthetic import signature_optimum

MAIN, RECORDS, TRAINING_MEAN = "ridge on CT features", "ridge on health records", "mean of training"
_LEAST = 30  # patients for a regression
_PER_SIGNATURE = 40  # permutations; Holm's smallest p is then below 0.025
_MOST = 4000  # permutations that are made without being asked for; the ridges are fitted again in each


@dataclass(frozen=True, eq=False)
class ScanStudy:
    """Patients with signature scores and features of their CT, and the models that predict the scores.

    Attributes
    ----------
    cohort : Cohort
        Its target is the scores; no RNA is among the inputs.
    model : ExpressionRegressor
        The ridge on features of the CT.
    others : dict of str to estimator
        Models to compare with.
    said : str
        A sentence about the features.
    best : dict of str to float
        Best possible correlation of each signature; empty if it is not known.
    """

    cohort: Cohort
    model: ExpressionRegressor
    others: dict[str, BaseEstimator]
    said: str
    best: dict[str, float]


def scan_study(study: SignatureStudy, *, n_jobs: int = 1) -> tuple[ScanStudy | None, str]:
    """Return the study of the prediction from CT, or None with the reason why there is none.

    The features are those that the cohort has of the CT, such as radiomics or the annotations of a
    radiologist. If it has none, size, shape and density of each lesion are measured, from its mask or from
    one click on its seed.

    Parameters
    ----------
    study : SignatureStudy
        The signatures.
    n_jobs : int
        Number of processes that measure lesions.
    """
    cohort = study.cohort
    if "ct" not in cohort.modalities:
        return None, "The prediction from CT is not estimable: the cohort has no CT."
    if names := feature_names(cohort.table["ct"], "ct"):
        cohort = features_only(cohort, ["ct"])
        said = (
            f"{len(names)} features of the CT that the cohort has, such as {', '.join(map(str, names[:3]))}."
        )
    else:
        cohort, said = _measured(cohort, n_jobs)
    sets = {name: study.sets[name] for name in study.scores}
    made = with_signatures(cohort, sets, min_share=study.min_share)
    has = presence(made.X).get("ct")
    if has is None or has.sum() < _LEAST:
        n = 0 if has is None else int(has.sum())
        return None, f"The prediction from CT is not estimable: only {n} patients have RNA and CT features."
    made = made.select(patients=list(has.index[has]))
    others: dict[str, BaseEstimator] = {TRAINING_MEAN: MeanOfTraining()}
    if "ehr" in made.modalities and presence(made.X)["ehr"].all():
        others[RECORDS] = ExpressionRegressor(["ehr"])
    return ScanStudy(made, ExpressionRegressor(["ct"]), others, said, _best(study)), ""


def _measured(cohort: Cohort, n_jobs: int) -> tuple[Cohort, str]:
    """Return the cohort with measures of its lesions in the place of its scans, and a sentence about them."""
    if not {"mask", *SEED} & set(cohort.table["ct"].columns):
        return cohort.select(modalities=[m for m in cohort.modalities if m != "ct"]), ""
    found = extract(cohort, LesionMeasures(), n_jobs=n_jobs, progress=False)
    failed = f" {len(found.failures)} lesions could not be measured." if len(found.failures) else ""
    said = f"Size, shape and density of the lesion, from its mask, or from one click on its seed.{failed}"
    return cohort.with_features("ct", found.features, only=True), said


def _best(study: SignatureStudy) -> dict[str, float]:
    """Return the best possible correlations of the phantom; empty for other cohorts."""
    made = study.cohort.provenance
    if made.get("generator") != "mmfusion.synthetic.phantom":
        return {}
    given = made.get("parameters") or {}
    sizes = {name: given[name] for name in ("n_genes", "n_planted") if name in given}
    return signature_optimum({name: study.sets[name] for name in study.scores}, **sizes)


def enough_permutations(asked: int, n_signatures: int) -> int:
    """Return the number of permutations to make, which is `asked` or more.

    With N permutations, no p-value is below 1 / (N + 1), and after Holm's adjustment for K signatures, the
    smallest is K / (N + 1). With few permutations it could never be below 0.05. Therefore there are 40 for
    each signature, but no more than 4000, except if more are asked for.

    Raises
    ------
    DataError
        If `asked` is no whole number of 1 or more.

    Examples
    --------
    >>> enough_permutations(200, 5), enough_permutations(200, 11), enough_permutations(200, 500)
    (200, 440, 4000)
    """
    check_whole("n_null", asked)
    return max(asked, min(_PER_SIGNATURE * n_signatures, _MOST))


def scan_verdict(
    result: NestedResult, null: pd.DataFrame, best: dict[str, float], n_permutations: int
) -> list[str]:
    """Return sentences about the prediction from CT; the first is the answer.

    Parameters
    ----------
    result : NestedResult
        Cross-validation of the scores.
    null : DataFrame
        `ExpressionNull.table()`.
    best : dict of str to float
        Best possible correlations; empty if they are not known.
    n_permutations : int
        Number of permutations of `null`.
    """
    r, row = result.scores["pearson"], null.loc[MEAN]
    each = null.drop(index=MEAN)
    found = each.index[holm(each["p"]) < 0.05]
    n = len(each)
    lines = [
        f"Predicted from CT: mean Pearson correlation of {n} signature{'s' * (n > 1)} "
        f"{value_text(r.loc[result.main])} (n = {result.n}, permutation p {p_text(row['p'])}).",
        f"The 95th percentile of the {n_permutations} permutations is {row['null_95']:.3f}. Signatures with "
        f"p < 0.05 after Holm's adjustment: {', '.join(map(str, found)) or 'none'}.",
    ]
    smallest = n / (n_permutations + 1)
    if smallest >= 0.05:
        lines.append(
            f"With {n_permutations} permutations and {n} signature{'s' * (n > 1)}, no adjusted p below "
            f"{min(smallest, 1):.3f} is possible."
        )
    if RECORDS in r.index:
        lines.append(f"Health records alone have {value_text(r.loc[RECORDS])}.")
    if best:
        top = max(best, key=best.__getitem__)
        lines.append(
            f"In this synthetic cohort, the best possible correlation of {top} is {best[top]:.2f}: its genes "
            "share a cause with the size of the lesion. The other sets do not depend on the lesion."
        )
    return lines


def with_holm(table: pd.DataFrame, null: pd.DataFrame) -> pd.DataFrame:
    """Return the table for the page with p-values of the permutations, as they are and after Holm."""
    p = null.drop(index=MEAN)["p"]
    adjusted = pd.Series(holm(p), p.index)
    return table.assign(**{"p, permutation": p.map(p_text), "Holm p": adjusted.map(p_text)})
