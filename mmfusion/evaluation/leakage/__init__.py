"""Guards against inputs that determine the label."""

from mmfusion.evaluation.leakage.context import is_probed, probed

__all__ = ["is_probed", "probed"]
