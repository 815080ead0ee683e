"""Heads: the fused vector to classes; softmax of what they return is the distribution over classes."""

from __future__ import annotations

import torch
from torch import nn

from mmfusion.errors import MMFusionError


class SoftmaxHead(nn.Linear):
    """One logit for each class: (b, f) to (b, K)."""


class OrdinalHead(nn.Module):
    """Ordered classes: one score, and K - 1 thresholds in increasing order (McCullagh 1980, JRSS B 42(2)).

    The proportional-odds model P(y > k) = sigmoid(s - theta_k); as in CORAL (Cao et al. 2020) all thresholds share
    the weights, and here they are also kept in order, so that no class has a negative probability.

    Parameters
    ----------
    in_features : int
        Width of the fused vector.
    n_classes : int
        Classes, K, at least 2, in order of severity.
    """

    def __init__(self, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(in_features, 1, bias=False)
        even = torch.logit(torch.arange(1, n_classes) / n_classes)  # equal classes where the score is 0
        self.first = nn.Parameter(even[:1].clone())
        self.steps = nn.Parameter(torch.log(torch.expm1(even.diff())))  # softplus undoes it

    def thresholds(self) -> torch.Tensor:
        """The thresholds theta, in increasing order, shape (K - 1,)."""
        return torch.cat([self.first, self.first + (nn.functional.softplus(self.steps) + 1e-3).cumsum(0)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Log-probabilities, (b, f) to (b, K)."""
        margin = self.score(x) - self.thresholds()  # of P(y > k), falling in k
        above, below = nn.functional.logsigmoid(margin), nn.functional.logsigmoid(-margin)
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)): no cancellation far from the thresholds
        between = above[:, :-1] + below[:, 1:] + torch.log(-torch.expm1(-self.thresholds().diff()))
        return torch.cat([below[:, :1], between, above[:, -1:]], dim=1)


HEADS: dict[str, type[nn.Module]] = {"softmax": SoftmaxHead, "ordinal": OrdinalHead}


def make_head(name: str, in_features: int, n_classes: int) -> nn.Module:
    """The head called `name`.

    Raises
    ------
    MMFusionError
        If there is none of that name, or there are fewer than two classes.
    """
    if name not in HEADS:
        raise MMFusionError(f"no head called {name!r}", expected=", ".join(HEADS))
    if n_classes < 2:
        raise MMFusionError("a head needs classes to tell apart", expected="2 or more", got=n_classes)
    return HEADS[name](in_features, n_classes)
