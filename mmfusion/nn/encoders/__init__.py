"""Encoders map one stream each to tokens (b, t, d). Importing this package registers them."""

from mmfusion.nn.encoders import ct_resnet, ft_transformer, gene_gat, gene_mlp, table_mlp, table_values
from mmfusion.nn.encoders.base import Encoder

DEFAULTS = {"volume": "ct_resnet", "table": "table_mlp", "genes": "gene_gat"}

__all__ = [
    "DEFAULTS",
    "Encoder",
    "ct_resnet",
    "ft_transformer",
    "gene_gat",
    "gene_mlp",
    "table_mlp",
    "table_values",
]
