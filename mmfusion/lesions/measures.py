"""Measures of one lesion: size, shape and density."""

from __future__ import annotations

import numpy as np
from skimage.measure import marching_cubes, mesh_surface_area

from mmfusion.errors import ScanError
from mmfusion.imaging import Volume, axial_diameters

MEASURES = ("volume_ml", "longest_mm", "perpendicular_mm", "sphericity", "mean_hu", "sd_hu")
VERSION = 1  # version of the measures; with a new number they are computed again


def measure(scan: Volume, mask: Volume) -> dict[str, float]:
    """Return the measures of the lesion in a mask.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    mask : Volume
        The lesion, on the grid of the scan.

    Returns
    -------
    dict of str to float
        Keys `MEASURES`: volume (mL), longest axial diameter and its perpendicular (mm; see
        `mmfusion.imaging.axial_diameters`), sphericity (1 for a ball, below 1 for all other shapes), mean and
        standard deviation of the HU in the lesion.

    Raises
    ------
    ScanError
        If the scan is not in HU, or the mask is empty or on another grid.

    References
    ----------
    Zwanenburg et al. 2020, Radiology 295, 328-338, for the sphericity (IBSI, QCFX). The surface
    is that of a mesh around the voxels. Its steps make it larger, so that a ball of voxels has less than 1.

    Examples
    --------
    >>> ball = sum((axis - 15.0) ** 2 for axis in np.ogrid[:31, :31, :31]) <= 10.0**2
    >>> scan = Volume(np.where(ball, np.int16(40), np.int16(-850)), np.eye(4))
    >>> found = measure(scan, Volume(ball, np.eye(4), unit="mask"))
    >>> round(found["volume_ml"], 1), round(found["longest_mm"]), found["mean_hu"]
    (4.2, 21, 40.0)
    """
    scan.expect("HU", "ct volume")
    mask.expect("mask", "ct mask")
    if not mask.same_grid(scan):
        raise ScanError("the mask is on another grid than the scan", hint="mask.like(scan)")
    box = mask.bounding_box()
    size, values = axial_diameters(mask), scan.array[box][mask.array[box] != 0].astype(np.float64)
    return {
        "volume_ml": mask.volume_ml(),
        "longest_mm": size.longest_mm,
        "perpendicular_mm": size.perpendicular_mm,
        "sphericity": _sphericity(mask),
        "mean_hu": float(values.mean()),
        "sd_hu": float(values.std()),
    }


def _sphericity(mask: Volume) -> float:
    """Return the surface of the ball of equal volume relative to that of the lesion, both of a mesh."""
    box = np.pad(mask.array[mask.bounding_box()], 1).astype(np.float32)
    points, faces, *_ = marching_cubes(box, 0.5, spacing=mask.spacing)
    corners = points[faces].astype(np.float64)
    volume = abs(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6
    return float(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / mesh_surface_area(points, faces))
