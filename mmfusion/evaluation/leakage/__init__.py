"""Guards against inputs that determine the label, and demonstrations of what leaks do to results."""

from mmfusion.evaluation.leakage.context import is_probed, probed
from mmfusion.evaluation.leakage.demos import DEMO_COLUMNS, demo_gaps, demo_rows
from mmfusion.lazy import lazy

# scikit-learn's models and the phantoms are loaded only for the demonstrations
_HOME = {
    "lda_demo": "reduction",
    "slice_split_demo": "slices",
    "run_demos": "registry",
    "all_demos": "registry",
    "demo_table": "registry",
}
__all__ = ["DEMO_COLUMNS", "demo_gaps", "demo_rows", "is_probed", "probed", *_HOME]
__getattr__, __dir__ = lazy(__name__, _HOME)
