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
    """

    def __init__(self, members: Sequence[FusionNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.eval()

    def forward(self, present: torch.Tensor, **streams: torch.Tensor) -> torch.Tensor:
        """Return the log of the members' mean probability, shape (n, K); clamped to keep gradients finite."""
        proba = torch.stack([member(present, **streams).softmax(-1) for member in self.members]).mean(0)
        return proba.clamp_min(1e-12).log()
