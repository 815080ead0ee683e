"""Boxes round lesions: from a mask, moved at random as a detector would, and as a map that networks read.

A box is a tuple of half-open slices along (z, y, x), as `Volume.bounding_box` returns it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from mmfusion.errors import DataError
from mmfusion.imaging.sampling import filled_box

Box = tuple[slice, slice, slice]


def lesion_boxes(mask: np.ndarray) -> list[Box]:
    """Return the box of each lesion, a set of voxels that touch by face, edge or corner.

    Parameters
    ----------
    mask : ndarray, shape (z, y, x)
        0 outside the lesions, any other value inside.

    Returns
    -------
    list of (slice, slice, slice)
        Half-open boxes; none if the mask is empty. The box round all lesions together is
        `mmfusion.imaging.sampling.filled_box(mask)`.

    Raises
    ------
    DataError
        If the mask does not have three axes.

    Examples
    --------
    >>> mask = np.zeros((4, 8, 8))
    >>> mask[1:3, 2:4, 5] = 1
    >>> lesion_boxes(mask)
    [(slice(1, 3, None), slice(2, 4, None), slice(5, 6, None))]
    """
    if mask.ndim != 3:
        raise DataError("a mask cannot be searched for lesions", expected="axes (z, y, x)", got=mask.shape)
    labels, _ = ndimage.label(mask != 0, np.ones((3, 3, 3)))
    return ndimage.find_objects(labels)


def jitter_box(
    box: Box,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    *,
    size: float = 0.1,
    shift: float = 0.05,
) -> Box:
    """Return a box that is moved and resized at random, like one that a detector found.

    Parameters
    ----------
    box : (slice, slice, slice)
        Half-open box.
    shape : (z, y, x)
        Shape of the scan. The new box lies inside it and has at least one voxel.
    rng : numpy Generator
        Source of the random numbers.
    size : float in [0, 1)
        Largest change of each side, as a share of it.
    shift : float >= 0
        Largest shift of the centre along each side, as a share of the side.

    Examples
    --------
    >>> box = (slice(10, 30), slice(10, 30), slice(10, 30))
    >>> jitter_box(box, (40, 40, 40), np.random.default_rng(0))
    (slice(9, 30, None), slice(10, 28, None), slice(10, 31, None))
    >>> jitter_box(box, (40, 40, 40), np.random.default_rng(0), size=0, shift=0) == box
    True
    """
    moved = []
    for one, n in zip(box, shape, strict=True):
        side, middle = one.stop - one.start, (one.start + one.stop) / 2
        half = side * (1 + rng.uniform(-size, size)) / 2
        middle += side * rng.uniform(-shift, shift)
        start = min(max(round(middle - half), 0), n - 1)
        moved.append(slice(start, min(max(round(middle + half), start + 1), n)))
    return tuple(moved)


def box_map(boxes: Iterable[Box], shape: tuple[int, int, int]) -> np.ndarray:
    """Return a map of float32, shape (z, y, x): 1 inside the boxes, 0 outside.

    Examples
    --------
    >>> int(box_map([(slice(0, 2), slice(1, 3), slice(0, 1))], (4, 4, 4)).sum())
    4
    """
    out = np.zeros(shape, np.float32)
    for box in boxes:
        out[box] = 1
    return out


def training_cue(
    mask: np.ndarray,
    rng: np.random.Generator,
    *,
    size: float = 0.1,
    shift: float = 0.05,
    drop: float = 0.2,
) -> np.ndarray:
    """Return the map of a box that is like those of a detector, for the training of networks with a cue.

    With a share of maps that are 1 everywhere, the network also learns to work without a box.

    Parameters
    ----------
    mask : ndarray, shape (z, y, x)
        0 outside the lesions, any other value inside.
    rng, size, shift
        As for `jitter_box`.
    drop : float in [0, 1]
        Share of the maps that are 1 everywhere.

    Returns
    -------
    ndarray of float32, shape (z, y, x)
        1 inside the box round all lesions, 0 outside; all 0 if the mask is empty, because a detector then
        has found nothing here.

    Examples
    --------
    >>> mask = np.zeros((4, 8, 8))
    >>> mask[1:3, 2:6, 2:6] = 1
    >>> int(training_cue(mask, np.random.default_rng(0), size=0, shift=0, drop=0).sum())
    32
    """
    if rng.random() < drop:
        return np.ones(mask.shape, np.float32)
    box = filled_box(mask)
    boxes = [] if box is None else [jitter_box(box, mask.shape, rng, size=size, shift=shift)]
    return box_map(boxes, mask.shape)
