"""Figure of several maps of the same scans, side by side, with the outline of the tumour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.scans import draw_plane
from mmfusion.figures.style import new_figure, styled
from mmfusion.modalities import MODALITIES

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

    The slice goes through the middle of the mask, or without a mask through the middle of the crop. The axes
    of a crop run towards the patient's left, back and head, so the patient's right is on the left. Each map
    is drawn relative to its own largest value: the brightness of two patients cannot be compared.

    Parameters
    ----------
    attributions : mapping of str to ScanAttribution
        Title of a column -> maps of the same patients, from `scan_gradcam`, `scan_occlusion` and so on.
    masks : ndarray, shape (n, Z, Y, X), optional
        Masks of the tumours on the same crops, in the order of the patients of the maps.
    patients : sequence of str, optional
        Ids of the patients to show. Default: the first four.
    spacing : float, (float, float, float) or ndarray, shape (n, 3)
        Voxel size in mm, (z, y, x), of all crops or of each (`mmfusion.explain.crop_spacing`).

    Raises
    ------
    ReportError
        If there are no maps, the maps are of different patients or scans, the masks or the spacing do not
        fit, or none of the patients has a map.

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
    steps = _steps(spacing, len(first.patients))
    scan = MODALITIES[first.stream].title if first.stream in MODALITIES else first.stream
    columns = {scan: None, **attributions}
    height = 1.9 * len(rows) + 0.5
    width = min(0.6 + 1.9 * len(columns), 7.2)
    figure, axes = new_figure(height, len(rows), len(columns), width=width, squeeze=False)
    for ax_row, i in zip(axes, rows, strict=True):
        mask, crop = None if masks is None else masks[i], first.crops[i]
        at = crop.shape[0] // 2 if mask is None or not mask.any() else round(np.nonzero(mask)[0].mean())
        for ax, found in zip(ax_row, columns.values(), strict=True):
            overlay = None if found is None else found.maps[i]
            draw_plane(ax, 0, at, crop, overlay=overlay, mask=mask, spacing=steps[i])
        ax_row[0].set_ylabel(f"{first.patients[i]}\nfor {first.classes[i]}", fontsize=8)
    for ax, title in zip(axes[0], columns, strict=True):
        ax.set_title(title)
    figure.supxlabel("axial slices; the patient's right is on the left", fontsize="small")
    return figure


def _steps(spacing: object, n: int) -> np.ndarray:
    """Return the voxel size of each of n crops, mm, shape (n, 3)."""
    try:
        steps = np.broadcast_to(np.asarray(spacing, dtype=float), (n, 3))
    except (TypeError, ValueError):
        steps = np.zeros(3)
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        expected = f"mm above 0: a number, 3 numbers, or shape ({n}, 3)"
        raise ReportError("the spacing does not fit the scans", parameter="spacing", expected=expected)
    return steps


def _same_patients(attributions: Mapping[str, ScanAttribution]) -> ScanAttribution:
    """Return the first of the maps; raise a `ReportError` unless all are of the same patients and scans."""
    if not attributions:
        raise ReportError("no maps", parameter="attributions", expected="at least one")
    first = next(iter(attributions.values()))
    for title, one in attributions.items():
        if one.patients != first.patients or one.maps.shape != first.maps.shape:
            got = ", ".join(one.patients[:5])
            expected = ", ".join(first.patients[:5])
            raise ReportError(f"{title!r} has maps of other patients", expected=expected, got=got)
        if one.stream != first.stream:
            raise ReportError(f"{title!r} has maps of other scans", expected=first.stream, got=one.stream)
    return first
