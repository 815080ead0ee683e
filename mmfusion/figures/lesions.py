"""Figures of segmented lesions: scans of the best, the median and the worst patient with both outlines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmfusion.errors import ReportError
from mmfusion.figures.style import bare, new_figure, styled
from mmfusion.imaging import Volume
from mmfusion.imaging.colours import ORANGE, SKY
from mmfusion.metrics.segmentation import mask_scores
from mmfusion.modalities import BY_UNIT

_PLANES = ("axial", "coronal", "sagittal")
_TRUE, _PREDICTED = SKY, ORANGE


def typical_patients(scores: pd.Series) -> dict[str, object]:
    """Return the patient with the best, the median and the worst score.

    Parameters
    ----------
    scores : Series
        A score per patient, higher is better, such as Dice. Index patient_id. Patients without a score are
        left out. Of two patients with the same score, the first is taken.

    Returns
    -------
    dict of str to patient id
        "best", "median", "worst"; fewer entries if there are fewer than three patients.

    Raises
    ------
    ReportError
        If no patient has a score.

    Examples
    --------
    >>> typical_patients(pd.Series([0.9, 0.2, 0.7, 0.8], index=list("abcd")))
    {'best': 'a', 'median': 'd', 'worst': 'b'}
    """
    order = scores.dropna().sort_values(ascending=False, kind="stable").index
    if not len(order):
        raise ReportError("no patient has a score")
    at = {"best": 0, "median": (len(order) - 1) // 2, "worst": len(order) - 1}
    chosen: dict[str, object] = {}
    for name in ("best", "worst", "median"):
        if order[at[name]] not in chosen.values():
            chosen[name] = order[at[name]]
    return {name: chosen[name] for name in at if name in chosen}


@styled
def lesion_overlays(
    cases: Mapping[str, tuple[Volume, Volume | None, Volume]], *, margin_mm: float = 25.0
) -> Figure:
    """Draw the true and the predicted outline of lesions over the scans, one row per patient.

    The axial, the coronal and the sagittal slice go through the voxel of the two masks around which they have
    the largest area. The Dice of the whole volume is in the title of the row.

    Parameters
    ----------
    cases : mapping of str to (scan, true mask, predicted mask)
        Name of the row, such as "worst: R01-012", -> Volumes. The masks are brought to the grid of the scan.
        The true mask is None if there is none; the title then has the predicted volume in mL.
    margin_mm : float
        Space that is shown around both masks, mm.

    Raises
    ------
    ReportError
        If there are no cases.

    Examples
    --------
    >>> scan = Volume(np.zeros((6, 20, 20), np.int16), np.diag([1.0, 1.0, 3.0, 1.0]))
    >>> mask = Volume(np.zeros((6, 20, 20), np.uint8), scan.affine, unit="mask")
    >>> mask.array[2:4, 5:12, 5:12] = 1
    >>> figure = lesion_overlays({"best: P1": (scan, mask, mask)})
    >>> figure.axes[0].get_title(loc="left").splitlines()
    ['best: P1', 'Dice 1.00']
    """
    if not cases:
        raise ReportError("no lesion to show", expected="one case or more")
    figure, axes = new_figure(2.5 * len(cases) + 0.35, len(cases), 3, squeeze=False)
    for row, (name, case) in zip(axes, cases.items(), strict=True):
        scan = case[0].to_lps()
        predicted = case[2].like(scan).array > 0
        true = np.zeros_like(predicted) if case[1] is None else case[1].like(scan).array > 0
        _three(row, scan, true, predicted, margin_mm)
        row[0].set_title(f"{name}\n{_result(case, scan, true, predicted)}")
    for ax, plane in zip(axes[-1], _PLANES, strict=True):
        ax.set_xlabel(plane)
    lines = [Line2D([], [], color=c, lw=w) for c, w in ((_TRUE, 2.2), (_PREDICTED, 1.1))]
    figure.legend(lines, ["true outline", "predicted outline"], loc="outside lower center", ncols=2)
    return figure


def _result(case: tuple, scan: Volume, true: np.ndarray, predicted: np.ndarray) -> str:
    """Return the Dice, or the predicted volume if there is no true mask."""
    if case[1] is None:
        return f"{case[2].volume_ml():.1f} mL, no true mask"
    return f"Dice {mask_scores(true, predicted, scan.spacing, distances=False)['dice']:.2f}"


def _three(row: np.ndarray, scan: Volume, true: np.ndarray, predicted: np.ndarray, margin_mm: float) -> None:
    """Draw the three slices of one patient."""
    either = true | predicted
    at = [_widest(either, axis) for axis in range(3)]
    box = _around(either, np.array(scan.spacing), margin_mm)
    low, high = BY_UNIT[scan.unit].shown
    for axis, ax in enumerate(row):
        down, across = [a for a in range(3) if a != axis]
        options = {
            "origin": "upper" if axis == 0 else "lower",  # z increases towards the head, which is on top
            "aspect": scan.spacing[down] / scan.spacing[across],
        }
        window = (box[down], box[across])
        cmap = "gray" if scan.unit == "HU" else "gray_r"  # uptake is dark, as is usual
        image = scan.array.take(at[axis], axis)[window]
        ax.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest", **options)
        for mask, colour, width in ((true, _TRUE, 2.2), (predicted, _PREDICTED, 1.1)):
            _outline(ax, mask.take(at[axis], axis)[window], colour, width)
        bare(ax)


def _outline(ax: Axes, mask: np.ndarray, colour: str, width: float) -> None:
    """Draw the outline of a mask, closed at the edge of the picture."""
    if mask.any():
        rows, columns = (np.arange(-1, n + 1) for n in mask.shape)
        limits = ax.get_xlim(), ax.get_ylim()
        edge = np.pad(mask, 1).astype(float)
        ax.contour(columns, rows, edge, levels=[0.5], colors=colour, linewidths=width)
        ax.set(xlim=limits[0], ylim=limits[1])


def _widest(mask: np.ndarray, axis: int) -> int:
    """Return the slice along an axis with the largest area of a mask, or the middle if it is empty."""
    area = mask.sum(axis=tuple(a for a in range(3) if a != axis))
    return int(area.argmax()) if area.any() else mask.shape[axis] // 2


def _around(mask: np.ndarray, spacing: np.ndarray, margin_mm: float) -> list[slice]:
    """Return a box around a mask, at least 60 mm wide if the scan is, or the whole scan if it is empty."""
    if not mask.any():
        return [slice(0, n) for n in mask.shape]
    inside = np.argwhere(mask)
    middle = (inside.min(axis=0) + inside.max(axis=0) + 1) / 2
    half_mm = max(float(((inside.max(axis=0) + 1 - middle) * spacing).max()) + margin_mm, 30.0)
    low = np.maximum(np.floor(middle - half_mm / spacing).astype(int), 0)
    high = np.minimum(np.ceil(middle + half_mm / spacing).astype(int), mask.shape)
    return [slice(int(a), int(b)) for a, b in zip(low, high, strict=True)]
