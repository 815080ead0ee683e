"""Bring a mask to the grid of the scan that it was drawn on, and say when the two do not belong together."""

from __future__ import annotations

from pathlib import Path

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.volume import Volume


def warn_other_grid(mask: Volume, reference: Volume, path: Path) -> None:
    """Warn if a mask has another grid than the scan; a label image states no other sign of its scan.

    Warns
    -----
    ScanWarning
        With the geometry of both.

    Examples
    --------
    >>> import numpy as np
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

    Examples
    --------
    >>> import numpy as np
    >>> scan = Volume(np.zeros((4, 8, 8), np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> mask = Volume(np.ones((4, 8, 8), np.uint8), np.eye(4), unit="mask")
    >>> on_scan(mask, scan, Path("m.nii")).volume_ml() == mask.volume_ml()
    True
    """
    there = mask.like(reference)
    if mask.array.any() and not there.array.any():
        corners = zip("xyz", *mask.bounding_box_mm())
        raise ScanError(
            "the region lies outside the scan",
            file=path,
            expected=f"within the scan: {reference.geometry()}",
            got="a region at " + ", ".join(f"{axis} {a:.5g} to {b:.5g}" for axis, a, b in corners) + " mm",
            hint="was it made for another scan, or with opposite signs of x and y (RAS)?",
        )
    return there
