"""Heads map the fused vector to classes; the softmax of their output is the distribution over classes."""

from __future__ import annotations

import torch
from torch import nn

from mmfusion.errors import MMFusionError, did_you_mean


class SoftmaxHead(nn.Linear):
    """Linear head with one logit per class: (b, f) to (b, K).

    Examples
    --------
    >>> SoftmaxHead(8, 4)(torch.zeros(2, 8)).shape
    torch.Size([2, 4])
    """


class OrdinalHead(nn.Module):
    """Head for ordered classes: one score and K - 1 increasing thresholds.

    This is the proportional-odds model P(y > k) = sigmoid(s - theta_k). As in CORAL, all thresholds share the
    weights. Here the thresholds are also kept in order, so that no class has a negative probability.

    Parameters
    ----------
    in_features : int
        Width of the fused vector.
    n_classes : int
        Number of classes, K, at least 2. The classes are in order of severity.

    References
    ----------
    McCullagh 1980, Journal of the Royal Statistical Society B 42(2); CORAL: Cao et al. 2020, Pattern
    Recognition Letters 140.

    Examples
    --------
    >>> proba = OrdinalHead(4, 3)(torch.zeros(1, 4)).exp()  # the score is 0, so classes are equal
    >>> [round(p, 2) for p in proba[0].tolist()]
    [0.33, 0.33, 0.33]
    """

    def __init__(self, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(in_features, 1, bias=False)
        even = torch.logit(torch.arange(1, n_classes) / n_classes)  # equal classes if the score is 0
        self.first = nn.Parameter(even[:1].clone())
        self.steps = nn.Parameter(torch.log(torch.expm1(even.diff())))  # inverse of softplus

    def thresholds(self) -> torch.Tensor:
        """Return the thresholds theta in increasing order, shape (K - 1,)."""
        return torch.cat([self.first, self.first + (nn.functional.softplus(self.steps) + 1e-3).cumsum(0)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of the classes: (b, f) to (b, K)."""
        margin = self.score(x) - self.thresholds()  # logit of P(y > k), which falls with k
        above, below = nn.functional.logsigmoid(margin), nn.functional.logsigmoid(-margin)
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)) avoids cancellation
        between = above[:, :-1] + below[:, 1:] + torch.log(-torch.expm1(-self.thresholds().diff()))
        return torch.cat([below[:, :1], between, above[:, -1:]], dim=1)


class MixedHead(nn.Module):
    """Mixture of an ordinal head and a softmax head, for classes that may or may not be ordered.

    The probabilities are g ordinal + (1 - g) softmax. The share g is learned with the weights and starts at
    one half. Where the classes follow one score, the ordinal part carries the mixture. The softmax part names
    classes with signs of their own.

    Parameters
    ----------
    in_features : int
        Width of the fused vector.
    n_classes : int
        Number of classes, K, at least 2. The classes are in order of severity.

    Examples
    --------
    >>> MixedHead(4, 3)(torch.zeros(1, 4)).exp().sum().round(decimals=4)
    tensor(1., grad_fn=<RoundBackward1>)
    """

    def __init__(self, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.ordinal = OrdinalHead(in_features, n_classes)
        self.softmax = SoftmaxHead(in_features, n_classes)
        self.gate = nn.Parameter(torch.zeros(()))  # logit of g

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of the classes: (b, f) to (b, K)."""
        ordinal = nn.functional.logsigmoid(self.gate) + self.ordinal(x)
        free = nn.functional.logsigmoid(-self.gate) + self.softmax(x).log_softmax(1)
        return torch.logaddexp(ordinal, free)


HEADS: dict[str, type[nn.Module]] = {"mixed": MixedHead, "ordinal": OrdinalHead, "softmax": SoftmaxHead}


def make_head(name: str, in_features: int, n_classes: int) -> nn.Module:
    """Return a new head.

    Parameters
    ----------
    name : {"mixed", "ordinal", "softmax"}
        Name of the head.
    in_features : int
        Width of the fused vector.
    n_classes : int
        Number of classes, at least 2.

    Raises
    ------
    MMFusionError
        If there is no head with this name, or there are fewer than two classes.

    Examples
    --------
    >>> make_head("softmax", 8, 3)(torch.zeros(2, 8)).shape
    torch.Size([2, 3])
    """
    if name not in HEADS:
        hint = did_you_mean(name, HEADS)
        raise MMFusionError(f"no head called {name!r}", expected=", ".join(HEADS), hint=hint)
    if n_classes < 2:
        raise MMFusionError("too few classes for a head", expected="2 or more", got=n_classes)
    return HEADS[name](in_features, n_classes)
