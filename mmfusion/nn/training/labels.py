"""Labels that some patients lack, and losses that see only those that are known.

The convention, in every data set of `mmfusion.nn.training`:

- class codes are int64, shape (n,); -1 means that the class is not known;
- vectors are float32, shape (n, d); NaN means that this entry is not known;
- masks are uint8, shape (n, 1, *space), in {0, 1}; 255 in every voxel means that the mask is not known.

A data set gives one such tensor, or a dict of them by name; a network gives one output, or a dict by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mmfusion.errors import DataError

NO_CLASS, NO_MASK = -1, 255


def known(labels: torch.Tensor) -> torch.Tensor:
    """Return which labels are known: bool, shape (n,) for classes and masks, (n, d) for vectors.

    Examples
    --------
    >>> known(torch.tensor([2, -1]))
    tensor([ True, False])
    >>> known(torch.tensor([[0.5, float("nan")]]))
    tensor([[ True, False]])
    """
    if labels.is_floating_point():
        return ~labels.isnan()
    if labels.dtype == torch.uint8:
        return (labels != NO_MASK).flatten(1).any(dim=1)
    return labels != NO_CLASS


class KnownOnly(nn.Module):
    """A loss over the labels that are known; 0, with a gradient of 0, where a batch has none.

    Parameters
    ----------
    loss : nn.Module
        `loss(output, labels)` is a mean over rows; of vectors, over entries: it gets the known entries of all rows
        in one axis.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        which = known(labels)
        if not which.any():
            return output.sum() * 0
        labels = labels[which]
        return self.loss(output[which], labels.float() if labels.dtype == torch.uint8 else labels)


class JointLoss(nn.Module):
    """The weighted sum of the losses of several outputs, each over the labels that are known.

    Parameters
    ----------
    losses : mapping of str to nn.Module
        By name of output and label; see `KnownOnly`.
    weights : mapping of str to float, optional
        Default 1 each.

    Raises
    ------
    DataError
        If a weight is of no loss.
    """

    def __init__(self, losses: Mapping[str, nn.Module], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.weights = dict(weights or {})
        if unknown := set(self.weights) - set(losses):
            raise DataError("a weight of no loss", expected=", ".join(losses), got=", ".join(unknown))
        self.losses = nn.ModuleDict({name: KnownOnly(loss) for name, loss in losses.items()})

    def forward(
        self, outputs: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return the loss, a scalar."""
        terms = [
            self.weights.get(name, 1.0) * loss(outputs[name], labels[name])
            for name, loss in self.losses.items()
        ]
        return torch.stack(terms).sum()
