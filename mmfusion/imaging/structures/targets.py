"""What both writers need: masks brought to the slices of the series that they are written for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.structures.rois import check_same_patient_space
from mmfusion.imaging.structures.source import SourceSeries
from mmfusion.imaging.volume import Volume

Masks = Volume | Mapping[str, Volume]


def named(masks: Masks, name: str) -> dict[str, Volume]:
    """Name -> mask, of one mask or several."""
    found = {name: masks} if isinstance(masks, Volume) else dict(masks)
    for label, mask in found.items():
        if not isinstance(mask, Volume):
            got = type(mask).__name__
            raise ScanError("not a mask", column=label, expected="a Volume of unit mask", got=got)
        mask.expect("mask", label)
        if not label or len(label) > 64:
            raise ScanError("not a name for a region", expected="1 to 64 characters", got=label)
    if not found:
        raise ScanError("no mask to write", expected="at least one")
    return found


def on_slices(mask: Volume, name: str, series: SourceSeries) -> np.ndarray:
    """The mask on the series' own slices, in the order of its headers, uint8 (z, y, x).

    Raises
    ------
    ScanError
        If it was drawn on another scan, or nothing of it lies on these slices.
    """
    first = series.headers[0]
    check_same_patient_space(mask, series.path, frame_of_reference=first.get("FrameOfReferenceUID"))
    array = mask.on_grid(series.affine, series.shape).array
    if not array.any():
        got = f"{mask.volume_ml():.2f} mL elsewhere" if mask.array.any() else "an empty mask"
        raise ScanError(
            "nothing to write", file=series.path, column=name, expected="a voxel on its slices", got=got
        )
    return array
