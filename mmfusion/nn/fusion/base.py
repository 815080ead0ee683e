"""What every fusion is: tokens of any number of streams and who has which, to one vector a patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import einsum, rearrange
from torch import nn

from mmfusion.streams import StreamSpec


class Fusion(nn.Module):
    """Joins the tokens of the streams that a patient has; a subclass writes `forward`.

    Parameters
    ----------
    streams : sequence of StreamSpec
        The streams, in the order of `present`'s columns.
    n_tokens : mapping of str to int
        Tokens of each stream.
    d : int
        Width of tokens.
    hidden : int
        Width of the hidden layer, which every fusion has: heads are linear.
    dropout : float
        Dropout of the hidden layer.

    Attributes
    ----------
    out_features : int
        Width of what `forward(tokens, present)` returns.
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
        """Fuse.

        Parameters
        ----------
        tokens : mapping of str to Tensor, shape (b, t, d)
            By stream name; those of an absent stream are not read.
        present : Tensor of bool, shape (b, m)
            Which patient has which stream, in the order of `streams`.

        Returns
        -------
        Tensor, shape (b, out_features)
        """
        raise NotImplementedError

    def _hidden_layer(self, width: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(width, self.hidden), nn.ReLU(), nn.Dropout(self.dropout))


class TokenMean(nn.Module):
    """One vector for each stream: the mean of its tokens, with learned weights, the same for every patient.

    Parameters
    ----------
    names : sequence of str
        The streams, in the order of `present`'s columns.
    n_tokens : mapping of str to int
        Tokens of each stream.
    """

    def __init__(self, names: Sequence[str], n_tokens: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(names)
        several = {name: nn.Parameter(torch.zeros(n_tokens[name])) for name in names if n_tokens[name] > 1}
        self.weights = nn.ParameterDict(several)

    def forward(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Vectors, shape (b, m, d); zeros, whatever the tokens say, where a stream is absent."""
        there = [
            torch.where(p[:, None, None], tokens[name], 0.0) for name, p in zip(self.names, present.unbind(1))
        ]
        return torch.stack([self._mean(name, x) for name, x in zip(self.names, there)], dim=1)

    def _mean(self, name: str, tokens: torch.Tensor) -> torch.Tensor:
        if name not in self.weights:
            return rearrange(tokens, "b 1 d -> b d")
        return einsum(tokens, self.weights[name].softmax(0), "b t d, t -> b d")
