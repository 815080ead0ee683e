"""Bring a mask to the grid of the scan that it was drawn on, and say when the two do not belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.affine import corners
from mmfusion.imaging.sampling import filled_box
from mmfusion.imaging.volume import Volume

_ROUNDING = 1e-3  # voxels


def warn_other_grid(mask: Volume, reference: Volume, path: Path) -> None:
    """Warn if a mask has another grid than the scan; a label image states no other sign of its scan.

    Warns
    -----
    ScanWarning
        With the geometry of both.

    Examples
    --------
    >>> scan = Volume(np.zeros((4, 8, 8), np.int16), np.eye(4))
    >>> warn_other_grid(Volume(np.ones((4, 8, 8), np.uint8), np.eye(4), unit="mask"), scan, Path("m.nii"))
    """
    if not mask.same_grid(reference.to_lps()):
        text = f"{path}: the mask has another grid than the scan (another patient's, or another scan's?)"
        both = f"mask: {mask.geometry()}; scan: {reference.geometry()}"
        warn(f"{text}. {both}", ScanWarning, stacklevel=3)


def on_scan(mask: Volume, reference: Volume, path: Path) -> Volume:
    """Return a mask on the grid of its scan; an empty mask stays empty.

    Raises
    ------
    ScanError
        If the whole region lies outside the scan. The error states the places of both.

    Warns
    -----
    ScanWarning
        If a part of the region lies outside the scan.

    Examples
    --------
    >>> scan = Volume(np.zeros((4, 8, 8), np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> mask = Volume(np.ones((4, 8, 8), np.uint8), np.eye(4), unit="mask")
    >>> on_scan(mask, scan, Path("m.nii")).volume_ml() == mask.volume_ml()
    True
    """
    there = mask.like(reference)
    if mask.array.any() and not there.array.any():
        ends = zip("xyz", *mask.bounding_box_mm())
        raise ScanError(
            "the region lies outside the scan",
            file=path,
            expected=f"within the scan: {reference.geometry()}",
            got="a region at " + ", ".join(f"{axis} {a:.5g} to {b:.5g}" for axis, a, b in ends) + " mm",
            hint="was it made for another scan, or with opposite signs of x and y (RAS)?",
        )
    warn_outside(mask, reference.affine, reference.shape, str(path))
    return there


def warn_outside(mask: Volume, affine: np.ndarray, shape: Sequence[int], name: str) -> None:
    """Warn if a part of a region lies outside a grid, by more than half a voxel.

    Parameters
    ----------
    mask : Volume
        The region.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) of the grid to LPS mm.
    shape : (z, y, x)
        Number of voxels of the grid.
    name : str
        Name of the region for the message.

    Warns
    -----
    ScanWarning
        With the share of the region that is left out.

    Examples
    --------
    >>> from mmfusion.errors import gathered
    >>> mask = Volume(np.ones((4, 8, 8), np.uint8), np.eye(4), unit="mask")
    >>> with gathered() as found:
    ...     warn_outside(mask, np.eye(4), (2, 8, 8), "patient P1, mask")
    >>> str(found[0])
    'patient P1, mask: 50.0% of the region lies outside the scan, and is left out'
    """
    box = filled_box(mask.array)
    if box is None:
        return
    to_voxel = np.linalg.inv(affine) @ mask.affine  # voxel (x, y, z) of the mask -> voxel of the grid
    # half a voxel of the grid or of the mask, whichever is larger
    slack = np.maximum(np.abs(to_voxel[:3, :3]).sum(axis=1), 1.0) / 2 + _ROUNDING
    last = np.array(shape[::-1]) - 0.5

    def beyond(voxels: np.ndarray) -> np.ndarray:
        """Return how far each voxel lies outside the grid, in voxels of the grid."""
        at = voxels @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        return np.maximum(-0.5 - at, at - last)

    ends = corners([s.start for s in box[::-1]], [s.stop - 1 for s in box[::-1]]).T
    if (beyond(ends) <= slack).all():
        return
    outside, whole, far = 0, 0, False
    for z in range(box[0].start, box[0].stop):  # slice by slice, as a region may fill a scan
        there = np.argwhere(mask.array[z])[:, ::-1]
        distance = beyond(np.column_stack([there, np.full(len(there), z)]))
        outside, whole = outside + int((distance > 0).any(axis=1).sum()), whole + len(there)
        far = far or bool((distance > slack).any())
    if far:
        text = f"{name}: {outside / whole:.1%} of the region lies outside the scan, and is left out"
        warn(text, ScanWarning, stacklevel=4)
