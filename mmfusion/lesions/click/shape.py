"""Clean the mask of one lesion: the region at the point, without thin branches, with or without a margin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume
from mmfusion.lesions.click.prompt import Prompt
from mmfusion.lesions.export import export_mask
from mmfusion.lesions.postprocess import clean_mask, nearest_region

MARGINS_MM = {"tight": 0.0, "gtv": 1.5}  # what is added to the visible border
OPENING = 0.25  # radius of the opening relative to that of the lesion
NEAR_MM = 8.0  # a lesion whose nearest voxel is farther from the point was not meant
_LEVEL = 0.5


def lesion_at(probability: Volume, scan: Volume, prompt: Prompt, margin: str) -> Volume:
    """Return the mask of the lesion at a point, on the grid of the scan.

    The region at the point is opened (eroded and dilated) by a quarter of its radius, which cuts off vessels
    and leaks, and its holes are filled.

    Parameters
    ----------
    probability : Volume
        Unit "probability", on any grid.
    scan : Volume
        The scan.
    prompt : Prompt
        Where the lesion is.
    margin : {"tight", "gtv"}
        "gtv" adds 1.5 mm around the visible border.

    Raises
    ------
    ScanError
        If no region is near the point.

    Examples
    --------
    >>> ball = sum((axis - 20.0) ** 2 for axis in np.ogrid[:41, :41, :41]) <= 10.0**2
    >>> share = Volume(ball.astype(np.float32), np.eye(4), unit="probability")
    >>> scan = Volume(np.zeros((41, 41, 41), np.int16), np.eye(4))
    >>> [round(lesion_at(share, scan, Prompt(np.full(3, 20.0)), m).volume_ml(), 1) for m in MARGINS_MM]
    [4.2, 6.0]
    """
    array = probability.array
    point = probability.mm_to_voxel(prompt.point)[::-1]
    region = nearest_region(array > _LEVEL, point, probability.spacing, NEAR_MM)
    if region.any():
        region = _opened(region, point, probability.spacing)
        region = clean_mask(region, probability.spacing, min_mm3=0)
        # other regions are removed; voxels below the level stay, so that the border is interpolated
        kept = np.where(region != 0, np.maximum(array, np.nextafter(np.float32(_LEVEL), np.float32(1))), 0)
        kept = np.where(array > _LEVEL, kept, np.maximum(array, kept)).astype(np.float32)
        mask = export_mask(replace(probability, array=kept), scan, _LEVEL, min_mm3=0)
        mask = _with_margin(mask, MARGINS_MM[margin])
        if mask.array.any():
            return mask
    raise ScanError(
        "no lesion at this point",
        expected=f"tissue that differs from the lung, within {NEAR_MM:g} mm of the point",
        got=f"{np.round(prompt.point, 1).tolist()}, {_hu_at(scan, prompt):.0f} HU",
        hint="give a point inside the lesion, in LPS mm, or a box around it",
    )


def _hu_at(scan: Volume, prompt: Prompt) -> float:
    return float(scan.array[tuple(np.rint(scan.mm_to_voxel(prompt.point)[::-1]).astype(int))])


def _opened(region: np.ndarray, point: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return a region opened by a quarter of its radius; unchanged if nothing at the point would be left."""
    volume = np.count_nonzero(region) * float(np.prod(spacing))
    radius = OPENING * (3 * volume / (4 * np.pi)) ** (1 / 3)
    padded = np.pad(region != 0, 1)
    core = distance_transform_edt(padded, spacing) > radius
    if not core.any():
        return region
    # one voxel more than the opening, which would also take the outermost voxels of a round lesion
    reach = radius + 1.01 * max(spacing)
    opened = (distance_transform_edt(~core, spacing) <= reach)[1:-1, 1:-1, 1:-1] & (region != 0)
    opened = nearest_region(opened, point, spacing, NEAR_MM)
    return opened if opened.any() else region


def _with_margin(mask: Volume, margin_mm: float) -> Volume:
    if not margin_mm or not mask.array.any():
        return mask
    reach = [int(np.ceil(margin_mm / step)) for step in mask.spacing]
    box = tuple(
        slice(max(cut.start - r, 0), min(cut.stop + r, n))
        for cut, r, n in zip(mask.bounding_box(), reach, mask.shape)
    )
    array = mask.array.copy()
    array[box] = distance_transform_edt(array[box] == 0, mask.spacing) <= margin_mm
    return replace(mask, array=array)
