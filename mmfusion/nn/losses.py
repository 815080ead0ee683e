"""Loss functions for classes of unequal size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmfusion.errors import MMFusionError


def balanced_weights(counts: Sequence[int]) -> torch.Tensor:
    """Return class weights n / (K n_c), as "balanced" in scikit-learn, shape (K,).

    A class without patients is treated as if it had one.

    >>> balanced_weights([10, 30]).tolist()
    [2.0, 0.6666666865348816]
    """
    counts = torch.as_tensor(counts, dtype=torch.float32)
    return counts.sum() / (len(counts) * counts.clamp_min(1))


def effective_number_weights(counts: Sequence[int], beta: float = 0.999) -> torch.Tensor:
    """Return class weights (1 - beta) / (1 - beta^n_c), scaled to mean 1, shape (K,).

    Cui et al. 2019, "Class-balanced loss based on effective number of samples", CVPR.

    >>> effective_number_weights([10, 10]).tolist()
    [1.0, 1.0]
    """
    counts = torch.as_tensor(counts, dtype=torch.float64).clamp_min(1)
    weights = (1 - beta) / (1 - beta**counts)
    return (weights / weights.mean()).float()


class FocalLoss(nn.Module):
    """Focal loss: mean over patients of -w_y (1 - p_y)^gamma log p_y (Lin et al. 2017, ICCV).

    Parameters
    ----------
    weights : Tensor, shape (K,)
        Weight of each class.
    gamma : float
        Focusing parameter, 0 or more. With a larger value, patients that are already predicted well count
        less. With 0, this is weighted cross-entropy.

    Examples
    --------
    >>> loss = FocalLoss(torch.ones(2), gamma=2.0)(torch.zeros(1, 2), torch.tensor([0]))
    >>> round(loss.item(), 4)  # -(1 - 1/2)^2 log(1/2)
    0.1733
    """

    def __init__(self, weights: torch.Tensor, gamma: float = 2.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits (b, K) for class codes (b,), a scalar."""
        return self.of_rows(logits, y).mean()

    def of_rows(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row, shape (b,)."""
        log_p = logits.log_softmax(1).gather(1, y[:, None]).squeeze(1)
        wrong = -torch.expm1(log_p)
        # clamped, because a power of exactly 0 has no finite gradient for gamma < 1
        return -(self.weights[y] * wrong.clamp_min(1e-12) ** self.gamma * log_p)


def make_loss(
    name: str, counts: Sequence[int], *, gamma: float = 2.0, class_weight: str | None = "balanced"
) -> nn.Module:
    """Return a loss for training data with the given class sizes.

    Parameters
    ----------
    name : {"cross_entropy", "focal"}
        Class-weighted cross-entropy, or focal loss with `effective_number_weights`.
    counts : sequence of int, shape (K,)
        Number of training patients in each class.
    gamma : float
        Focusing parameter of the focal loss.
    class_weight : {"balanced", None}
        Class weights of the cross-entropy.

    Raises
    ------
    MMFusionError
        If there is no such loss or weighting.

    Examples
    --------
    >>> make_loss("focal", [10, 30]).gamma
    2.0
    """
    if class_weight not in ("balanced", None):
        raise MMFusionError("unknown class weights", expected="'balanced' or None", got=class_weight)
    if name == "cross_entropy":
        return nn.CrossEntropyLoss(balanced_weights(counts) if class_weight else None)
    if name == "focal":
        return FocalLoss(effective_number_weights(counts), gamma)
    raise MMFusionError(f"no loss called {name!r}", expected="cross_entropy, focal")
