"""The study of the report on masks and expression: its baselines, null panel, and best possible result."""

from __future__ import annotations

from collections.abc import Mapping

from mmfusion.data.cohort import Cohort
from mmfusion.evaluation.regression_baselines import MeanOfTraining
from mmfusion.features.extraction import extract
from mmfusion.features.measures import LesionMeasures
from mmfusion.lesions.report.joint import load_study
from mmfusion.lesions.report.study import PHANTOM
from mmfusion.modalities import SEED
from mmfusion.radiogenomics.expression import ExpressionRegressor
from mmfusion.radiogenomics.permuted import permute_labels

RIDGE, TRAINING_MEAN = "ridge on measures", "mean of training"


def with_measures(cohort: Cohort, n_jobs: int = 1) -> tuple[Cohort, dict[str, object], str]:
    """Return the cohort with measures of each lesion as features, and the models beside the network.

    The lesion is segmented from one click on the seed, so that no true mask is read. Patients whose lesion
    cannot be measured have missing features.

    Parameters
    ----------
    cohort : Cohort
        Patients with a CT; the target is expression.
    n_jobs : int
        Number of processes.

    Returns
    -------
    cohort : Cohort
        The same patients, with the features.
    models : dict
        Name -> estimator.
    said : str
        A sentence about the features, or the reason why there are none.
    """
    models: dict[str, object] = {TRAINING_MEAN: MeanOfTraining()}
    if not all(("ct", name) in cohort.table for name in SEED):
        return cohort, models, "There is no ridge on measures, because the cohort records no seeds."
    found = extract(cohort, LesionMeasures(lesion="click"), n_jobs=n_jobs, progress=False)
    if found.features.empty:
        return cohort, models, "There is no ridge on measures, because no lesion could be segmented."
    failed = f" {len(found.failures)} lesions could not be measured." if len(found.failures) else ""
    said = (
        f"{RIDGE.capitalize()}: size, shape and density of the lesion that one click on the seed segments. "
        f"It reads no true mask.{failed}"
    )
    return cohort.with_features("ct", found.features), models | {RIDGE: ExpressionRegressor(["ct"])}, said


def null_study(
    cohort: Cohort, name: str, *, seed: int, phantom: Mapping[str, object] | None = None
) -> tuple[Cohort, str]:
    """Return the same scans with expression that has nothing to do with them, and a sentence about it.

    Parameters
    ----------
    cohort : Cohort
        The patients of the study, with expression as the target.
    name : str
        Name of the cohort, as for `load_study`.
    seed : int
        Seed of the phantom or of the permutation.
    phantom : mapping, optional
        Parameters of the phantom.
    """
    if name != PHANTOM:
        said = "In the null panel, the expression is exchanged at random between the patients."
        return permute_labels(cohort, seed), said
    parameters = {**(phantom or {}), "strength": 0.0}
    null, _ = load_study(name, genes=list(cohort.y), n_patients=len(cohort.X), seed=seed, phantom=parameters)
    return null, "In the null panel, the expression is random: it does not depend on the lesions."


def best_possible(cohort: Cohort) -> dict[str, float]:
    """Return the best possible correlation of each gene, if it is known; else an empty dict."""
    best = (cohort.provenance.get("optimum") or {}).get("expression_r") or {}
    return {gene: float(best[gene]) for gene in cohort.y if gene in best}
