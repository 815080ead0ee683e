"""Montage: a page of slices with masks, a second scan or a point drawn over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmfusion.errors import ScanError
from mmfusion.imaging.views.planes import PLANES, check_plane
from mmfusion.imaging.views.scene import COLOURS, Scene
from mmfusion.imaging.views.settings import drawn_with
from mmfusion.imaging.views.view import View
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import BY_UNIT

_WIDTH, _GAP, _TOP, _BAR = 7.2, 0.03, 0.24, 0.55  # inches: page, between panels, title and legend, colour bar
_POINT_MM = 60.0  # length along the normal that is shown around a point
_BODY = {**{unit: m.body for unit, m in BY_UNIT.items()}, "mask": 0.0}  # values above belong to the patient
_INK = "#222222"


@drawn_with({"font.size": 9, "figure.facecolor": "white", "image.interpolation_stage": "data"})
def montage(
    volume: Volume,
    mask: Volume | Mapping[str, Volume] | None = None,
    point: Sequence[float] | None = None,
    *,
    overlay: Volume | None = None,
    n: int = 12,
    plane: str = "axial",
    window: str | tuple[float, float] | None = None,
    zoom_mm: float | None = None,
    columns: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw slices of a scan in radiological convention, with outlines of masks, an overlay and a point.

    All axes have the same scale in mm. The slices cover the whole mask. Without a mask they cover 60 mm
    around the point; without either they cover the whole patient. Axial slices start at the head, coronal
    slices at the front, sagittal slices at the patient's right.

    Parameters
    ----------
    volume : Volume
        CT, PET or mask.
    mask : Volume, or mapping of name to Volume, optional
        Masks that are drawn as outlines. Several masks get different colours and a legend.
    point : (x, y, z), optional
        Point in LPS mm, marked by a cross on its slice.
    overlay : Volume, optional
        Volume drawn in colour over the scan, such as a PET on its CT or an attribution map. Higher values are
        more opaque.
    n : int
        Number of slices, at least 1; fewer are drawn if the scan or mask has fewer.
    plane : {"axial", "coronal", "sagittal"}
        Plane of the slices.
    window : {"lung", "mediastinum", "bone"} or (low, high), optional
        Values shown as black and white. Default: the lung window for HU, 0 to 7 for SUVbw.
    zoom_mm : float, optional
        Side in mm of the square that is shown around the point or the mask. Default: the whole slice.
    columns : int, optional
        Number of slices per row. Default: 4 or fewer.
    title : str, optional
        Title of the figure.

    Returns
    -------
    Figure
        A notebook shows it; ``figure.savefig("montage.png", dpi=144)`` writes it.

    Raises
    ------
    ScanError
        If an option is unknown, `mask` is not a mask, or the point lies outside the scan.

    Examples
    --------
    >>> scan = Volume(np.zeros((4, 8, 8), dtype=np.int16), np.eye(4))
    >>> len(montage(scan, n=2).axes)
    2
    """
    check_plane(plane)
    if n < 1 or (columns is not None and columns < 1) or (zoom_mm is not None and not zoom_mm > 0):
        raise ScanError("nothing to show", expected="n and columns of 1 or more, zoom_mm above 0")
    scene = Scene.of(volume, mask, point, overlay, window)
    shown = slices(scene, plane, n)
    box = shown_part(scene, plane, zoom_mm)
    columns = columns or min(len(shown), 4)
    rows = -(-len(shown) // columns)
    names = [name for name in scene.masks if name]
    top = _TOP if title or names or scene.overlay is not None else 0.0
    right = _BAR if scene.overlay is not None else 0.0
    wide = (_WIDTH - right - (columns - 1) * _GAP) / columns
    high = wide * abs((box[3] - box[2]) / (box[1] - box[0]))
    height = top + rows * high + (rows - 1) * _GAP
    figure = View(figsize=(_WIDTH, height))
    for i, k in enumerate(shown):
        row, column = divmod(i, columns)
        left, low = column * (wide + _GAP), height - top - (row + 1) * high - row * _GAP
        ax = figure.add_axes((left / _WIDTH, low / height, wide / _WIDTH, high / height))
        scene.draw(ax, k, plane, box=box, scale=i == len(shown) - 1)
    if title:
        figure.text(0, 1 - 0.06 / height, title, ha="left", va="top", weight="bold", fontsize=9.5, color=_INK)
    if names:
        lines = [Line2D([], [], color=colour, lw=2) for colour in (COLOURS * len(names))[: len(scene.masks)]]
        figure.legend(
            lines,
            list(scene.masks),
            loc="upper right",
            bbox_to_anchor=(1, 1),
            ncols=len(lines),
            frameon=False,
            fontsize=8,
            borderpad=0,
            borderaxespad=0.2,
            handlelength=1.2,
        )
    if scene.overlay is not None:
        tall = min(height - top, 2.2)
        bar = figure.add_axes(
            (1 - (right - 0.08) / _WIDTH, (height - top - tall) / height, 0.1 / _WIDTH, tall / height)
        )
        mapped = ScalarMappable(Normalize(*scene.heat), "inferno")
        figure.colorbar(mapped, bar).outline.set_visible(False)
        bar.tick_params(labelsize=7, color=_INK, labelcolor=_INK, length=2)
        unit = "" if scene.overlay.unit == "mask" else scene.overlay.unit
        bar.set_title(unit, fontsize=7, color=_INK, loc="left", weight="normal", pad=3)
    return figure.literal()


def slices(scene: Scene, plane: str, n: int) -> list[int]:
    """Return the indices of the slices that a montage shows, in the order of the montage.

    Parameters
    ----------
    scene : Scene
        Scan, masks and point.
    plane : {"axial", "coronal", "sagittal"}
        Plane of the slices.
    n : int
        Largest number of slices.

    Examples
    --------
    >>> slices(Scene.of(Volume(np.zeros((9, 4, 4), dtype=np.int16), np.eye(4))), "axial", 3)
    [7, 4, 1]
    """
    axis = PLANES[plane].axis
    count, spacing = scene.volume.shape[axis], scene.volume.spacing[axis]
    across = tuple({0, 1, 2} - {axis})
    used = [np.flatnonzero(m.array.any(axis=across)) for m in scene.masks.values()]
    drawn = np.concatenate(used) if used else np.array([], dtype=int)
    at = None if scene.point is None else scene.slice_of(scene.point, plane)
    if at is not None and not drawn.size:
        chosen = at + max(round(_POINT_MM / n / spacing), 1) * (np.arange(n) - n // 2)
        chosen = chosen[(chosen >= 0) & (chosen < count)]
    else:
        low, high = (drawn.min(), drawn.max() + 1) if drawn.size else _patient(scene.volume, across)
        many = high - low
        chosen = low + (np.arange(min(n, many)) + 0.5) * many / min(n, many) - 0.5
    chosen = np.unique(np.rint(chosen).astype(int))
    if at is not None:  # the slice with the point is always shown
        chosen[np.abs(chosen - at).argmin()] = at
    return [int(k) for k in np.unique(chosen)[:: PLANES[plane].first]]


def _patient(volume: Volume, across: tuple[int, int]) -> tuple[int, int]:
    """Return the half-open range of slices in which the patient's area is at least 20 % of the largest."""
    share = (volume.array > _BODY[volume.unit]).mean(axis=across)
    fullest, thin = share.argmax(), np.flatnonzero(share < 0.2 * share.max())
    return thin[thin < fullest].max(initial=-1) + 1, thin[thin > fullest].min(initial=len(share))


def shown_part(scene: Scene, plane: str, zoom_mm: float | None) -> tuple[float, float, float, float]:
    """Return the left, right, lower and upper end of the part of a slice that is shown, mm.

    Parameters
    ----------
    scene : Scene
        Scan, masks and point.
    plane : {"axial", "coronal", "sagittal"}
        Plane of the slice.
    zoom_mm : float, optional
        Side of a square around the point or the masks, mm; None for the whole slice.

    Examples
    --------
    >>> scan = Volume(np.zeros((4, 8, 8), np.int16), np.eye(4))
    >>> [float(end) for end in shown_part(Scene.of(scan, point=(3, 3, 2)), "axial", 2.0)]
    [2.0, 4.0, 4.0, 2.0]
    """
    whole = scene.extent(plane)
    if zoom_mm is None:
        return whole
    center = scene.point
    if center is None:
        center = scene.volume.center_mm
        drawn = [
            m.voxel_to_mm([(s.start + s.stop - 1) / 2 for s in m.bounding_box()[::-1]])
            for m in scene.masks.values()
            if m.array.any()
        ]
        center = np.mean(drawn, axis=0) if drawn else center
    across, down = np.delete(center, 2 - PLANES[plane].axis)
    half = zoom_mm / 2 * (1 if PLANES[plane].rises else -1)
    return across - zoom_mm / 2, across + zoom_mm / 2, down - half, down + half
