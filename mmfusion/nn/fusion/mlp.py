"""Fusion by a perceptron over all tokens, the radiomics baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from einops import rearrange
from torch import nn

from mmfusion.nn.fusion.base import Fusion
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


class _BatchNorm(nn.BatchNorm1d):
    """Batch norm that uses running statistics if a training batch has only one patient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or x.shape[0] > 1:
            return super().forward(x)
        return nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


@FUSIONS.register("mlp", modality="any", paper="the stage paper's baseline: 4114 -> 512 -> 128 -> classes")
class Perceptron(Fusion):
    """Perceptron over the flattened tokens, with batch norm; tokens of absent streams are zero.

    With `table_values` encoders (and a `d` that divides the numbers of features) its inputs are the raw
    features. It is the only fusion with batch statistics, as published. They are used in training only, not
    in predictions.

    Parameters
    ----------
    streams, n_tokens, d, hidden, dropout
        As in `Fusion`; `hidden` is the width of the first layer.
    widths : sequence of int
        Widths of the further layers.

    Examples
    --------
    >>> streams = [StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> fusion = Perceptron(streams, {"rna": 4, "ehr": 1}, d=8, hidden=16, dropout=0.0, widths=(12,))
    >>> tokens = {"rna": torch.zeros(2, 4, 8), "ehr": torch.zeros(2, 1, 8)}
    >>> fusion(tokens, torch.tensor([[True, True], [False, True]])).shape
    torch.Size([2, 12])
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        n_tokens: Mapping[str, int],
        d: int,
        hidden: int,
        dropout: float,
        *,
        widths: Sequence[int] = (128,),
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        sizes = [d * sum(n_tokens[name] for name in self.names), hidden, *widths]
        layers = [
            [nn.Linear(i, o), _BatchNorm(o), nn.ReLU(), nn.Dropout(dropout)] for i, o in pairwise(sizes)
        ]
        self.layers = nn.Sequential(*[part for layer in layers for part in layer])
        self.out_features = sizes[-1]

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layer, shape (b, widths[-1])."""
        there = [
            torch.where(p[:, None, None], tokens[name], 0.0) for name, p in zip(self.names, present.unbind(1))
        ]
        return self.layers(rearrange(torch.cat(there, dim=1), "b t d -> b (t d)"))
