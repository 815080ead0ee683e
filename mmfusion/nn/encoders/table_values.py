"""Encoder of tables without parameters, for models that read raw features."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.encoders.base import Encoder
from mmfusion.registry import ENCODERS
from mmfusion.streams import TABLE, StreamSpec


@ENCODERS.register("table_values", modality="ehr, ct features", paper="this project (no parameters)")
class TableValues(Encoder):
    """Values of the table, unchanged and without their mask, cut into tokens of width d.

    Parameters
    ----------
    spec : StreamSpec
        Stream of a table, shape (2, n), with n encoded columns.
    d : int
        Width of a token. The last token is padded with zeros.
    dropout : float
        Not used, because there are no parameters.

    Notes
    -----
    Input (b, 2, n) float32; output (b, ceil(n / d), d).

    Examples
    --------
    >>> encoder = TableValues(StreamSpec("ehr", "ehr", (2, 3)), d=2)
    >>> encoder(torch.tensor([[[50.0, 1.0, 20.0], [1.0, 1.0, 1.0]]])).tolist()
    [[[50.0, 1.0], [20.0, 0.0]]]
    """

    reads = TABLE

    def __init__(self, spec: StreamSpec, d: int = 32, dropout: float = 0.3) -> None:
        super().__init__(spec, d, dropout)
        self.n_tokens = -(-spec.shape[1] // d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the values in rows of d, shape (b, t, d)."""
        values = nn.functional.pad(x[:, 0], (0, self.n_tokens * self.d - self.spec.shape[1]))
        return rearrange(values, "b (t d) -> b t d", d=self.d)
