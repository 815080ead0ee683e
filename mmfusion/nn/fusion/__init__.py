"""Fusions map tokens and a presence mask (b, m) to a vector (b, f). Importing this package registers them."""

from mmfusion.nn.fusion import concat, crossmodal, daft, gmu, late, mlp, weighted
from mmfusion.nn.fusion.base import Fusion

__all__ = ["Fusion", "concat", "crossmodal", "daft", "gmu", "late", "mlp", "weighted"]
