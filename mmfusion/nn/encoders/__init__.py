"""Encoders map one stream each to tokens (b, t, d). Importing this package registers them."""

from mmfusion.errors import MMFusionError
from mmfusion.nn.encoders import (
    ct_resnet,
    ft_transformer,
    gene_gat,
    gene_mlp,
    gene_sets,
    table_mlp,
    table_values,
)
from mmfusion.nn.encoders.base import Encoder
from mmfusion.streams import CUBE, GENES, TABLE, ShapePattern, StreamSpec

DEFAULTS: dict[ShapePattern, str] = {CUBE: "ct_resnet", TABLE: "table_mlp", GENES: "gene_gat"}


def default_encoder(spec: StreamSpec) -> str:
    """Return the name of the encoder that reads a stream if the user chooses none.

    Raises
    ------
    MMFusionError
        If no default encoder reads streams of this shape.

    Examples
    --------
    >>> default_encoder(StreamSpec("ct", "ct", (1, 32, 32, 32)))
    'ct_resnet'
    """
    for pattern, name in DEFAULTS.items():
        if spec.fits(pattern):
            return name
    raise MMFusionError(
        f"no default encoder for the stream {spec.name!r}",
        expected=" or ".join(map(str, DEFAULTS)),
        got=spec.shape,
        hint=f"choose one: encoders={{{spec.name!r}: ...}}; list_encoders() shows them",
    )


__all__ = [
    "DEFAULTS",
    "Encoder",
    "ct_resnet",
    "default_encoder",
    "ft_transformer",
    "gene_gat",
    "gene_mlp",
    "gene_sets",
    "table_mlp",
    "table_values",
]
