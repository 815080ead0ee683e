"""Normalisation: an instance norm for MONAI's blocks, and a batch norm for the smallest batches."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

INSTANCE = ("INSTANCE", {"affine": True})  # instance norm with learned scale and shift, as MONAI names it


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that uses its running statistics if a channel has one value only.

    In training, torch refuses such a batch: one patch, whose map has one pixel. The last batch of an epoch
    may be one.

    Examples
    --------
    >>> BatchNorm2d(3).train()(torch.ones(1, 3, 1, 1)).shape
    torch.Size([1, 3, 1, 1])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised map, shape (b, c, y, x)."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(x)
