"""Features of scans as columns of a cohort: a foundation model, radiomics, deep features of a segmenter."""

from mmfusion.lazy import lazy

_HOME = {
    "DeepFeatures": "deep",
    "Extraction": "extraction",
    "Extractor": "base",
    "FoundationEncoder": "encoder",
    "RadiomicsExtractor": "radiomics",
    "RadiomicsSettings": "radiomics_settings",
    "extract": "extraction",
    "feature_stability": "stability",
}
__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
