"""Base class of the fusions, which map the tokens of any number of streams to one vector per patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import einsum, rearrange
from torch import nn

from mmfusion.streams import StreamSpec


class Fusion(nn.Module):
    """Base class of the fusions; a subclass writes `forward`, which joins the tokens of a patient's streams.

    Parameters
    ----------
    streams : sequence of StreamSpec
        The m streams, in the order of the columns of `present`.
    n_tokens : mapping of str to int
        Stream -> number of tokens.
    d : int
        Width of the tokens.
    hidden : int
        Width of the hidden layer. Every fusion has one, because heads are linear.
    dropout : float
        Dropout rate of the hidden layer.

    Attributes
    ----------
    out_features : int
        Width of the output of `forward(tokens, present)`.

    Examples
    --------
    >>> class First(Fusion):
    ...     def forward(self, tokens, present):
    ...         return tokens[self.names[0]].mean(1)
    >>> fusion = First([StreamSpec("ehr", "ehr", (2, 3))], {"ehr": 1}, d=8, hidden=8, dropout=0.0)
    >>> fusion({"ehr": torch.zeros(5, 1, 8)}, torch.ones(5, 1, dtype=torch.bool)).shape
    torch.Size([5, 8])
    """

    out_features: int

    def __init__(
        self, streams: Sequence[StreamSpec], n_tokens: Mapping[str, int], d: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.streams = tuple(streams)
        self.names = tuple(spec.name for spec in streams)
        self.d, self.hidden, self.dropout = d, hidden, dropout
        self.out_features = hidden

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the fused vector of each patient.

        Parameters
        ----------
        tokens : mapping of str to Tensor, shape (b, t, d)
            Tokens by stream name. Tokens of an absent stream are not read.
        present : Tensor of bool, shape (b, m)
            True where a patient (row) has a stream (column, in the order of `streams`).

        Returns
        -------
        Tensor, shape (b, out_features)
        """
        raise NotImplementedError

    def _hidden_layer(self, width: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(width, self.hidden), nn.ReLU(), nn.Dropout(self.dropout))


class TokenMean(nn.Module):
    """Mean of the tokens of each stream, with learned weights that are the same for every patient.

    Parameters
    ----------
    names : sequence of str
        Names of the streams, in the order of the columns of `present`.
    n_tokens : mapping of str to int
        Stream -> number of tokens.

    Examples
    --------
    >>> tokens = {"rna": torch.ones(2, 3, 4), "ehr": torch.ones(2, 1, 4)}
    >>> present = torch.tensor([[True, True], [True, False]])
    >>> TokenMean(["rna", "ehr"], {"rna": 3, "ehr": 1})(tokens, present)[:, :, 0].tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, names: Sequence[str], n_tokens: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(names)
        several = {name: nn.Parameter(torch.zeros(n_tokens[name])) for name in names if n_tokens[name] > 1}
        self.weights = nn.ParameterDict(several)

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return the vectors, shape (b, m, d); an absent stream gives zeros whatever its tokens contain."""
        there = [
            torch.where(p[:, None, None], tokens[name], 0.0) for name, p in zip(self.names, present.unbind(1))
        ]
        return torch.stack([self._mean(name, x) for name, x in zip(self.names, there)], dim=1)

    def _mean(self, name: str, tokens: torch.Tensor) -> torch.Tensor:
        if name not in self.weights:
            return rearrange(tokens, "b 1 d -> b d")
        return einsum(tokens, self.weights[name].softmax(0), "b t d, t -> b d")
