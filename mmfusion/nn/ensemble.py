"""Several networks as one: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmfusion.nn.net import FusionNet


class Ensemble(nn.Module):
    """Mean probability of several networks, as a log-probability, shape (n, K)."""

    def __init__(self, members: Sequence[FusionNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.eval()

    def forward(self, present: torch.Tensor, **streams: torch.Tensor) -> torch.Tensor:
        """Log of the members' mean probability; clamped, so that its gradient is finite."""
        proba = torch.stack([member(present, **streams).softmax(-1) for member in self.members]).mean(0)
        return proba.clamp_min(1e-12).log()
