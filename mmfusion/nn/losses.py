"""Losses for classes of unequal size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmfusion.errors import MMFusionError


def balanced_weights(counts: Sequence[int]) -> torch.Tensor:
    """Weights n / (K n_c) of scikit-learn's "balanced"; a class without patients counts as one, shape (K,)."""
    counts = torch.as_tensor(counts, dtype=torch.float32)
    return counts.sum() / (len(counts) * counts.clamp_min(1))


def effective_number_weights(counts: Sequence[int], beta: float = 0.999) -> torch.Tensor:
    """Weights (1 - beta) / (1 - beta^n_c), scaled to mean 1 (Cui et al. 2019, CVPR), shape (K,)."""
    counts = torch.as_tensor(counts, dtype=torch.float64).clamp_min(1)
    weights = (1 - beta) / (1 - beta**counts)
    return (weights / weights.mean()).float()


class FocalLoss(nn.Module):
    """Mean over patients of -w_y (1 - p_y)^gamma log p_y (Lin et al. 2017, ICCV).

    Parameters
    ----------
    weights : Tensor, shape (K,)
        Weight of each class.
    gamma : float
        How much patients that are already right count for less; 0 is weighted cross-entropy.
    """

    def __init__(self, weights: torch.Tensor, gamma: float = 2.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The loss of logits (b, K) against class codes (b,), a scalar."""
        log_p = logits.log_softmax(1).gather(1, y[:, None]).squeeze(1)
        wrong = -torch.expm1(log_p)
        # a power of exactly 0 has no gradient for gamma < 1
        return -(self.weights[y] * wrong.clamp_min(1e-12) ** self.gamma * log_p).mean()


def make_loss(
    name: str, counts: Sequence[int], *, gamma: float = 2.0, class_weight: str | None = "balanced"
) -> nn.Module:
    """The loss called `name`, for training data with these many patients in each class.

    Parameters
    ----------
    name : {"cross_entropy", "focal"}
        Class-weighted cross-entropy; or focal loss with weights by effective numbers.
    counts : sequence of int, shape (K,)
        Training patients in each class.
    gamma : float
        Focusing parameter of the focal loss.
    class_weight : {"balanced", None}
        Weights of the cross-entropy.

    Raises
    ------
    MMFusionError
        If there is no such loss or weighting.
    """
    if class_weight not in ("balanced", None):
        raise MMFusionError("unknown class weights", expected="'balanced' or None", got=class_weight)
    if name == "cross_entropy":
        return nn.CrossEntropyLoss(balanced_weights(counts) if class_weight else None)
    if name == "focal":
        return FocalLoss(effective_number_weights(counts), gamma)
    raise MMFusionError(f"no loss called {name!r}", expected="cross_entropy, focal")
