"""Figure that compares restorers: slices before and after, their difference, and measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmfusion.errors import ReportError
from mmfusion.figures.style import GREY, INK, SKY, bare, new_figure, styled
from mmfusion.imaging.hu import CT_WINDOW

if TYPE_CHECKING:
    from mmfusion.quality import RestorerComparison

_CAUTION = (
    "SSIM and PSNR to the input measure how much was changed, not how good the result is: an unchanged scan "
    "scores best.\nIf the difference shows anatomy, the restorer has altered anatomy."
)


@styled
def restoration_panel(
    comparison: RestorerComparison,
    *,
    window: tuple[float, float] = CT_WINDOW,
    delta_hu: float = 100.0,
    zoom_mm: float | None = None,
) -> Figure:
    """Slice before and after, difference and measurements, one row per restorer.

    Parameters
    ----------
    comparison : RestorerComparison
        From `quality.compare_restorers`.
    window : (float, float)
        HU shown as black and as white.
    delta_hu : float
        Largest absolute difference in HU on the colour scale.
    zoom_mm : float, optional
        Show a square of this size (mm) around the lesion, or around the middle of the slice if there is no
        lesion. Default: the whole slice.

    Raises
    ------
    ReportError
        If no restorer was run.

    Examples
    --------
    >>> from mmfusion.quality import RestorerComparison
    >>> table = pd.DataFrame({"ssim": [1.0, 0.9]}, index=["input", "nlm"])
    >>> images = {"input": np.zeros((8, 8), np.float32), "nlm": np.ones((8, 8), np.float32)}
    >>> deltas = {"nlm": np.ones((8, 8), np.float32)}
    >>> figure = restoration_panel(RestorerComparison(table, images, deltas, None, (1.0, 1.0), 0))
    >>> [ax.get_title(loc="left") for ax in figure.axes[:4]]
    ['before', 'after', 'difference', 'measured']
    """
    names = list(comparison.deltas)
    if not names:
        raise ReportError("no restorer to show")
    view = _view(comparison, zoom_mm)
    aspect = comparison.spacing[0] / comparison.spacing[1]
    figure, axes = new_figure(1.75 * len(names) + 0.85, len(names), 4, squeeze=False)
    gray = {
        "cmap": "gray",
        "vmin": window[0],
        "vmax": window[1],
        "aspect": aspect,
        "interpolation": "nearest",
    }
    for name, row in zip(names, axes, strict=True):
        row[0].imshow(comparison.images["input"][view], **gray)
        row[1].imshow(comparison.images[name][view], **gray)
        colours = {**gray, "cmap": "RdBu_r", "vmin": -delta_hu, "vmax": delta_hu}
        shown = row[2].imshow(comparison.deltas[name][view], **colours)
        for ax in row[:3]:
            if comparison.contour is not None and comparison.contour[view].any():
                ax.contour(comparison.contour[view], levels=[0.5], colors=SKY, linewidths=0.9)
            bare(ax)
        bare(row[3])
        row[0].set_ylabel(name, fontsize=9, fontweight="bold")
        row[3].text(
            0, 0.98, _measured(comparison.table.loc[name]), va="top", fontsize=7.6, color=INK, linespacing=1.5
        )
    for ax, title in zip(axes[0], ("before", "after", "difference", "measured"), strict=True):
        ax.set_title(title)
    bar = figure.colorbar(shown, ax=axes[:, 2], location="bottom", shrink=0.85, pad=0.01, aspect=18)
    bar.set_label("HU added", fontsize=8)
    bar.outline.set_visible(False)
    figure.supxlabel(_CAUTION, fontsize=7.6, color=GREY, x=0.01, ha="left")
    return figure


def _view(comparison: RestorerComparison, zoom_mm: float | None) -> tuple[slice, slice]:
    shape = comparison.images["input"].shape
    if zoom_mm is None:
        return slice(None), slice(None)
    marked = comparison.contour is not None and comparison.contour.any()
    middle = [i.mean() for i in np.nonzero(comparison.contour)] if marked else [n / 2 for n in shape]
    half = [zoom_mm / 2 / s for s in comparison.spacing]
    return tuple(
        slice(max(0, round(m - h)), max(1, min(n, round(m + h))))
        for m, h, n in zip(middle, half, shape, strict=True)
    )


def _measured(row: pd.Series) -> str:
    texts = {
        "ssim": "SSIM to input {:.3f}",
        "psnr_db": "PSNR to input {:.1f} dB",
        "ssim_reference": "SSIM to reference {:.3f}",
        "psnr_reference_db": "PSNR to reference {:.1f} dB",
        "contrast_hu": "lesion contrast {:.0f} HU",
        "cnr": "contrast / SD {:.2f}",
        "noise_tissue_hu": "noise in tissue {:.1f} HU",
        "noise_air_hu": "noise in air {:.1f} HU",
        "mean_abs_delta_hu": "mean |difference| {:.1f} HU",
        "shift": "prediction shifts {:.3f}",
        "seconds": "{:.1f} s",
    }
    return "\n".join(text.format(row[k]) for k, text in texts.items() if k in row and not pd.isna(row[k]))
