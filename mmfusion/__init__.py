"""mmfusion: fuse CT, RNA-seq and health records to stage non-small cell lung cancer."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# name -> module; loaded on first use, so that `import mmfusion` and `mmfusion --help` stay instant
_LAZY = {
    "Cohort": "mmfusion.data.cohort",
    "load_cohort": "mmfusion.data.load",
    "phantom": "mmfusion.synthetic",
    "StageClassifier": "mmfusion.staging",
    "StagePrediction": "mmfusion.staging",
    "FoundationEncoder": "mmfusion.features",
    "nested_cv": "mmfusion.evaluation",
    "external_validation": "mmfusion.evaluation",
    "load": "mmfusion.bundle",
    "list_encoders": "mmfusion.registry",
    "list_fusions": "mmfusion.registry",
    "list_restorers": "mmfusion.registry",
    "MMFusionError": "mmfusion.errors",
}
_ROOMS = (
    "weights",
    "compute",
    "imaging",
    "data",
    "synthetic",
    "preprocessing",
    "metrics",
    "nn",
    "features",
    "explain",
    "staging",
    "evaluation",
    "reports",
)

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _ROOMS:
        return import_module(f"mmfusion.{name}")
    raise AttributeError(f"module 'mmfusion' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])


if TYPE_CHECKING:
    from mmfusion.bundle import load
    from mmfusion.data.cohort import Cohort
    from mmfusion.data.load import load_cohort
    from mmfusion.errors import MMFusionError
    from mmfusion.evaluation import external_validation, nested_cv
    from mmfusion.features import FoundationEncoder
    from mmfusion.registry import list_encoders, list_fusions, list_restorers
    from mmfusion.staging import StageClassifier, StagePrediction
    from mmfusion.synthetic import phantom
