"""Affines: from voxel (x, y, z) to LPS mm. Points are (x, y, z); shapes and spacings are (z, y, x), like arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from mmfusion.errors import ScanError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # and back


def checked_affine(affine: np.ndarray) -> np.ndarray:
    """The affine in float64, shape (4, 4), a copy.

    Raises
    ------
    ScanError
        If it is none, a voxel has no extent, or the axes are not at right angles.
    """
    affine = np.array(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], [0, 0, 0, 1]):
        got = np.array2string(affine, precision=3)
        raise ScanError("not an affine", expected="4 x 4, last row 0 0 0 1", got=got)
    spacing = spacing_of(affine)
    if not all(spacing):
        got = f"{np.array(spacing[::-1])} mm (x, y, z)"
        raise ScanError("a voxel without extent", expected="spacing above 0 mm", got=got)
    axes = directions(affine)
    if np.abs(axes.T @ axes - np.eye(3)).max() > 5e-3:
        raise ScanError("axes are not at right angles", hint="was the gantry tilted? resample the scan first")
    return affine


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Size of a voxel (z, y, x), mm."""
    return tuple(float(mm) for mm in np.linalg.norm(affine[:3, :3], axis=0)[::-1])


def directions(affine: np.ndarray) -> np.ndarray:
    """Unit vectors along the voxel axes x, y and z: columns, shape (3, 3)."""
    return affine[:3, :3] / spacing_of(affine)[::-1]


def centered(
    axes: np.ndarray,
    center: np.ndarray,
    spacing: Sequence[float] | np.ndarray,
    shape: Sequence[int] | np.ndarray,
) -> np.ndarray:
    """Affine of a grid of `shape` and `spacing` (z, y, x) round a point in LPS mm, along `axes` as of `directions`."""
    affine = np.eye(4)
    affine[:3, :3] = axes * np.asarray(spacing)[::-1]
    affine[:3, 3] = center - affine[:3, :3] @ ((np.asarray(shape)[::-1] - 1) / 2)
    return affine


def stacked(row: np.ndarray, column: np.ndarray, spacing: Sequence[float], first: np.ndarray) -> np.ndarray:
    """Affine of slices one above the other, along the normal of the first.

    Parameters
    ----------
    row, column : ndarray, shape (3,)
        Unit vectors along a row and a column: ImageOrientationPatient.
    spacing : (z, y, x)
        Distance of slices, of rows and of columns, mm.
    first : ndarray, shape (3,)
        Centre of the first slice's first pixel, LPS mm: ImagePositionPatient.
    """
    z_mm, y_mm, x_mm = spacing
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * x_mm, column * y_mm, np.cross(row, column) * z_mm])
    affine[:3, 3] = first
    return affine


def corners(low: Sequence[float] | np.ndarray, high: Sequence[float] | np.ndarray) -> np.ndarray:
    """The eight corners of a box, one a column: shape (3, 8), coordinates in the order of the ends."""
    return np.array(np.meshgrid(*zip(low, high), indexing="ij")).reshape(3, -1)


def lps_axes(affine: np.ndarray, shape: Sequence[int]) -> tuple[list[int], list[bool], np.ndarray]:
    """How an array's axes are turned so that x, y and z run (nearly) along +L, +P and +S.

    Parameters
    ----------
    affine, shape
        Of the array, as in a Volume.

    Returns
    -------
    order : list of int
        For `array.transpose`.
    flip : list of bool
        Which of the transposed axes to flip.
    affine : ndarray, shape (4, 4)
        Of the turned array.
    """
    axes = directions(affine)
    _, source = linear_sum_assignment(-np.abs(axes))  # world axis i is voxel axis source[i]
    flip = [bool(axes[i, s] < 0) for i, s in enumerate(source)]
    last = np.where(flip, np.array(shape)[::-1][source] - 1, 0)
    turned = affine.copy()
    turned[:3, :3] = affine[:3, source] * np.where(flip, -1, 1)
    turned[:3, 3] -= turned[:3, :3] @ last
    return [int(2 - s) for s in source[::-1]], flip[::-1], turned
