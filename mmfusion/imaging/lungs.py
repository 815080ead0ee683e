"""Find the lungs in a CT, by threshold and shape or with the R231 network.

The threshold method is accurate enough to find the lung field, and to detect that a scan shows no lung.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from mmfusion.errors import ScanError, WeightsUnavailable
from mmfusion.imaging.airways import airways
from mmfusion.imaging.hu import LUNG_THRESHOLD_HU
from mmfusion.imaging.volume import Volume
from mmfusion.weights import find

METHODS = ("classical", "r231", "auto")
_WORK_MM = 2.0  # grid on which lungs are found
_CLOSING_MM = 5.0  # radius of the closing, which adds vessels and nodules to the lung
_LEAST_ML = 100.0  # a smaller total volume counts as no lung
_SECOND = 0.1  # a component smaller than this share of the largest is not a lung
_GAS_HU = -950  # a component with a median below this is gas, for example in the bowel


@dataclass(frozen=True, eq=False)
class LungField:
    """Box around the lungs, with axes along LPS.

    Attributes
    ----------
    center_mm : ndarray, shape (3,)
        Centre of the box (x, y, z), LPS mm.
    size_mm : ndarray, shape (3,)
        Size of the box (z, y, x), mm.
    found : bool
        False if no lung was found; the box is then the whole scan.

    Examples
    --------
    >>> center, size = np.array([0.0, 20.0, -100.0]), np.array([250.0, 180.0, 280.0])
    >>> field = LungField(center, size, found=True)
    >>> field.size_mm[0].item()  # mm from the top to the bottom of the lungs
    250.0
    """

    center_mm: np.ndarray
    size_mm: np.ndarray
    found: bool


def lung_mask(volume: Volume, method: str = "classical", *, weights: str | Path | None = None) -> Volume:
    """Return a mask of both lungs on the grid of the scan; the mask is empty if no lung is found.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    method : {"classical", "r231", "auto"}
        How the lungs are found:

        - "classical": the two largest components below -400 HU within the outline of the body, without the
          trachea and main bronchi, closed by 5 mm, with holes filled. A component that touches the sides of
          the field of view is outside the body. A lung may touch the first and last slice, because scans are
          often cut there. Consolidated lung and large tumours at the chest wall are left out: the mask is
          made to find a field of view.
        - "r231": the U-Net of Hofmanninger et al. 2020 (doi:10.1186/s41747-020-00173-2).
        - "auto": r231 if its weights are on this machine, else classical. The mask then depends on the
          machine.
    weights : path, optional
        File with the weights of R231. Default: `mmfusion.weights.find("r231")`.

    Returns
    -------
    Volume
        uint8 in {0, 1}, unit "mask".

    Raises
    ------
    ScanError
        If the volume is not in HU, or the method is unknown.
    WeightsUnavailable
        If the weights of R231 are not available, or the file does not contain them.

    Examples
    --------
    >>> air = Volume(np.full((9, 9, 9), -1000, dtype=np.int16), np.diag([5.0, 5, 5, 1]))
    >>> lung_mask(air).volume_ml()
    0.0
    """
    return _find(volume, method, weights).on_grid(volume.affine, volume.shape)


def lung_field(
    volume: Volume, margin_mm: float = 0.0, *, method: str = "classical", weights: str | Path | None = None
) -> LungField:
    """Return the box around the lungs with a margin, or the scan's field of view if no lung is found.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    margin_mm : float
        Added on every side of the lungs, mm.
    method, weights
        As in `lung_mask`, which also lists the errors.

    Examples
    --------
    >>> air = Volume(np.full((9, 9, 9), -1000, dtype=np.int16), np.diag([5.0, 5, 5, 1]))
    >>> lung_field(air).found
    False
    """
    mask = _find(volume, method, weights)
    found = bool(mask.array.any())
    box = mask.bounding_box() if found else tuple(slice(0, n) for n in mask.shape)
    low, high = (np.array([getattr(s, end) for s in box[::-1]]) - 0.5 for end in ("start", "stop"))
    low, high = np.sort([mask.voxel_to_mm(low), mask.voxel_to_mm(high)], axis=0)
    size = (high - low)[::-1] + 2 * margin_mm * found
    return LungField((low + high) / 2 if found else volume.center_mm, size, found)


def _find(volume: Volume, method: str, weights: str | Path | None) -> Volume:
    """Return a mask of the lungs in LPS orientation, on a grid chosen by the method."""
    volume.expect("HU")
    if method not in METHODS:
        raise ScanError("unknown way to find lungs", expected=", ".join(METHODS), got=method)
    if method == "auto":
        try:
            weights = find("r231", weights, download=False)
        except WeightsUnavailable:
            method = "classical"
    if method == "classical":
        return _coarse_mask(volume)
    from mmfusion.imaging.r231 import segment  # loads torch

    return segment(volume.to_lps(), find("r231", weights))


def _coarse_mask(volume: Volume) -> Volume:
    source = volume.to_lps()
    work = source.resample(np.maximum(source.spacing, _WORK_MM))
    air = _air_in_body(work.array)
    pipes = airways(work.array, air, work.spacing)
    labels, n = ndimage.label(air & ~pipes)
    size = np.bincount(labels.ravel(), minlength=n + 1) * np.prod(work.spacing) / 1000
    size[0] = 0
    lungs = []
    for label in np.argsort(size)[::-1]:
        if size[label] < max(_SECOND * size.max(), 1.0) or len(lungs) == 2:
            break
        if np.median(work.array[labels == label]) > _GAS_HU:
            lungs.append(label)
    mask = np.isin(labels, lungs) if size[lungs].sum() >= _LEAST_ML else np.zeros(labels.shape, dtype=bool)
    if mask.any():
        mask = _closed(mask, work.spacing) & ~pipes
    return replace(work, array=mask.astype(np.uint8), unit="mask")


def _air_in_body(hu: np.ndarray) -> np.ndarray:
    """Return a mask of the voxels below -400 HU within the outline of the body.

    The body is the largest component, so that the patient table is not part of it, even if it is hollow.
    """
    tissue = hu >= LUNG_THRESHOLD_HU
    labels, n = ndimage.label(ndimage.binary_erosion(tissue, iterations=2))
    if not n:
        return np.zeros(hu.shape, dtype=bool)
    largest = np.bincount(labels.ravel())[1:].argmax() + 1
    body = ndimage.binary_dilation(labels == largest, iterations=3)
    outline = np.stack([ndimage.binary_fill_holes(plane) for plane in body])
    return outline & ~tissue


def _closed(lungs: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Close a mask with a ball in mm (by two distance maps), then fill the holes slice by slice."""
    pad = [int(np.ceil(_CLOSING_MM / s)) + 1 for s in spacing]
    wide = np.pad(lungs, [(p, p) for p in pad])
    grown = ndimage.distance_transform_edt(~wide, sampling=spacing) <= _CLOSING_MM
    closed = ndimage.distance_transform_edt(grown, sampling=spacing) > _CLOSING_MM
    closed = closed[tuple(slice(p, -p) for p in pad)] | lungs
    return np.stack([ndimage.binary_fill_holes(plane) for plane in closed])
