"""Features of scans as columns of a cohort (foundation model, measures, radiomics), and signatures of RNA."""

from mmfusion.lazy import lazy

_HOME = {
    "DeepFeatures": "deep",
    "Extraction": "extraction",
    "Extractor": "base",
    "FoundationEncoder": "encoder",
    "LesionMeasures": "measures",
    "RadiomicsExtractor": "radiomics",
    "RadiomicsSettings": "radiomics_settings",
    "SegmenterFeatures": "trained",
    "extract": "extraction",
    "feature_stability": "stability",
    "random_set_table": "random_sets",
    "signature_coverage": "signature_scores",
    "signatures": "signature_scores",
    "with_signatures": "signature_scores",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
