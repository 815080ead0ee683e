"""Base class of the encoders, which map the tensor of one stream to tokens."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.streams import ShapePattern, StreamSpec


class Encoder(nn.Module):
    """Base class of the encoders; a subclass sets `reads` and `n_tokens`, and writes `forward`.

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
    reads : tuple of int or None
        Shape of the streams that it can read; None allows any size.
    n_tokens : int
        Number of tokens per patient, t.

    Raises
    ------
    MMFusionError
        If the stream has another shape.

    Examples
    --------
    >>> class Mean(Encoder):
    ...     reads = (None,)
    ...     def forward(self, x):
    ...         return x.mean(1)[:, None, None].expand(-1, 1, self.d)
    >>> Mean(StreamSpec("rna", "rna", (100,)), d=8, dropout=0.0)(torch.zeros(2, 100)).shape
    torch.Size([2, 1, 8])
    """

    reads: ClassVar[ShapePattern]
    n_tokens: int = 1

    def __init__(self, spec: StreamSpec, d: int, dropout: float) -> None:
        super().__init__()
        if not spec.fits(self.reads):
            raise MMFusionError(
                f"{type(self).__name__} cannot read the stream {spec.name!r}",
                expected=f"shape {self.reads}, where None is any size",
                got=spec.shape,
            )
        self.spec, self.d, self.dropout = spec, d, dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens of the stream, shape (b, t, d)."""
        raise NotImplementedError
