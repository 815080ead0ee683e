"""Prediction of expression by a fitted segmenter: the mean over the windows of a scan that show a lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from mmfusion.errors import DataError
from mmfusion.lesions.tables import table_of
from mmfusion.nn.segmenters import Segmenter
from mmfusion.nn.training.windows import predict_volume

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter


def predict_expression(model: LesionSegmenter, X: pd.DataFrame) -> pd.DataFrame:
    """Return the expression of each patient, read from the scans alone.

    The network reads the scan in overlapping windows, as for a mask. The result is a weighted mean over the
    windows. The weight of a window is the size of the lesion in it: the sum of the predicted probability over
    the voxels above the threshold, or over all voxels if no window has a voxel above it. If the network
    predicts no masks, all windows have the same weight. Masks and seeds in X are not read.

    Parameters
    ----------
    X : DataFrame, shape (n, n_columns)
        Rows of `Cohort.X`.

    Returns
    -------
    DataFrame, shape (n, genes)
        One column per gene that was learned (`panel_.genes`), in the unit of the training values.

    Raises
    ------
    DataError
        If the model was fitted without expression, or a patient lacks a scan.
    ScanError
        If a scan cannot be read.
    """
    check_is_fitted(model, "module_")
    if model.panel_ is None:
        raise DataError("the model has not learned expression", hint="fit(X, expression=table)")
    rows = [_scaled(model, row) for _, row in table_of(X).iterrows()]
    values = model.panel_.restored(np.reshape(rows, (len(X), len(model.panel_.genes))))
    return pd.DataFrame(values, index=X.index, columns=list(model.panel_.genes))


def _scaled(model: LesionSegmenter, row: pd.Series) -> np.ndarray:
    windows = WeightedWindows(model.module_, model.threshold_)
    predict_volume(
        windows,
        model.reader.prepare(row).image,
        model.fitted_.size,
        device=model.device,
        flips=model.test_time_flips,
    )
    return windows.mean()


class WeightedWindows(nn.Module):
    """Network that sums the expression over all windows that it reads, weighted by the lesion in each.

    Parameters
    ----------
    network : Segmenter
        Network that predicts expression.
    threshold : float
        Threshold of the probability.

    Examples
    --------
    >>> class Mean(Segmenter):
    ...     tasks = ("mask", "expression")
    ...     def run(self, x, cue=None):
    ...         return {"mask": 20 * x - 10, "expression": x.flatten(1).mean(1, keepdim=True)}
    >>> windows = WeightedWindows(Mean(spatial_dims=2), 0.5)
    >>> _ = windows(torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]]))  # the second window has no lesion
    >>> windows.mean().round(3).tolist()
    [0.5]
    """

    def __init__(self, network: Segmenter, threshold: float) -> None:
        super().__init__()
        self.network, self.threshold = network, threshold
        # sums with two weights of a window: the probability above the threshold, and all probability
        self.values: list[torch.Tensor] = [torch.zeros(())] * 2
        self.weights: list[torch.Tensor] = [torch.zeros(())] * 2

    def forward(self, x: torch.Tensor, cue: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits of the mask, and add the windows to the sums."""
        out = self.network(x, cue)
        logits = out["mask"] if "mask" in out else torch.full_like(x[:, :1], 20.0)  # a probability of 1
        p, values = logits.double().sigmoid().clamp_min(1e-12).flatten(1), out["expression"].double()
        for k, weight in enumerate(((p * (p > self.threshold)).sum(1), p.sum(1))):
            self.values[k] = self.values[k].to(p) + weight @ values
            self.weights[k] = self.weights[k].to(p) + weight.sum()
        return logits

    def mean(self) -> np.ndarray:
        """Return the weighted mean over the windows, float64, shape (genes,)."""
        which = 0 if self.weights[0] > 0 else 1
        return (self.values[which] / self.weights[which]).cpu().numpy()
