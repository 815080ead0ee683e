"""Guards against inputs that determine the label, and demonstrations of what leaks do to results."""

from mmfusion.evaluation.leakage.context import is_probed, probed
from mmfusion.evaluation.leakage.demos import DEMO_COLUMNS, demo_gaps, demo_rows
from mmfusion.lazy import lazy

__all__ = ["DEMO_COLUMNS", "demo_gaps", "demo_rows", "is_probed", "lda_demo", "probed", "slice_split_demo"]

# scikit-learn's forest and the phantoms are loaded only for the demonstrations
__getattr__, __dir__ = lazy(__name__, {"lda_demo": "reduction", "slice_split_demo": "slices"})
