"""Union of masks on one grid: the internal target volume (IGTV) is the union of a tumour over the phases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.volume import Volume


def union_of_masks(masks: Sequence[Volume], reference: Volume | None = None) -> Volume:
    """Return the voxels that any of the masks covers.

    The union of the gross tumour volume (GTV) over the phases of breathing is the internal gross tumour
    volume (IGTV).

    Parameters
    ----------
    masks : sequence of Volume
        Masks in one patient space. One on another grid is sampled on the common grid and keeps its volume.
    reference : Volume, optional
        Scan or mask with the common grid; default, the first mask.

    Returns
    -------
    Volume
        uint8 in {0, 1}, unit "mask", on the grid of the reference.

    Raises
    ------
    ScanError
        If there is no mask, one is not a mask, two state different frames of reference, or one that is not
        empty lies outside the grid.

    References
    ----------
    ICRU Report 62 (1999), internal target volume.

    Examples
    --------
    >>> first, second = (Volume(np.eye(3, dtype=np.uint8)[None] * k, np.eye(4), unit="mask") for k in (1, 0))
    >>> second.array[0, 0, 2] = 1
    >>> int(union_of_masks([first, second]).array.sum())
    4
    """
    if not masks:
        raise ScanError("no masks", expected="one or more")
    grid = masks[0] if reference is None else reference
    union = np.zeros(grid.shape, np.uint8)
    for number, mask in enumerate(masks):
        mask.expect("mask", parameter=f"mask {number}")
        frames = grid.frame_of_reference, mask.frame_of_reference
        if all(frames) and frames[0] != frames[1]:
            raise ScanError(
                "masks of different patient spaces",
                parameter=f"mask {number}",
                expected=frames[0],
                got=frames[1],
            )
        there = mask if mask.same_grid(grid) else mask.like(grid)
        if mask.array.any() and not there.array.any():
            raise ScanError("a mask outside the grid", parameter=f"mask {number}", expected=grid.geometry())
        union |= there.array
    return Volume(
        union,
        grid.affine,
        unit="mask",
        frame_of_reference=grid.frame_of_reference,
        series_uid=grid.series_uid,
    )
