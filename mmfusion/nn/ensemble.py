"""Ensemble of networks: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmfusion.nn.net import FusionNet


class Ensemble(nn.Module):
    """Ensemble of networks in evaluation mode; its output is the log of their mean probability.

    Parameters
    ----------
    members : sequence of FusionNet
        Networks with the same streams and classes.

    Examples
    --------
    >>> from mmfusion.streams import StreamSpec
    >>> members = [FusionNet([StreamSpec("ehr", "ehr", (2, 3))], 4, fusion="concat") for _ in range(3)]
    >>> proba = Ensemble(members)(torch.ones(2, 1, dtype=torch.bool), ehr=torch.zeros(2, 2, 3)).exp()
    >>> proba.shape, [round(total, 3) for total in proba.sum(1).tolist()]
    (torch.Size([2, 4]), [1.0, 1.0])
    """

    def __init__(self, members: Sequence[FusionNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.eval()

    def forward(self, present: torch.Tensor, **streams: torch.Tensor) -> torch.Tensor:
        """Return the log of the members' mean probability, shape (n, K); clamped to keep gradients finite."""
        proba = torch.stack([member(present, **streams).softmax(-1) for member in self.members]).mean(0)
        return proba.clamp_min(1e-12).log()
