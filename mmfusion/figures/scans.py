"""Figures of scans: three orthogonal slices through a point, overlaid with a map, a mask and the seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import SKY, bare, new_figure, styled

if TYPE_CHECKING:  # they load torch
    from mmfusion.explain.scans import ScanAttribution

_PLANES = ("axial", "coronal", "sagittal")


@styled
def scan_slices(
    crop: np.ndarray,
    *,
    overlay: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    at: Sequence[int] | None = None,
    spacing: Sequence[float] | float = 1.0,
    title: str = "",
) -> Figure:
    """Axial, coronal and sagittal slice of a volume through one voxel.

    Parameters
    ----------
    crop : ndarray, shape (Z, Y, X)
        Grey values. The smallest is black and the largest is white.
    overlay : ndarray, shape (Z, Y, X), optional
        Non-negative map, such as Grad-CAM, drawn in colour.
    mask : ndarray, shape (Z, Y, X), optional
        Mask, drawn as a contour.
    at : (int, int, int), optional
        Voxel (z, y, x) that the slices go through, marked by a cross. Default: the middle, without a cross.
    spacing : float or (float, float, float)
        Voxel size in mm, (z, y, x).
    title : str
        Title of the first slice.

    Raises
    ------
    ReportError
        If `crop` is not a volume, shapes differ or the voxel lies outside.

    Examples
    --------
    >>> figure = scan_slices(np.zeros((4, 5, 6)), at=(1, 2, 3), spacing=(3, 1, 1))
    >>> [ax.images[0].get_array().shape for ax in figure.axes]
    [(5, 6), (4, 6), (4, 5)]
    """
    _check(crop, overlay, mask, at)
    figure, axes = new_figure(2.75, 1, 3)
    _three(axes, crop, overlay, mask, at, np.broadcast_to(spacing, 3))
    for ax, plane in zip(axes, _PLANES, strict=True):
        ax.set_title(f"{title}  {plane}" if ax is axes[0] and title else plane)
    return figure


@styled
def gradcam_montage(
    attribution: ScanAttribution,
    *,
    masks: np.ndarray | None = None,
    patients: Sequence[str] | None = None,
    spacing: Sequence[float] | float = 1.0,
) -> Figure:
    """Grad-CAM maps over the crops of several patients, one row per patient.

    The slices go through the middle of the mask, or through the middle of the crop if there is no mask.

    Parameters
    ----------
    attribution : ScanAttribution
        From `explain.scans.scan_gradcam`.
    masks : ndarray, shape (n, Z, Y, X), optional
        Masks of the tumours on the same crops.
    patients : sequence of str, optional
        Ids of the patients to show. Default: the first four.
    spacing : float or (float, float, float)
        Voxel size in mm, (z, y, x).

    Raises
    ------
    ReportError
        If none of the patients has a map.

    Examples
    --------
    >>> from mmfusion.explain.scans import ScanAttribution
    >>> maps = np.ones((1, 4, 4, 4), dtype=np.float32)
    >>> figure = gradcam_montage(ScanAttribution(maps, maps, ("P1",), ("II",)))
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['axial', 'coronal', 'sagittal']
    """
    wanted = list(attribution.patients[:4] if patients is None else patients)
    rows = [i for i, p in enumerate(attribution.patients) if p in wanted]
    if not rows:
        raise ReportError("none of these patients has a map", expected=", ".join(attribution.patients[:5]))
    figure, axes = new_figure(1.9 * len(rows) + 0.3, len(rows), 3, width=5.7, squeeze=False)
    for ax_row, i in zip(axes, rows, strict=True):
        mask = None if masks is None else masks[i]
        at = None if mask is None or not mask.any() else [round(v.mean()) for v in np.nonzero(mask)]
        _check(attribution.crops[i], attribution.maps[i], mask, at)
        _three(
            ax_row,
            attribution.crops[i],
            attribution.maps[i],
            mask,
            at,
            np.broadcast_to(spacing, 3),
            cross=False,
        )
        ax_row[0].set_ylabel(f"{attribution.patients[i]}\nfor {attribution.classes[i]}", fontsize=8)
    for ax, plane in zip(axes[0], _PLANES, strict=True):
        ax.set_title(plane)
    return figure


def _three(
    axes: Sequence[Axes],
    crop: np.ndarray,
    overlay: np.ndarray | None,
    mask: np.ndarray | None,
    at: Sequence[int] | None,
    spacing: np.ndarray,
    *,
    cross: bool = True,
) -> None:
    where = [n // 2 for n in crop.shape] if at is None else list(at)
    for axis, ax in enumerate(axes):
        draw_plane(ax, axis, where[axis], crop, overlay=overlay, mask=mask, spacing=spacing)
        if at is not None and cross:
            down, across = [a for a in range(3) if a != axis]
            ax.axvline(where[across], color=SKY, lw=0.6, alpha=0.8)
            ax.axhline(where[down], color=SKY, lw=0.6, alpha=0.8)


def draw_plane(
    ax: Axes,
    axis: int,
    index: int,
    crop: np.ndarray,
    *,
    overlay: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    spacing: np.ndarray,
) -> None:
    """Draw one slice of a volume, with a map in colour and a mask as a contour.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    axis, index : int
        Axis that the slice is perpendicular to (0 axial, 1 coronal, 2 sagittal), and its number.
    crop, overlay, mask
        As for `scan_slices`.
    spacing : ndarray, shape (3,)
        Voxel size in mm, (z, y, x).
    """
    down, across = [a for a in range(3) if a != axis]
    origin = "upper" if axis == 0 else "lower"  # z increases towards the head, which is drawn on top
    options = {"origin": origin, "aspect": spacing[down] / spacing[across], "interpolation": "nearest"}
    white = max(crop.max(), crop.min() + 1e-6)
    ax.imshow(crop.take(index, axis), cmap="gray", vmin=crop.min(), vmax=white, **options)
    if overlay is not None:
        peak = float(overlay.max()) if overlay.max() > 0 else 1.0
        heat = overlay.take(index, axis) / peak
        ax.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.6 * np.clip(heat, 0, 1), **options)
    if mask is not None and mask.take(index, axis).any():
        ax.contour(mask.take(index, axis), levels=[0.5], colors=SKY, linewidths=1.2)
    bare(ax)


def _check(
    crop: np.ndarray, overlay: np.ndarray | None, mask: np.ndarray | None, at: Sequence[int] | None
) -> None:
    if crop.ndim != 3:
        raise ReportError("not a volume", expected="(Z, Y, X)", got=crop.shape)
    for name, other in (("overlay", overlay), ("mask", mask)):
        if other is not None and other.shape != crop.shape:
            raise ReportError(f"the {name} does not fit the scan", expected=crop.shape, got=other.shape)
    if at is not None and not all(0 <= a < n for a, n in zip(at, crop.shape, strict=True)):
        raise ReportError("the point lies outside the scan", expected=crop.shape, got=tuple(at))
