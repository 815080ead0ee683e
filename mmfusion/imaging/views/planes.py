"""Planes of slices: axial, coronal and sagittal, and how their slices are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from mmfusion.errors import ScanError


@dataclass(frozen=True)
class Plane:
    """Plane of slices, and how slices of this plane are drawn.

    Attributes
    ----------
    axis : int
        Axis of the array (z, y, x) that is normal to the plane.
    letters : str
        Letters at the left, right, upper and lower edge.
    name : {"x", "y", "z"}
        Name of the coordinate along the normal.
    first : {1, -1}
        1: slices are shown by ascending coordinate. -1: by descending coordinate.
    rises : bool
        True if the vertical coordinate increases upwards.

    Examples
    --------
    >>> PLANES["axial"].axis, PLANES["axial"].letters
    (0, 'RLAP')
    """

    axis: int
    letters: str
    name: str
    first: int
    rises: bool


PLANES = {
    "axial": Plane(0, "RLAP", "z", -1, rises=False),  # from the head down
    "coronal": Plane(1, "RLSI", "y", 1, rises=True),  # from the front
    "sagittal": Plane(2, "APSI", "x", 1, rises=True),  # from the right
}


def check_plane(plane: str) -> str:
    """Return the name of a plane, or raise a ScanError if it is not in `PLANES`.

    Examples
    --------
    >>> check_plane("axial")
    'axial'
    """
    if plane not in PLANES:
        raise ScanError("unknown plane", parameter="plane", expected=", ".join(PLANES), got=plane)
    return plane
