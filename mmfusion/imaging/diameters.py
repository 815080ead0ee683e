"""Diameters of a lesion in axial planes: the longest one and its perpendicular, as in RECIST and WHO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from contourpy import contour_generator
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from mmfusion.imaging.affine import directions
from mmfusion.imaging.grid import Grid
from mmfusion.imaging.sampling import sample
from mmfusion.imaging.volume import Volume

_TILT = (
    0.02  # sine of the largest angle between the axes of the scan and those of the patient, about 1 degree
)
_LEVEL = 0.5  # share of a voxel inside, at the outline
_BLUR = 0.4  # voxels; smooths the distance, whose steps are those of the mask
_EDGE = 3  # voxels around the mask in which its distance is known
_FINEST_MM = 0.5  # smallest spacing of the axial planes of a tilted scan


@dataclass(frozen=True)
class Diameters:
    """Longest axial diameter of a mask, and the longest diameter perpendicular to it in the same plane.

    Attributes
    ----------
    longest_mm, perpendicular_mm : float
        Lengths, mm. Their product is the size by WHO, the longest one that by RECIST 1.1.
    longest, perpendicular : ndarray, shape (2, 3)
        Ends (x, y, z) of both lines, LPS mm.

    Examples
    --------
    >>> ends = np.array([[0.0, 0.0, 0.0], [30.0, 0.0, 0.0]])
    >>> Diameters(30.0, 12.0, ends, ends * 0.4).product_mm2
    360.0
    """

    longest_mm: float
    perpendicular_mm: float
    longest: np.ndarray
    perpendicular: np.ndarray

    @property
    def product_mm2(self) -> float:
        """Product of the two diameters, mm2 (WHO)."""
        return self.longest_mm * self.perpendicular_mm


def axial_diameters(mask: Volume) -> Diameters:
    """Return the longest axial diameter of a mask and its perpendicular.

    Both are measured between points of the outline, which runs half way between voxels inside and outside.
    The planes are the slices of the scan if they are axial (within about one degree). Otherwise the mask is
    sampled on axial planes, so that the result does not depend on the orientation of the scan. Parts of a
    lesion that are apart in a plane count as one, as if a convex outline enclosed them.

    Parameters
    ----------
    mask : Volume
        Unit "mask", with at least one voxel.

    Returns
    -------
    Diameters
        The plane with the longest diameter; among planes of equal length, the lowest.

    Raises
    ------
    ScanError
        If the volume is not a mask, or is empty.

    References
    ----------
    Raya and Udupa 1990, Shape-based interpolation of multidimensional objects, IEEE Transactions on Medical
    Imaging 9, 32-42.
    Eisenhauer et al. 2009, New response evaluation criteria in solid tumours: revised RECIST guideline
    (version 1.1), European Journal of Cancer 45, 228-247.
    Miller et al. 1981, Reporting results of cancer treatment, Cancer 47, 207-214 (WHO).

    Examples
    --------
    >>> y, x = np.mgrid[-20:21, -20:21]
    >>> ellipse = ((x / 15.0) ** 2 + (y / 8.0) ** 2 <= 1).astype(np.uint8)
    >>> found = axial_diameters(Volume(ellipse[None], np.eye(4), unit="mask"))
    >>> round(found.longest_mm), round(found.perpendicular_mm)
    (31, 17)
    """
    planes = _axial(mask.crop_box(mask.bounding_box()))
    best = None
    for corners in _outlines(planes):
        spread = np.ptp(corners, axis=0)
        if best is not None and np.hypot(*spread[:2]) <= best[0]:
            continue
        hull = corners[ConvexHull(corners[:, :2]).vertices]
        apart = squareform(pdist(hull[:, :2]))
        one, two = np.unravel_index(apart.argmax(), apart.shape)
        if best is None or apart[one, two] > best[0] + 1e-9:
            best = (apart[one, two], hull, one, two)
    length, hull, one, two = best
    across = _chord(hull, (hull[two] - hull[one])[:2] / length)
    return Diameters(
        float(length), float(np.linalg.norm(across[1] - across[0])), hull[[one, two]].copy(), across
    )


def _axial(mask: Volume) -> Grid:
    """Return planes perpendicular to the patient's axis, with values above the level inside the mask.

    A mask of tilted slices is turned by the signed distance to its outline (shape-based interpolation).
    Interpolation of the mask itself would keep the corners of its steps, and measure from corner to corner.
    """
    mask = mask.to_lps()
    if np.abs(directions(mask.affine) - np.eye(3)).max() <= _TILT:
        return _Planes(mask.array.astype(np.float32), mask.affine)
    low, high = mask.extent_mm
    step = max(min(mask.spacing), _FINEST_MM)
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low - step / 2
    shape = tuple(int(n) for n in np.ceil((high - low) / step)[::-1] + 2)
    to_voxel = np.linalg.inv(mask.affine) @ affine
    matrix, offset = to_voxel[2::-1, 2::-1], to_voxel[2::-1, 3] + _EDGE
    padded = np.pad(mask.array, _EDGE) != 0
    depth = distance_transform_edt(padded, mask.spacing) - distance_transform_edt(~padded, mask.spacing)
    for blur in (_BLUR, 0.0):  # a very thin mask does not survive the blur
        inside = sample(gaussian_filter(depth, blur).astype(np.float32), matrix, offset, shape, fill=-step)
        if inside.max() > 0:
            return _Planes(inside + np.float32(_LEVEL), affine)
    return _Planes(sample(padded.astype(np.float32), matrix, offset, shape, fill=0.0), affine)


@dataclass(frozen=True, eq=False)
class _Planes(Grid):
    array: np.ndarray  # above `_LEVEL` inside
    affine: np.ndarray


def _outlines(planes: Grid) -> Iterator[np.ndarray]:
    """Yield the corners (x, y, z) of the outline in each plane that the mask reaches, LPS mm."""
    for z, plane in enumerate(np.pad(planes.array, ((0, 0), (1, 1), (1, 1)))):
        lines = contour_generator(z=plane).lines(_LEVEL)
        if lines:
            flat = np.concatenate(lines) - 1
            yield planes.voxel_to_mm(np.column_stack([flat, np.full(len(flat), z)]))


def _chord(hull: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the ends (2, 3) of the longest chord of a convex outline across a direction."""
    across = np.array([-along[1], along[0]])
    u, v = hull[:, :2] @ along, hull[:, :2] @ across
    first, last = u.argmin(), u.argmax()
    ring = np.roll(np.arange(len(hull)), -first)
    turn = int(np.flatnonzero(ring == last)[0])
    there, back = ring[: turn + 1], np.append(ring[turn:], first)[::-1]
    at = np.unique(u)
    one, two = np.interp(at, u[there], v[there]), np.interp(at, u[back], v[back])
    widest = np.abs(one - two).argmax()
    ends = [at[widest] * along + height * across for height in (one[widest], two[widest])]
    return np.column_stack([np.array(ends), np.full(2, hull[0, 2])])
