"""Detector of lesions: a coarse segmenter whose regions give the boxes in which the main network looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmfusion.imaging.affine import corners
from mmfusion.imaging.boxes import Box, lesion_boxes
from mmfusion.lesions.inference import probability_map
from mmfusion.lesions.postprocess import clean_mask
from mmfusion.lesions.scans import Prepared
from mmfusion.lesions.settings import SegmenterSettings
from mmfusion.nn.segmenters import get_preset

if TYPE_CHECKING:
    from mmfusion.lesions.segmenter import LesionSegmenter

NETWORK, PRESET = "unet", "demo"
COARSER = 2.0  # ratio of its voxel size to that of the main network
_THRESHOLD = 0.5


class Detector:
    """Detector of lesions: the first of two stages, which finds their boxes on a coarse grid.

    Parameters
    ----------
    segmenter : LesionSegmenter
        Fitted segmenter of the coarse grid.

    References
    ----------
    L2SNet has two stages of this kind: a coarse localiser, whose result is an input of the segmenter.

    Examples
    --------
    >>> from mmfusion.lesions import LesionSegmenter
    >>> Detector.settings(LesionSegmenter("unet", spacing=2.0).settings)["spacing"]
    (4.0, 4.0, 4.0)
    """

    def __init__(self, segmenter: LesionSegmenter) -> None:
        self.segmenter = segmenter

    @staticmethod
    def settings(main: SegmenterSettings) -> dict[str, object]:
        """Return the parameters of the coarse segmenter that belongs to a main network."""
        return {
            "network": NETWORK,
            "preset": PRESET,
            "modalities": main.modalities,
            "spacing": tuple(COARSER * mm for mm in main.spacing),
            "max_epochs": min(main.plan.max_epochs, get_preset(NETWORK, PRESET).plan.max_epochs),
            "threshold": _THRESHOLD,
        }

    def find(self, row: pd.Series, scans: Prepared) -> list[Box] | None:
        """Return the boxes of the lesions of a patient in the voxels of the main grid; None if none is found.

        Parameters
        ----------
        row : Series
            The patient's row of `Cohort.X`; the mask is not read.
        scans : Prepared
            Scans on the grid of the main network.
        """
        coarse = self.segmenter.reader.prepare(row)
        probability = probability_map(self.segmenter, coarse, None)
        mask = clean_mask(probability.array > self.segmenter.threshold_, probability.spacing)
        to_fine = np.linalg.inv(scans.affine) @ coarse.affine  # voxel (x, y, z) -> voxel (x, y, z)
        return [_moved(box, to_fine, scans.image.shape[1:]) for box in lesion_boxes(mask)] or None


def _moved(box: Box, to_fine: np.ndarray, shape: tuple[int, ...]) -> Box:
    """Return the box of the main grid around a coarse box, with a margin of half a coarse voxel."""
    edges = corners([s.start - 1.0 for s in box[::-1]], [s.stop + 0.0 for s in box[::-1]])
    at = (to_fine[:3, :3] @ edges + to_fine[:3, 3:])[::-1] + 0.5
    low = np.clip(np.floor(at.min(axis=1) + 1e-6).astype(int), 0, np.array(shape) - 1)
    high = np.clip(np.ceil(at.max(axis=1) - 1e-6).astype(int), low + 1, shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
