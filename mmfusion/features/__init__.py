"""Features of scans as columns of a cohort: foundation model, measures, radiomics, deep features."""

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
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
