"""Base class of the encoders, which map the tensor of one stream to tokens."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.streams import StreamSpec


class Encoder(nn.Module):
    """Maps one stream to tokens; a subclass sets `kind` and `n_tokens`, and writes `forward(x) -> (b, t, d)`.

    Parameters
    ----------
    spec : StreamSpec
        Stream to be read.
    d : int
        Width of a token.
    dropout : float
        Dropout rate.

    Attributes
    ----------
    kind : {"volume", "table", "genes"}
        The streams it can read.
    n_tokens : int
        Number of tokens per patient, t.

    Raises
    ------
    MMFusionError
        If the stream is of another kind.
    """

    kind: ClassVar[str]
    n_tokens: int = 1

    def __init__(self, spec: StreamSpec, d: int, dropout: float) -> None:
        super().__init__()
        if spec.kind != self.kind:
            raise MMFusionError(
                f"{type(self).__name__} cannot read the stream {spec.name!r}",
                expected=self.kind,
                got=spec.kind,
            )
        self.spec, self.d, self.dropout = spec, d, dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens of the stream, shape (b, t, d)."""
        raise NotImplementedError
