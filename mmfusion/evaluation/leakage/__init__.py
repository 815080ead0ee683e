"""Guards against inputs that give the label away."""

from mmfusion.evaluation.leakage.context import is_probed, probed

__all__ = ["is_probed", "probed"]
