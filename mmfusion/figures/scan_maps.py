"""Figure of several maps of the same scans, side by side, with the outline of the tumour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.scans import draw_plane
from mmfusion.figures.style import new_figure, styled

if TYPE_CHECKING:  # they load torch
    from mmfusion.explain.scans import ScanAttribution


@styled
def scan_maps(
    attributions: Mapping[str, ScanAttribution],
    *,
    masks: np.ndarray | None = None,
    patients: Sequence[str] | None = None,
    spacing: Sequence[float] | float = 1.0,
) -> Figure:
    """Axial slices of several patients, without and with each map, one row per patient.

    The slice goes through the middle of the mask, or without a mask through the middle of the crop.

    Parameters
    ----------
    attributions : mapping of str to ScanAttribution
        Title of a column -> maps of the same patients, from `scan_gradcam`, `scan_occlusion` and so on.
    masks : ndarray, shape (n, Z, Y, X), optional
        Masks of the tumours on the same crops, in the order of the patients of the maps.
    patients : sequence of str, optional
        Ids of the patients to show. Default: the first four.
    spacing : float or (float, float, float)
        Voxel size in mm, (z, y, x).

    Raises
    ------
    ReportError
        If there are no maps, the maps are of different patients, the masks do not fit, or none of the
        patients has a map.

    Examples
    --------
    >>> from mmfusion.explain.scans import ScanAttribution
    >>> one = ScanAttribution(np.ones((1, 4, 4, 4)), np.ones((1, 4, 4, 4)), ("P1",), ("severity",))
    >>> figure = scan_maps({"HiResCAM": one, "occlusion": one})
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['CT', 'HiResCAM', 'occlusion']
    """
    first = _same_patients(attributions)
    if masks is not None and np.shape(masks) != first.crops.shape:
        raise ReportError("the masks do not fit the scans", expected=first.crops.shape, got=np.shape(masks))
    wanted = list(first.patients[:4] if patients is None else patients)
    rows = [i for i, p in enumerate(first.patients) if p in wanted]
    if not rows:
        raise ReportError("none of these patients has a map", expected=", ".join(first.patients[:5]))
    columns = {"CT": None, **attributions}
    height = 1.9 * len(rows) + 0.3
    width = min(0.6 + 1.9 * len(columns), 7.2)
    figure, axes = new_figure(height, len(rows), len(columns), width=width, squeeze=False)
    for ax_row, i in zip(axes, rows, strict=True):
        mask, crop = None if masks is None else masks[i], first.crops[i]
        at = crop.shape[0] // 2 if mask is None or not mask.any() else round(np.nonzero(mask)[0].mean())
        for ax, found in zip(ax_row, columns.values(), strict=True):
            overlay = None if found is None else found.maps[i]
            draw_plane(ax, 0, at, crop, overlay=overlay, mask=mask, spacing=np.broadcast_to(spacing, 3))
        ax_row[0].set_ylabel(f"{first.patients[i]}\nfor {first.classes[i]}", fontsize=8)
    for ax, title in zip(axes[0], columns, strict=True):
        ax.set_title(title)
    return figure


def _same_patients(attributions: Mapping[str, ScanAttribution]) -> ScanAttribution:
    """Return the first of the maps; raise a `ReportError` unless all are of the same patients."""
    if not attributions:
        raise ReportError("no maps", parameter="attributions", expected="at least one")
    first = next(iter(attributions.values()))
    for title, one in attributions.items():
        if one.patients != first.patients or one.maps.shape != first.maps.shape:
            got = ", ".join(one.patients[:5])
            expected = ", ".join(first.patients[:5])
            raise ReportError(f"{title!r} has maps of other patients", expected=expected, got=got)
    return first
