"""Missing labels, and losses over the known labels.

All data sets of `mmfusion.nn.training` follow this convention:

- class codes are int64, shape (n,); -1 means that the class is not known;
- vectors are float32, shape (n, d); NaN means that this entry is not known;
- masks are uint8, shape (n, 1, *space), in {0, 1}; 255 in every voxel means that the mask is not known.

A data set returns one such tensor, or a dict of them by name. A network returns one output, or a dict with
the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmfusion.errors import DataError

NO_CLASS, NO_MASK = -1, 255


def known(labels: torch.Tensor) -> torch.Tensor:
    """Return the mask of known labels: bool, shape (n,) for classes and masks, (n, d) for vectors.

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
    """Loss over the known labels; 0 with a gradient of 0 if a batch has no known label.

    Parameters
    ----------
    loss : nn.Module
        `loss(output, labels)` returns the mean over rows. For vectors it returns the mean over entries, and
        gets the known entries of all rows as tensors of one axis.

    Examples
    --------
    >>> loss = KnownOnly(nn.MSELoss())
    >>> loss(torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, float("nan")]]))
    tensor(4.)
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: torch.Tensor | Sequence[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar; `output` may be a list, such as a mask at several resolutions."""
        which = known(labels)
        several = not isinstance(output, torch.Tensor)
        if not which.any():
            return torch.stack([one.sum() * 0 for one in (output if several else [output])]).sum()
        labels = labels[which]
        chosen = [one[which] for one in output] if several else output[which]
        return self.loss(chosen, labels.float() if labels.dtype == torch.uint8 else labels)


class JointLoss(nn.Module):
    """Weighted sum of the losses of several outputs, each over its known labels.

    An output without a known label in a batch has no term in the sum, so its head gets no gradient.

    Parameters
    ----------
    losses : mapping of str to nn.Module
        Name of an output and its labels -> loss; see `KnownOnly`. A loss whose attribute `handles_unknown` is
        True gets the outputs and labels of all rows.
    weights : mapping of str to float, optional
        Name -> weight of the loss. Default: 1 for each.

    Raises
    ------
    DataError
        If a name in `weights` is not in `losses`.

    Examples
    --------
    >>> loss = JointLoss({"a": nn.MSELoss(), "b": nn.MSELoss()}, {"b": 0.5})
    >>> loss({"a": torch.ones(2), "b": torch.ones(2)}, {"a": torch.zeros(2), "b": torch.zeros(2)})
    tensor(1.5000)
    """

    def __init__(self, losses: Mapping[str, nn.Module], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.weights = dict(weights or {})
        if unknown := set(self.weights) - set(losses):
            raise DataError("a weight without a loss", expected=", ".join(losses), got=", ".join(unknown))
        self.losses = nn.ModuleDict(
            {
                name: loss if getattr(loss, "handles_unknown", False) else KnownOnly(loss)
                for name, loss in losses.items()
            }
        )

    def scales(self) -> dict[str, float]:
        """Return the weights that the losses have now, as `weight_<task>`."""
        return {f"weight_{name}": float(self.weights.get(name, 1.0)) for name in self.losses}

    def unweighted(
        self, outputs: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the loss of each output that has a known label in the batch, a scalar each."""
        return {
            name: loss(outputs[name], labels[name])
            for name, loss in self.losses.items()
            if known(labels[name]).any()
        }

    def terms(
        self, outputs: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the sum by name."""
        losses = self.unweighted(outputs, labels)
        return {name: self.weights.get(name, 1.0) * loss for name, loss in losses.items()}

    def forward(
        self, outputs: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return the loss, a scalar."""
        terms = list(self.terms(outputs, labels).values())
        if not terms:  # each loss is 0 then, with a gradient of 0
            terms = [loss(outputs[name], labels[name]) for name, loss in self.losses.items()]
        return torch.stack(terms).sum()
