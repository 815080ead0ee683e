"""Histogram matching: the grey values of scans, whatever the scanner, made like those of the training scans."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mmfusion.errors import DataError
from mmfusion.imaging.quantiles import match_histogram, quantiles
from mmfusion.preprocessing.base import Stateful

_LEVELS = np.linspace(0.02, 0.98, 25)


class HistogramMatching(Stateful):
    """Grey values of scans changed so that air-like and tissue-like voxels are distributed as in the training scans.

    A map per scan, rising, from its own quantiles to the mean quantiles of the training scans, learned from voxels
    within the window. Voxels below and above `split` are matched apart: were the whole histogram matched, a scan with
    more tissue in it, such as a larger tumour, would be darkened for it.

    Parameters
    ----------
    split : float or None
        In [0, 1], the crop's window; None matches the whole histogram.

    Attributes
    ----------
    reference_ : ndarray, shape (n_bands, 25)
        Mean quantiles at levels 0.02 to 0.98; not numbers where no training scan has such voxels.
    """

    _least = 200  # voxels of a band, for its quantiles to mean something

    def __init__(self, *, split: float | None = 0.36) -> None:
        self.split = split

    def fit(self, crops: np.ndarray, y: object = None) -> HistogramMatching:
        """Learn from crops, shape (n, ...), in [0, 1], of the training patients who have a scan."""
        if self.split is not None and not 0 < self.split < 1:
            raise DataError("split out of range", expected="between 0 and 1", got=self.split)
        bands = self._bands()
        found = [[self._quantiles(crop, band) for band in bands] for crop in crops]
        known = [[row[k] for row in found if row[k] is not None] for k in range(len(bands))]
        self.reference_ = np.array(
            [np.mean(q, axis=0) if q else np.full(len(_LEVELS), np.nan) for q in known]
        )
        return self

    def transform(self, crops: np.ndarray) -> np.ndarray:
        """The crops, each by its own map: float32, same shape, 0 and 1 as they were."""
        out = np.array(crops, dtype=np.float32)
        for crop in out:
            source, target = [0.0], [0.0]
            for (low, high), reference in zip(self._bands(), self.reference_):
                own = self._quantiles(crop, (low, high))
                if own is not None and np.isfinite(reference).all():
                    source += [*own]
                    target += [*reference]
                source += [high]
                target += [high]
            crop[...] = match_histogram(crop, np.array(source), np.array(target))
        return out

    def _bands(self) -> list[tuple[float, float]]:
        edges = [0.0, 1.0] if self.split is None else [0.0, float(self.split), 1.0]
        return list(pairwise(edges))

    def _quantiles(self, crop: np.ndarray, band: tuple[float, float]) -> np.ndarray | None:
        values = crop[(crop > band[0]) & (crop < band[1])]
        return quantiles(values, _LEVELS) if values.size >= self._least else None
