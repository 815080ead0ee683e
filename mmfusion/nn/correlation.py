"""Loss of predicted expression: squared error and correlation over the patients of a batch."""

from __future__ import annotations

import torch
from torch import nn

from mmfusion.errors import MMFusionError

LEAST = 8  # rows of a batch, for a correlation


class CorrelationLoss(nn.Module):
    """(1 - weight) MSE + weight (1 - mean over genes of Pearson's r over the rows of the batch).

    The correlation of few rows is noise, so a gene needs `least` known values. A gene whose known values are
    all equal has no correlation and is left out. Without such genes, the loss is the MSE.

    Parameters
    ----------
    weight : float in [0, 1]
        Weight of the correlation.
    least : int >= 2
        Least number of known values of a gene in a batch.

    Raises
    ------
    MMFusionError
        If a parameter is out of range.

    Examples
    --------
    >>> y = torch.arange(8.0)[:, None]
    >>> CorrelationLoss(weight=1.0)(2 * y + 3, y).item()  # r is 1
    0.0
    >>> CorrelationLoss(weight=0.5)(y[:4] + 2, y[:4]).item()  # too few rows: MSE
    4.0
    """

    handles_unknown = True  # read by JointLoss: the correlation needs the rows, not single entries

    def __init__(self, weight: float = 0.5, least: int = LEAST) -> None:
        super().__init__()
        if not 0 <= weight <= 1 or least < 2:
            raise MMFusionError(
                "a correlation loss cannot have this",
                expected="weight in [0, 1] and least 2 or above",
                got=(weight, least),
            )
        self.weight, self.least = weight, least

    def forward(self, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar; 0 if no label is known.

        Parameters
        ----------
        output, labels : Tensor, shape (b, P)
            Predicted and measured expression, z-scores. NaN in `labels` means not known.
        """
        known = ~labels.isnan()
        labels = labels.nan_to_num()
        count = known.sum(0)
        error = ((output - labels).square() * known).sum() / count.sum().clamp_min(1)
        a, b = _centred(output, known), _centred(labels, known)
        spread = b.square().sum(0)
        usable = (count >= self.least) & (spread > _FLAT)
        if not usable.any() or not self.weight:
            return error
        # a square root has no finite gradient at 0, so constant outputs get a small spread
        r = (a * b).sum(0)[usable] / ((a.square().sum(0)[usable] + _FLAT) * spread[usable]).sqrt()
        return (1 - self.weight) * error + self.weight * (1 - r.mean())


_FLAT = 1e-8


def _centred(x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the known entries minus their mean in each column, and 0 elsewhere."""
    mean = (x * known).sum(0) / known.sum(0).clamp_min(1)
    return (x - mean) * known
