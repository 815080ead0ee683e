"""Three slices of a scan through one point: axial, coronal and sagittal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmfusion.errors import ScanError
from mmfusion.imaging.views.montage import shown_part
from mmfusion.imaging.views.planes import PLANES
from mmfusion.imaging.views.scene import Scene
from mmfusion.imaging.views.settings import drawn_with
from mmfusion.imaging.views.view import View
from mmfusion.imaging.volume import Volume

_WIDTH, _GAP, _TOP = 7.2, 0.04, 0.24  # inches: figure, between slices, title


@drawn_with({"font.size": 9, "figure.facecolor": "white", "image.interpolation_stage": "data"})
def three_planes(
    volume: Volume,
    point: Sequence[float],
    mask: Volume | Mapping[str, Volume] | None = None,
    *,
    window: str | tuple[float, float] | None = None,
    zoom_mm: float | None = None,
    title: str | None = None,
) -> View:
    """Draw the axial, the coronal and the sagittal slice through a point, with outlines of masks.

    All slices have the same scale in mm. A cross marks the point.

    Parameters
    ----------
    volume : Volume
        CT, PET or mask.
    point : (x, y, z)
        Point in LPS mm.
    mask, window, title
        As in `montage`.
    zoom_mm : float, optional
        Side in mm of the square that is shown around the point. Default: the whole slice.

    Raises
    ------
    ScanError
        If an option is unknown, `mask` is not a mask, or the point lies outside the scan.

    Examples
    --------
    >>> import numpy as np
    >>> scan = Volume(np.zeros((4, 8, 8), dtype=np.int16), np.eye(4))
    >>> len(three_planes(scan, (3, 3, 2)).axes)
    3
    """
    if zoom_mm is not None and not zoom_mm > 0:
        raise ScanError("nothing to show", parameter="zoom_mm", expected="above 0", got=zoom_mm)
    scene = Scene.of(volume, mask, point, window=window)
    boxes = {plane: shown_part(scene, plane, zoom_mm) for plane in PLANES}
    sizes = {plane: (abs(right - left), abs(high - low)) for plane, (left, right, low, high) in boxes.items()}
    inch = (_WIDTH - 2 * _GAP) / sum(across for across, _ in sizes.values())  # inches per mm
    top = _TOP if title else 0.0
    height = top + inch * max(down for _, down in sizes.values())
    figure, left = View(figsize=(_WIDTH, height)), 0.0
    for plane, (across, down) in sizes.items():
        wide, high = inch * across, inch * down
        place = (left / _WIDTH, (height - top - high) / height, wide / _WIDTH, high / height)
        last = plane == list(PLANES)[-1]
        scene.draw(
            figure.add_axes(place), scene.slice_of(scene.point, plane), plane, box=boxes[plane], scale=last
        )
        left += wide + _GAP
    if title:
        figure.text(0, 1 - 0.06 / height, title, ha="left", va="top", weight="bold", fontsize=9.5)
    return figure.literal()
