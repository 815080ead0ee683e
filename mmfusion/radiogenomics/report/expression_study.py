"""The part of a genotype study that predicts expression: its patients and its models."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.base import BaseEstimator

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.evaluation.regression_baselines import MeanOfTraining
from mmfusion.radiogenomics.clinical import CLINICAL_SETS, ClinicalRegressor
from mmfusion.radiogenomics.expression import ExpressionRegressor
from mmfusion.radiogenomics.report.reading import has_features, known, read_as
from mmfusion.radiogenomics.report.study import CLINICAL, Study

_LEAST = 30  # patients for a regression


def expression_study(study: Study, genes: Sequence[str] = ()) -> tuple[Cohort | None, str]:
    """Return the patients with expression and features, or None with the reason why there are too few.

    Parameters
    ----------
    study : Study
        The study of the genotype.
    genes : sequence of str
        Genes of the panel; empty for the panel of the cohort.
    """
    target = f"expression:{','.join(genes)}" if genes else "expression"
    try:
        cohort = study.whole.with_target(target)
    except DataError as error:
        return None, f"Expression is not estimable: {error.got or error.problem}."
    cohort = cohort.select(modalities=known(cohort, [*study.modalities, "ehr"]))
    cohort = read_as(cohort, study.modalities, study.features)
    has = has_features(cohort, study.modalities, study.features)
    if has.sum() < _LEAST:
        return None, f"Expression is not estimable: only {int(has.sum())} patients have it and features."
    return cohort.select(patients=list(has.index[has])), ""


def expression_models(
    study: Study, cohort: Cohort, extractor: BaseEstimator | None = None
) -> tuple[ExpressionRegressor, dict[str, BaseEstimator]]:
    """Return the ridge on features, and what it is compared with: the mean, and ridges on health records."""
    models: dict[str, BaseEstimator] = {"mean": MeanOfTraining()}
    has = cohort.X["ehr"].columns if "ehr" in cohort.modalities else []
    for name in ("all_before_surgery", "histology"):
        one = CLINICAL_SETS[name]
        if set(one.columns) <= set(has):
            models[f"{CLINICAL}{one.title}"] = ClinicalRegressor(name)
    return ExpressionRegressor(study.modalities, extractor=extractor), models
