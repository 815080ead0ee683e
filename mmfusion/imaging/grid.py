"""Grid: the position of an array's voxels in the patient, and conversions between voxels and mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.affine import corners, directions, spacing_of


class Grid:
    """Position of voxels in the patient, for a class that has an `array` and an `affine`.

    Points are (x, y, z). Shapes and spacings are (z, y, x), like the array.

    Attributes
    ----------
    array : ndarray, shape (z, y, x)
        Values of the voxels.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm.

    Examples
    --------
    >>> class Box(Grid):
    ...     array, affine = np.zeros((10, 20, 20)), np.diag([1.0, 1.0, 2.0, 1.0])
    >>> Box().spacing, Box().voxel_to_mm([3, 4, 5]).tolist(), Box().contains([0, 0, 30])
    ((2.0, 1.0, 1.0), [3.0, 4.0, 10.0], False)
    """

    array: np.ndarray
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels (z, y, x)."""
        return self.array.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x), mm."""
        return spacing_of(self.affine)

    @property
    def center_mm(self) -> np.ndarray:
        """Centre of the field of view, LPS mm, shape (3,).

        This is the centre of all voxels, also of a mask. The region that a mask covers lies around
        `Volume.centroid_mm`.
        """
        return self.voxel_to_mm((np.array(self.shape[::-1]) - 1) / 2)

    @property
    def extent_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner (x, y, z) of the box along LPS that contains the field of view, mm."""
        ends = self.voxel_to_mm(corners([-0.5] * 3, np.array(self.shape[::-1]) - 0.5).T)
        return ends.min(axis=0), ends.max(axis=0)

    def geometry(self) -> str:
        """Return shape, voxel size, extent and orientation as text.

        Examples
        --------
        >>> class Box(Grid):
        ...     array, affine = np.zeros((10, 20, 20)), np.diag([1.0, 1.0, 2.0, 1.0])
        >>> Box().geometry()
        '10 x 20 x 20 voxels of 2 x 1 x 1 mm (z, y, x), x -0.5 to 19.5, y -0.5 to 19.5, z -1 to 19 mm'
        """
        size, mm = (" x ".join(f"{v:.4g}" for v in values) for values in (self.shape, self.spacing))
        field = ", ".join(
            f"{axis} {low:.5g} to {high:.5g}" for axis, low, high in zip("xyz", *self.extent_mm)
        )
        axes = directions(self.affine)
        tilt = np.degrees(np.arccos(np.clip(np.abs(axes).max(axis=0).min(), -1, 1)))
        return f"{size} voxels of {mm} mm (z, y, x), {field} mm" + (
            f", tilted by {tilt:.1f} degrees" if tilt >= 0.05 else ""
        )

    def same_grid(self, other: Grid) -> bool:
        """Return True if two grids are one: their shapes are equal, their corners within 0.1 voxel."""
        last = np.array(self.shape[::-1]) - 1.0
        if self.shape != other.shape:
            return False
        apart = self.voxel_to_mm(corners([0] * 3, last).T) - other.voxel_to_mm(corners([0] * 3, last).T)
        return bool(np.linalg.norm(apart, axis=1).max() <= 0.1 * min(self.spacing))

    def voxel_to_mm(self, voxel: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the points in LPS mm of voxel coordinates (x, y, z), shape (..., 3)."""
        return np.asarray(voxel, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def mm_to_voxel(self, point: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return the voxel coordinates (x, y, z) of points in LPS mm, shape (..., 3)."""
        to_voxel = np.linalg.inv(self.affine[:3, :3])
        return (np.asarray(point, dtype=np.float64) - self.affine[:3, 3]) @ to_voxel.T

    def contains(self, point: Sequence[float] | np.ndarray) -> bool:
        """Return True if a point (x, y, z) in LPS mm lies in the field of view."""
        voxel = self.mm_to_voxel(point)
        return bool(((voxel >= -0.5) & (voxel < np.array(self.shape[::-1]) - 0.5)).all())

    def expect_inside(self, point_mm: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return a point as float64, shape (3,), after checking that it lies in the field of view.

        Parameters
        ----------
        point_mm : (x, y, z)
            LPS mm.

        Raises
        ------
        ScanError
            If the point lies outside the field of view, or is not three numbers.
        """
        try:
            point = np.asarray(point_mm, dtype=np.float64)
        except (TypeError, ValueError):
            raise ScanError("not a point", expected="(x, y, z), LPS mm", got=point_mm) from None
        if point.shape != (3,):
            raise ScanError("not a point", expected="three numbers (x, y, z), LPS mm", got=point_mm)
        if not self.contains(point):
            field = zip("xyz", *self.extent_mm)
            raise ScanError(
                "a point outside the scan",
                expected=", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in field) + " mm",
                got=np.array2string(point, precision=1, separator=", "),
                hint=self._meant(point),
            )
        return point

    def _meant(self, point: np.ndarray) -> str:
        """Return a hint on what a point outside the field of view may be."""
        if self.contains(flipped := point * (-1, -1, 1)):
            shown = ", ".join(f"{value:g}" for value in flipped)
            return f"points are in LPS mm; this one may be in RAS, and would be ({shown}) in LPS"
        if (point == np.rint(point)).all() and ((point >= 0) & (point < self.shape[::-1])).all():
            return "points are in LPS mm; these may be voxel indices: voxel_to_mm of the Volume converts them"
        return "points are (x, y, z) in LPS mm; a NIfTI tool's RAS point has opposite signs of x and y"


def three(value: float | Sequence[float], name: str, *, zero: bool = False) -> np.ndarray:
    """Return a length or three lengths in mm as float64, shape (3,).

    Parameters
    ----------
    value : float or (z, y, x)
        Length in mm; one number counts for all three axes.
    name : str
        Name of the value, for the message.
    zero : bool
        True if 0 mm is allowed.

    Raises
    ------
    ScanError
        If a length is negative, 0 (unless `zero`) or not finite.

    Examples
    --------
    >>> three(2, "spacing")
    array([2., 2., 2.])
    """
    out = np.broadcast_to(np.asarray(value, dtype=np.float64), 3)
    if not (np.isfinite(out).all() and ((out >= 0) if zero else (out > 0)).all()):
        raise ScanError(
            f"{name} out of range", expected="mm, 0 or above" if zero else "mm above 0", got=value
        )
    return out
