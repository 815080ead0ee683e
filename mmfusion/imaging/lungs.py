"""Find the lungs in a CT, by threshold and shape or with the R231 network.

The threshold method finds the aerated lung, and detects that a scan shows no lung. Its Dice with lungs that
clinicians drew, without the tumour, is 0.97 in LUNG1-001 and 0.93 in LUNG1-002. The drawn lungs of LUNG1-002
lack the left lung in 8 slices.
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
_PART_ML, _PART_MM = 5.0, 15.0  # least volume and largest gap of a part that a tumour separates from its lung
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


def lung_mask(
    volume: Volume,
    method: str = "classical",
    *,
    weights: str | Path | None = None,
    required: bool = True,
) -> Volume:
    """Return a mask of both lungs on the grid of the scan, without holes in axial slices.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    method : {"classical", "r231", "auto"}
        How the lungs are found:

        - "classical": the two largest components below -400 HU within the outline of the body, and parts of
          them that a tumour separates, without the trachea and main bronchi, closed by 5 mm, with holes
          filled. Nodules and vessels inside the lung are in the mask. Consolidated lung and large tumours
          that touch the chest wall or the mediastinum are not. The scan may cut a lung at the first and last
          slice, and at a side where it also cuts the chest wall in front of the lung and behind it.
        - "r231": the U-Net of Hofmanninger et al. 2020 (doi:10.1186/s41747-020-00173-2).
        - "auto": r231 if its weights are on this machine, else classical. The mask then depends on the
          machine.
    weights : path, optional
        File with the weights of R231. Default: `mmfusion.weights.find("r231")`.
    required : bool
        If False, the mask is empty when no lung is found, and there is no error.

    Returns
    -------
    Volume
        uint8 in {0, 1}, unit "mask".

    Raises
    ------
    ScanError
        If the volume is not in HU, the method is unknown, or no lung is found.
    WeightsUnavailable
        If the weights of R231 are not available, or the file does not contain them.

    Examples
    --------
    >>> air = Volume(np.full((9, 9, 9), -1000, dtype=np.int16), np.diag([5.0, 5, 5, 1]))
    >>> lung_mask(air, required=False).volume_ml()
    0.0
    """
    mask = _find(volume, method, weights).on_grid(volume.affine, volume.shape)
    if not mask.array.any():
        if not required:
            return mask
        raise ScanError(
            "no lung found",
            expected=f"a CT with at least {_LEAST_ML:g} mL of aerated lung",
            got=repr(volume),
            hint="give the whole chest, in HU; lung_mask(..., required=False) returns an empty mask instead",
        )
    axis = 2 - int(np.abs(volume.affine[2, :3]).argmax())  # of the array, nearest to head-foot
    planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(mask.array, axis, 0)]
    return replace(mask, array=np.moveaxis(np.stack(planes), 0, axis).astype(np.uint8))


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
    mask = _lungs_of(air & ~pipes, work.array, work.spacing)
    if mask.any():
        mask = _closed(mask, work.spacing) & ~pipes
    return replace(work, array=mask.astype(np.uint8), unit="mask")


def _lungs_of(air: np.ndarray, hu: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return the two largest components that can be lungs, and smaller parts near them."""
    labels, n = ndimage.label(air)
    size = np.bincount(labels.ravel(), minlength=n + 1) * np.prod(spacing) / 1000
    size[0] = 0
    lungs, parts = [], []
    for label in np.argsort(size)[::-1]:
        if size[label] < _PART_ML:
            break
        if np.median(hu[labels == label]) > _GAS_HU:
            large = len(lungs) < 2 and size[label] >= _SECOND * size.max()
            (lungs if large else parts).append(label)
    mask = np.isin(labels, lungs)
    if size[lungs].sum() < _LEAST_ML:
        return np.zeros_like(mask)
    if parts:
        near = ndimage.distance_transform_edt(~mask, sampling=spacing) <= _PART_MM
        heights, boxes = np.flatnonzero(mask.any(axis=(1, 2))), ndimage.find_objects(labels)
        for label in parts:  # gas in the bowel lies lower, the larynx higher
            at = boxes[label - 1][0]
            if at.start >= heights.mean() and at.stop <= heights[-1] + 1 and near[labels == label].any():
                mask |= labels == label
    return mask


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
    for plane in body:
        for edge in (plane[0], plane[-1], plane[:, 0], plane[:, -1]):  # views: the plane is changed
            cut = np.flatnonzero(edge)
            if cut.size:  # the scan cuts the body at this side, so that a lung may touch it
                edge[cut[0] : cut[-1]] = True
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
