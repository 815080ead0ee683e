"""mmfusion: fuse CT, PET, RNA-seq and health records to stage non-small cell lung cancer."""

from typing import TYPE_CHECKING

from mmfusion.lazy import lazy

__version__ = "0.1.0"

# name -> module that defines it; it is imported at the first use, so that `import mmfusion` stays fast
_LAZY = {
    "Cohort": "data.cohort",
    "load_cohort": "data.load",
    "lesion_phantom": "synthetic",
    "phantom": "synthetic",
    "radiomics_phantom": "synthetic",
    "ExpressionSegmenter": "lesions",
    "LesionSegmenter": "lesions",
    "LesionMask": "lesions",
    "click_lesion": "lesions",
    "segment_cohort": "lesions",
    "segment_lesion": "lesions",
    "segment_lesions": "lesions",
    "GenotypeClassifier": "radiogenomics",
    "ExpressionRegressor": "radiogenomics",
    "StageClassifier": "staging",
    "StagePrediction": "staging",
    "FoundationEncoder": "features",
    "nested_cv": "evaluation",
    "external_validation": "evaluation",
    "load": "bundle",
    "list_encoders": "registry",
    "list_fusions": "registry",
    "list_restorers": "registry",
    "list_segmenters": "registry",
    "list_targets": "data.targets",
    "MMFusionError": "errors",
}
_ROOMS = (
    "compute",
    "storage",
    "weights",
    "imaging",
    "data",
    "synthetic",
    "preprocessing",
    "metrics",
    "nn",
    "evaluation",
    "explain",
    "figures",
    "quality",
    "lesions",
    "features",
    "radiogenomics",
    "staging",
    "reports",
)

__all__ = ["__version__", *_LAZY]
__getattr__, __dir__ = lazy(__name__, _LAZY, _ROOMS)

if TYPE_CHECKING:
    from mmfusion.bundle import load
    from mmfusion.data.cohort import Cohort
    from mmfusion.data.load import load_cohort
    from mmfusion.data.targets import list_targets
    from mmfusion.errors import MMFusionError
    from mmfusion.evaluation import external_validation, nested_cv
    from mmfusion.features import FoundationEncoder
    from mmfusion.lesions import (
        ExpressionSegmenter,
        LesionMask,
        LesionSegmenter,
        click_lesion,
        segment_cohort,
        segment_lesion,
        segment_lesions,
    )
    from mmfusion.radiogenomics import ExpressionRegressor, GenotypeClassifier
    from mmfusion.registry import list_encoders, list_fusions, list_restorers, list_segmenters
    from mmfusion.staging import StageClassifier, StagePrediction
    from mmfusion.synthetic import lesion_phantom, phantom, radiomics_phantom
