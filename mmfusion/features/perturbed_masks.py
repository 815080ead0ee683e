"""Masks that differ a little from a given one, as those of several readers do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from mmfusion.errors import ScanError
from mmfusion.features.lesion_grid import LesionGrid

SHIFT_MM = 1.0  # standard deviation of the distance by which the contour moves
SMOOTH_MM = 2.0  # of the Gaussian filter: parts of the contour 4 mm apart move alike by a third
_TRUNCATE = 3.0  # standard deviations of the filter that makes the noise smooth


def perturbed_masks(
    grid: LesionGrid, growth: Sequence[float], contours: int, random_state: int = 0
) -> list[np.ndarray]:
    """Return masks that are grown or shrunk, and whose contours are moved at random.

    The volume is changed as in the volume adaptation of Zwanenburg et al. 2019: by a share, at the surface.
    Their contour randomisation keeps or drops supervoxels of 0.5 mL. Many lung nodules are smaller than that,
    so the contour is moved by a smooth random distance here (1 mm on average, alike over a few mm), and the
    volume stays what the growth says.

    Parameters
    ----------
    grid : LesionGrid
        The lesion, with a margin in which it can grow.
    growth : sequence of float
        Changes of the volume, as a share of it.
    contours : int
        Number of random contours for each change; 0: none is moved.
    random_state : int
        Seed of the random numbers.

    Returns
    -------
    list of ndarray of bool, shape (z, y, x)
        `len(growth) * max(contours, 1)` masks, those of a change side by side.

    Raises
    ------
    ScanError
        If a mask would have no voxel, or would fill the box.

    Examples
    --------
    >>> inside = np.zeros((9, 9, 9), dtype=bool)
    >>> inside[3:6, 3:6, 3:6] = True
    >>> grid = LesionGrid(inside * 50.0, inside, (1.0, 1.0, 1.0))
    >>> [int(one.sum()) for one in perturbed_masks(grid, (-0.15, 0.0, 0.15), 0)]
    [23, 27, 31]
    """
    inside, spacing = grid.mask, grid.spacing
    depth = _depth(inside, spacing)
    rng = np.random.default_rng(random_state)
    noise = (
        [np.zeros(inside.shape)]
        if not contours
        else [_shifts(inside.shape, spacing, rng) for _ in range(contours)]
    )
    count, masks = int(inside.sum()), []
    for change in growth:
        wanted = round(count * (1 + change))
        if not 0 < wanted < inside.size:
            got, hint = f"{wanted} of {inside.size} voxels", "is the lesion a few voxels only?"
            raise ScanError("a perturbed mask is empty or fills the box", got=got, hint=hint)
        for moved in noise:
            chosen = np.argsort(-(depth + moved), axis=None, kind="stable")[:wanted]
            mask = np.zeros(inside.size, dtype=bool)
            mask[chosen] = True
            masks.append(mask.reshape(inside.shape))
    return masks


def _depth(inside: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the distance of each voxel to the contour in mm, positive inside."""
    half = min(spacing) / 2  # the contour runs half a voxel before the next voxel's centre
    within, beyond = distance_transform_edt(inside, spacing), distance_transform_edt(~inside, spacing)
    return np.where(inside, within - half, half - beyond)


def _shifts(shape: Sequence[int], spacing: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random field with a standard deviation of `SHIFT_MM`."""
    sigma = [SMOOTH_MM / mm for mm in spacing]
    pad = [int(np.ceil(_TRUNCATE * one)) for one in sigma]
    noise = rng.normal(size=[n + 2 * p for n, p in zip(shape, pad)])
    field = gaussian_filter(noise, sigma, truncate=_TRUNCATE)
    return SHIFT_MM * (field / field.std())[tuple(slice(p, p + n) for p, n in zip(pad, shape))]
