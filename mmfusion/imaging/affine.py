"""Affines: 4 x 4 matrices from voxel (x, y, z) to LPS mm.

Points are (x, y, z). Shapes and spacings are (z, y, x), like the axes of an array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from mmfusion.errors import ScanError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse: also RAS to LPS


def checked_affine(affine: np.ndarray) -> np.ndarray:
    """Return a checked copy of an affine in float64, shape (4, 4).

    Raises
    ------
    ScanError
        If it is not an affine, a spacing is 0 mm, or the axes are not at right angles.

    Examples
    --------
    >>> checked_affine(np.diag([1, 1, 2, 1])).dtype
    dtype('float64')
    """
    affine = np.array(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], [0, 0, 0, 1]):
        got = np.array2string(affine, precision=3)
        raise ScanError("not an affine", expected="4 x 4, last row 0 0 0 1", got=got)
    spacing = spacing_of(affine)
    if not all(spacing):
        got = f"{np.array(spacing[::-1])} mm (x, y, z)"
        raise ScanError("a voxel of size 0", expected="spacing above 0 mm", got=got)
    axes = directions(affine)
    if np.abs(axes.T @ axes - np.eye(3)).max() > 5e-3:
        raise ScanError("axes are not at right angles", hint="was the gantry tilted? Resample the scan first")
    return affine


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Return the voxel size (z, y, x) in mm.

    Examples
    --------
    >>> spacing_of(np.diag([1.0, 1.0, 2.0, 1.0]))
    (2.0, 1.0, 1.0)
    """
    return tuple(float(mm) for mm in np.linalg.norm(affine[:3, :3], axis=0)[::-1])


def directions(affine: np.ndarray) -> np.ndarray:
    """Return the unit vectors along the voxel axes x, y and z as columns, shape (3, 3).

    Examples
    --------
    >>> directions(np.diag([-0.7, -0.7, 2.5, 1.0])).tolist()
    [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return affine[:3, :3] / spacing_of(affine)[::-1]


def centered(
    axes: np.ndarray,
    center: np.ndarray,
    spacing: Sequence[float] | np.ndarray,
    shape: Sequence[int] | np.ndarray,
) -> np.ndarray:
    """Return the affine of a grid whose centre is a given point.

    Parameters
    ----------
    axes : ndarray, shape (3, 3)
        Unit vectors along the voxel axes x, y and z as columns, as `directions` returns them.
    center : ndarray, shape (3,)
        Centre of the grid (x, y, z), LPS mm.
    spacing : (z, y, x)
        Voxel size, mm.
    shape : (z, y, x)
        Number of voxels.

    Returns
    -------
    ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm.

    Examples
    --------
    >>> centered(np.eye(3), np.zeros(3), spacing=(2, 1, 1), shape=(3, 3, 3))[:3, 3]
    array([-1., -1., -2.])
    """
    affine = np.eye(4)
    affine[:3, :3] = axes * np.asarray(spacing)[::-1]
    affine[:3, 3] = center - affine[:3, :3] @ ((np.asarray(shape)[::-1] - 1) / 2)
    return affine


def stacked(row: np.ndarray, column: np.ndarray, spacing: Sequence[float], first: np.ndarray) -> np.ndarray:
    """Return the affine of a stack of slices along the normal of the first slice.

    Parameters
    ----------
    row, column : ndarray, shape (3,)
        Unit vectors along a row and a column (DICOM ImageOrientationPatient).
    spacing : (z, y, x)
        Distance between slices, between rows and between columns, mm.
    first : ndarray, shape (3,)
        Centre of the first pixel of the first slice, LPS mm (DICOM ImagePositionPatient).

    Returns
    -------
    ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm.

    Examples
    --------
    >>> x, y, _ = np.eye(3)
    >>> spacing_of(stacked(x, y, (2.5, 0.7, 0.7), np.zeros(3)))
    (2.5, 0.7, 0.7)
    """
    z_mm, y_mm, x_mm = spacing
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * x_mm, column * y_mm, np.cross(row, column) * z_mm])
    affine[:3, 3] = first
    return affine


def corners(low: Sequence[float] | np.ndarray, high: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the eight corners of a box as columns, shape (3, 8).

    `low` and `high` are the ends of the box along its three axes. The coordinates keep the order of these
    axes.

    Examples
    --------
    >>> corners([0, 0, 0], [1, 2, 3])[:, -1]
    array([1, 2, 3])
    """
    return np.array(np.meshgrid(*zip(low, high), indexing="ij")).reshape(3, -1)


def lps_axes(affine: np.ndarray, shape: Sequence[int]) -> tuple[list[int], list[bool], np.ndarray]:
    """Find the transposition and flips that turn an array's axes x, y and z to (nearly) +L, +P and +S.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        Affine of the array: voxel (x, y, z) to LPS mm.
    shape : (z, y, x)
        Shape of the array.

    Returns
    -------
    order : list of int
        Argument for `array.transpose`.
    flip : list of bool
        For each axis after the transposition: True if it has to be flipped.
    affine : ndarray, shape (4, 4)
        Affine of the turned array.

    Examples
    --------
    >>> order, flip, _ = lps_axes(LPS_TO_RAS, (2, 3, 4))  # an array in RAS orientation
    >>> order, flip
    ([0, 1, 2], [False, True, True])
    """
    axes = directions(affine)
    _, source = linear_sum_assignment(-np.abs(axes))  # world axis i is voxel axis source[i]
    flip = [bool(axes[i, s] < 0) for i, s in enumerate(source)]
    last = np.where(flip, np.array(shape)[::-1][source] - 1, 0)
    turned = affine.copy()
    turned[:3, :3] = affine[:3, source] * np.where(flip, -1, 1)
    turned[:3, 3] -= turned[:3, :3] @ last
    return [int(2 - s) for s in source[::-1]], flip[::-1], turned
