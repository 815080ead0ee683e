"""Radiogenomics: the genotype and the expression of genes from radiomics or deep features of scans."""

from mmfusion.lazy import lazy

_HOME = {
    "CLINICAL_SETS": "clinical",
    "ClinicalClassifier": "clinical",
    "ClinicalRegressor": "clinical",
    "ExpressionNull": "permuted_expression",
    "ExpressionRegressor": "expression",
    "GenotypeClassifier": "genotype",
    "expression_null": "permuted_expression",
    "permute_labels": "permuted",
    "permuted_runs": "permuted",
    "prediction_null": "of_predictions",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
