"""Histogram matching: map the grey values of scans to the distribution in the training scans."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mmfusion.errors import DataError
from mmfusion.imaging.quantiles import match_histogram, quantiles
from mmfusion.preprocessing.base import Stateful

_LEVELS = np.linspace(0.02, 0.98, 25)


class HistogramMatching(Stateful):
    """Transformer that matches the histograms of scans to those of the training scans.

    Each scan gets an increasing map from its own quantiles to the mean quantiles of the training scans,
    learned from voxels within the window. Voxels below `split` (air) and above it (tissue) are matched
    separately. If the whole histogram were matched, a scan with more tissue, such as a larger tumour, would
    become darker.

    Parameters
    ----------
    split : float or None
        Boundary between air and tissue on the crop's scale, in (0, 1). None matches the whole histogram.

    Attributes
    ----------
    reference_ : ndarray, shape (n_bands, 25)
        Mean quantiles at levels 0.02 to 0.98. NaN where no training scan has enough voxels in the band.

    Examples
    --------
    >>> crops = np.random.default_rng(0).uniform(size=(3, 1, 12, 12, 12))
    >>> crops[2] *= 0.8
    >>> matching = HistogramMatching(split=None).fit(crops[:2])
    >>> round(float(np.median(crops[2])), 1), round(float(np.median(matching.transform(crops)[2])), 1)
    (0.4, 0.5)
    """

    _least = 200  # number of voxels in a band below which its quantiles are unreliable

    def __init__(self, *, split: float | None = 0.36) -> None:
        self.split = split

    def fit(self, crops: np.ndarray, y: object = None) -> HistogramMatching:
        """Learn the mean quantiles of the training scans.

        Parameters
        ----------
        crops : ndarray, shape (n, ...)
            Crops in [0, 1] of the training patients who have a scan.
        y : ignored

        Raises
        ------
        DataError
            If `split` is not between 0 and 1.
        """
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
        """Return the matched crops, float32 of the same shape; the values 0 and 1 stay as they are."""
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
