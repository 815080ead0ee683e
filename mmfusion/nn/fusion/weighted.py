"""Concatenation fusion with a weight per stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.nn.fusion.concat import Concat
from mmfusion.registry import FUSIONS
from mmfusion.streams import StreamSpec


@FUSIONS.register(
    "mod_weighted", modality="any", paper="the stage paper's `mod_weighted`: weights that sum to one"
)
class ModalityWeighted(Concat):
    """Concatenation of vectors times weights, given or learned, that sum to one over the streams present.

    Parameters
    ----------
    streams, n_tokens, d, hidden, dropout
        As in `Fusion`.
    weights : mapping of str to float, optional
        Stream or modality -> positive weight. Default: learned weights that start equal.

    Raises
    ------
    MMFusionError
        If a weight is missing or not positive.

    Examples
    --------
    >>> streams = [StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))]
    >>> sizes, weights = {"rna": 4, "ehr": 1}, {"rna": 3.0, "ehr": 1.0}
    >>> fusion = ModalityWeighted(streams, sizes, d=8, hidden=16, dropout=0.0, weights=weights)
    >>> scale = fusion.scale(torch.tensor([[True, True], [False, True]]))
    >>> [[round(w, 2) for w in patient] for patient in scale.tolist()]
    [[0.75, 0.25], [0.0, 1.0]]
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        n_tokens: Mapping[str, int],
        d: int,
        hidden: int,
        dropout: float,
        *,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(streams, n_tokens, d, hidden, dropout)
        if weights is None:
            self.log_weights = nn.Parameter(torch.zeros(len(self.streams)))
        else:
            chosen = [weights.get(spec.name, weights.get(spec.modality, 0.0)) for spec in self.streams]
            if min(chosen) <= 0:
                name = self.names[chosen.index(min(chosen))]
                raise MMFusionError(
                    f"no positive weight for the stream {name!r}",
                    expected="one for each stream",
                    got=dict(weights),
                )
            self.register_buffer("log_weights", torch.tensor(chosen).log())

    def scale(self, present: torch.Tensor) -> torch.Tensor:
        """Return the weights, shape (b, m): 0 to 1, sum 1, zero for absent streams."""
        masked = torch.where(present, self.log_weights, -torch.inf)
        return torch.where(present.any(1, keepdim=True), masked, 0.0).softmax(1)
