"""Fill closed contours on the grid of a scan: find their planes, and fill the slab of each plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.grid import Grid
from mmfusion.imaging.sampling import fullest
from mmfusion.imaging.structures.contours import coverage, slabs

_FLAT = 0.1  # voxels; largest distance of a contour's points from its plane
_MOST_MM = 10.0  # largest thickness that a contour represents along the normal
_ROUNDING_MM = 0.05  # contours closer than this along the normal always lie in the same plane
# largest gap within a plane: in mm, and as a share of the gaps between planes
_SAME_MM, _SAME_SHARE = 0.5, 1 / 3
_ON_SLICE = 0.1  # voxels; a plane closer than this to a slice lies in it


@dataclass(frozen=True, eq=False)
class Contour:
    """A closed contour.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Corners (x, y, z), in voxels of the scan; the last is joined to the first.
    xor : bool
        True if the contour is combined with others of its plane by the even-odd rule.

    Examples
    --------
    >>> Contour(np.array([[0.0, 0.0, 3.0], [4.0, 0.0, 3.0], [4.0, 4.0, 3.0]])).xor
    False
    """

    points: np.ndarray
    xor: bool = False


def fill(mask: np.ndarray, contours: Sequence[Contour], grid: Grid) -> list[str]:
    """Set the voxels of a mask that the contours of one region cover, in place.

    Parameters
    ----------
    mask : ndarray of uint8, shape (z, y, x)
        Mask on the grid of the scan.
    contours : sequence of Contour
        Contours of one region, each in a plane of the grid's voxels.
    grid : Grid
        The scan.

    Returns
    -------
    list of str
        Remarks on contours that lie between slices, or outside the scan.

    Raises
    ------
    ScanError
        If the contours are oblique to the scan's slices, all lie outside the scan, or have no area.

    Examples
    --------
    >>> class Box(Grid):
    ...     array, affine = np.zeros((3, 8, 8)), np.eye(4)
    >>> mask = np.zeros((3, 8, 8), np.uint8)
    >>> square = np.array([[1.5, 1.5, 1], [4.5, 1.5, 1], [4.5, 4.5, 1], [1.5, 4.5, 1]])
    >>> fill(mask, [Contour(square)], Box()), mask.sum()
    ([], np.uint64(9))
    """
    points = [c.points for c in contours]
    axis = int(np.argmin([max(np.ptp(p[:, k]) for p in points) for k in range(3)]))
    if max(np.ptp(p[:, axis]) for p in points) > _FLAT:
        hint = "read it on the scan that it was drawn on, then resample it with .like()"
        raise ScanError("contours oblique to the scan's slices", hint=hint)
    spacing = grid.spacing[2 - axis]
    planes = _planes(contours, axis, spacing)
    extent = slabs(np.array(list(planes)), alone=1.0, most=max(_MOST_MM / spacing, 1.0))
    turned = np.moveaxis(mask, 2 - axis, 0)  # (planes, down, across); the others keep their order
    low, high = (getattr(np.concatenate(points), end)(axis=0) for end in ("min", "max"))
    low, high = np.delete(low, axis), np.delete(high, axis)  # (across, down)
    corner = np.maximum(np.floor(low - 0.5), 0).astype(int)
    stop = np.minimum(np.ceil(high + 1.5), turned.shape[:0:-1]).astype(int)
    first, last = (
        max(int(np.floor(extent.min() + 0.5)), 0),
        min(int(np.ceil(extent.max() + 0.5)), len(turned)),
    )
    inside = (corner < stop).all() and first < last
    share = np.zeros((last - first, *(stop - corner)[::-1]) if inside else (0, 0, 0), dtype=np.float32)
    for (low_k, high_k), drawn in zip(extent, planes.values()) if inside else ():
        area = _area(drawn, axis, corner, share.shape[1:])
        for k in range(max(int(np.floor(low_k + 0.5)), first), min(int(np.ceil(high_k + 0.5)), last)):
            share[k - first] += max(min(high_k, k + 0.5) - max(low_k, k - 0.5), 0) * area
    if not share.any():
        raise _nothing(grid, points[0][0])
    block = turned[first:last, corner[1] : stop[1], corner[0] : stop[0]]
    block |= fullest(np.minimum(share, 1))
    return _remarks(np.array(list(planes)), points, grid, axis)


def _planes(contours: Sequence[Contour], axis: int, spacing: float) -> dict[float, list[Contour]]:
    """Return depth -> contours of each plane, in ascending order of depth (voxels along `axis`).

    A plane is where its largest contour lies.
    """
    ordered = sorted(contours, key=lambda c: c.points[:, axis].mean())
    depths = np.array([c.points[:, axis].mean() for c in ordered])
    gaps = np.diff(depths)
    ends = np.flatnonzero(gaps > _same_plane(gaps * spacing, spacing) / spacing) + 1
    groups = [ordered[a:b] for a, b in zip([0, *ends], [*ends, len(ordered)])]
    largest = (max(group, key=lambda c: np.prod(np.sort(np.ptp(c.points, axis=0))[1:])) for group in groups)
    return {float(c.points[:, axis].mean()): group for c, group in zip(largest, groups)}


def _same_plane(gaps: np.ndarray, spacing: float) -> float:
    """Return the largest gap between neighbouring contours of one plane, in mm.

    Some programs store the contours of one plane at slightly different depths, such as a hole 0.2 mm off its
    outline. Such gaps are at most 0.5 mm and a third of the gaps between planes, and there are no more of
    them than of the others.

    Parameters
    ----------
    gaps : ndarray, shape (n,)
        Gaps between neighbouring contours along the normal, mm.
    spacing : float
        Distance of the scan's slices, mm; it is compared if the contours lie in a single plane.
    """
    gaps = np.sort(gaps[gaps > _ROUNDING_MM])
    if gaps.sum() <= min(_SAME_MM, _SAME_SHARE * spacing):
        return _SAME_MM
    for k in range(len(gaps) - 2, -1, -1):
        if gaps[k] <= min(_SAME_MM, _SAME_SHARE * gaps[k + 1]) and 2 * (k + 1) <= len(gaps) + 1:
            return float(gaps[k])
    return _ROUNDING_MM


def _area(drawn: Sequence[Contour], axis: int, corner: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    area = np.zeros(shape)
    for xor in (False, True):
        polygons = [np.delete(c.points, axis, axis=1) - corner for c in drawn if c.xor == xor]
        if polygons:
            area = np.maximum(area, coverage(polygons, shape, xor=xor))
    return area


def _nothing(grid: Grid, point: np.ndarray) -> ScanError:
    low, high = (grid.voxel_to_mm(v) for v in (np.zeros(3), np.array(grid.shape[::-1]) - 1))
    expected = f"x, y, z from {np.round(low, 1)} to {np.round(high, 1)} mm"
    got = f"{np.round(grid.voxel_to_mm(point), 1)} mm"
    return ScanError("the region lies outside the scan, or has no area", expected=expected, got=got)


def _remarks(depths: np.ndarray, points: Sequence[np.ndarray], grid: Grid, axis: int) -> list[str]:
    end = np.array(grid.shape[::-1]) - 0.5
    out = sum(bool((p < -1).any() or (p > end + 0.5).any()) for p in points)
    between = np.abs(depths - np.rint(depths)) > _ON_SLICE
    texts = []
    if out:
        texts.append(f"{out} of {len(points)} contours reach beyond the scan; what lies outside is left out")
    if 0 < between.sum() < len(depths) / 3:  # if more do, the grid is not the one that it was drawn on
        at = ", ".join(f"{d * grid.spacing[2 - axis]:.2f}" for d in depths[between][:5])
        more = ", ..." if between.sum() > 5 else ""
        texts.append(
            f"{between.sum()} of {len(depths)} contour planes lie between slices ({at}{more} mm from the "
            "first slice); they count for the slices next to them"
        )
    return texts
