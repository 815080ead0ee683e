"""Draw one slice in radiological convention: the patient's right is on the left of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from mmfusion.errors import ScanError
from mmfusion.imaging.colours import GREEN, ORANGE, PURPLE, RED, SKY, YELLOW
from mmfusion.imaging.views.planes import PLANES
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import BY_UNIT, MODALITIES

WINDOWS = {"lung": MODALITIES["ct"].shown, "mediastinum": (-160.0, 240.0), "bone": (-450.0, 1050.0)}  # HU
COLOURS = (ORANGE, SKY, GREEN, PURPLE, RED, YELLOW)  # colours of outlines
_CMAP = {"HU": "gray", "SUVbw": "gray_r", "mask": "gray"}
_NICE_MM = (2, 5, 10, 20, 50, 100, 200)  # possible lengths of the scale bar


@dataclass(frozen=True, eq=False)
class Scene:
    """Scan, masks, overlay and point on one grid in LPS orientation, ready to draw.

    Attributes
    ----------
    volume : Volume
        The scan.
    masks : mapping of str to Volume
        Name -> mask that is drawn as outline.
    overlay : Volume, optional
        Volume that is drawn in colour over the scan.
    point : ndarray, shape (3,), optional
        Point (x, y, z) in LPS mm that is marked.
    window : (low, high)
        Values of the scan shown as black and white.
    heat : (low, high)
        Values of the overlay shown as lowest and highest colour.

    Examples
    --------
    >>> ct = Volume(np.zeros((4, 8, 8), np.float32), np.eye(4), unit="HU")
    >>> Scene(ct, window=WINDOWS["lung"]).volume.shape
    (4, 8, 8)
    """

    volume: Volume
    masks: Mapping[str, Volume] = field(default_factory=dict)
    overlay: Volume | None = None
    point: np.ndarray | None = None
    window: tuple[float, float] = (0.0, 1.0)
    heat: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(
        cls,
        volume: Volume,
        mask: Volume | Mapping[str, Volume] | None = None,
        point: Sequence[float] | None = None,
        overlay: Volume | None = None,
        window: str | tuple[float, float] | None = None,
    ) -> Scene:
        """Return a scene with all parts resampled to the grid of the volume.

        Parameters are those of `mmfusion.imaging.views.montage.montage`.

        Raises
        ------
        ScanError
            If `mask` is not a mask, the window is unknown, or the point lies outside the scan.
        """
        base = volume.to_lps()
        masks = {"": mask} if isinstance(mask, Volume) else dict(mask or {})
        for name, one in masks.items():
            one.expect("mask", name or None)
        point = None if point is None else base.expect_inside(point)
        masks = {name: _alike(one, base) for name, one in masks.items()}
        overlay = None if overlay is None else _alike(overlay, base)
        heat = (0.0, 1.0) if overlay is None else window_of(overlay, None)
        return cls(base, masks, overlay, point, window_of(base, window), heat)

    def extent(self, plane: str) -> tuple[float, float, float, float]:
        """Return the left, right, lower and upper end of a slice, mm."""
        corner = self.volume.voxel_to_mm((-0.5, -0.5, -0.5))
        size = np.array(self.volume.shape[::-1]) * self.volume.spacing[::-1]
        across, down = ((0, 1), (0, 2), (1, 2))[PLANES[plane].axis]
        left, right = corner[across], corner[across] + size[across]
        low, high = corner[down], corner[down] + size[down]
        return (left, right, low, high) if PLANES[plane].rises else (left, right, high, low)

    def slice_of(self, point: Sequence[float], plane: str) -> int:
        """Return the index of the slice that contains a point (x, y, z) in LPS mm."""
        axis = PLANES[plane].axis
        return int(np.clip(np.rint(self.volume.mm_to_voxel(point)[2 - axis]), 0, self.volume.shape[axis] - 1))

    def position(self, k: int, plane: str) -> float:
        """Return the coordinate of slice `k` along the normal of the plane, LPS mm."""
        axis = PLANES[plane].axis
        voxel = (np.array(self.volume.shape[::-1]) - 1) / 2
        voxel[2 - axis] = k
        return float(self.volume.voxel_to_mm(voxel)[2 - axis])

    def draw(
        self,
        ax: Axes,
        k: int,
        plane: str = "axial",
        *,
        box: Sequence[float] | None = None,
        scale: bool = False,
    ) -> None:
        """Draw a slice.

        Parameters
        ----------
        ax : Axes
            Axes to draw in.
        k : int
            Index of the slice.
        plane : {"axial", "coronal", "sagittal"}
            Plane of the slice.
        box : (left, right, lower, upper), optional
            Part of the slice to show, mm. Default: the whole slice.
        scale : bool
            True to add a scale bar.
        """
        how = PLANES[plane]
        options = {
            "extent": self.extent(plane),
            "origin": "lower" if how.rises else "upper",
            "aspect": "equal",
        }
        vmin, vmax = self.window
        shown = self.volume.array.take(k, how.axis)
        ax.imshow(
            shown, cmap=_CMAP[self.volume.unit], vmin=vmin, vmax=vmax, interpolation="antialiased", **options
        )
        if self.overlay is not None:
            heat = Normalize(*self.heat, clip=True)(
                self.overlay.array.take(k, how.axis).astype(np.float32)
            ).data
            colour = colormaps["inferno"](0.15 + 0.85 * heat)
            colour[..., 3] = np.clip(2.5 * (heat - 0.1), 0, 0.75)
            ax.imshow(colour, interpolation="antialiased", **options)
        for (_, mask), tint in zip(self.masks.items(), COLOURS * len(self.masks)):
            part = mask.array.take(k, how.axis)
            if part.any():
                self._outline(ax, part, plane, tint)
        if self.point is not None and self.slice_of(self.point, plane) == k:
            across, down = np.delete(self.point, 2 - how.axis)
            halo = [withStroke(linewidth=2.2, foreground="black")]
            ax.plot(across, down, marker="+", ms=9, mew=1.1, color=YELLOW, path_effects=halo)
        left, right, low, high = box or self.extent(plane)
        ax.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[])
        ax.set_facecolor("white" if self.volume.unit == "SUVbw" else "black")
        ax.spines[:].set_visible(False)
        for (x, y, ha, va), letter in zip(_PLACES, how.letters):
            self._text(ax, x, y, letter, ha=ha, va=va, alpha=0.8)
        where = f"{how.name} {self.position(k, plane):.0f} mm".replace("-", "−")
        self._text(ax, 0.03, 0.03, where, ha="left", va="bottom")
        if scale:
            self._scale_bar(ax)

    def _ink(self) -> tuple[str, str]:
        """Return the colour of letters and the colour of their halo."""
        return ("black", "white") if self.volume.unit == "SUVbw" else ("white", "black")

    def _text(self, ax: Axes, x: float, y: float, text: str, **options: object) -> None:
        ink, halo = self._ink()
        style = {"color": ink, "fontsize": 6.5, "path_effects": [withStroke(linewidth=1.4, foreground=halo)]}
        ax.text(x, y, text, transform=ax.transAxes, **style, **options)

    def _scale_bar(self, ax: Axes) -> None:
        """Add a scale bar at the lower right."""
        left, right = ax.get_xlim()
        length = max((mm for mm in _NICE_MM if mm <= 0.4 * (right - left)), default=_NICE_MM[0])
        ink, halo = self._ink()
        share = length / (right - left)
        bar = Rectangle((0.96 - share, 0.045), share, 0.008, transform=ax.transAxes, color=ink, zorder=5)
        bar.set_path_effects([withStroke(linewidth=1.4, foreground=halo)])
        ax.add_patch(bar)
        label = f"{length // 10} cm" if length >= 10 else f"{length} mm"
        self._text(ax, 0.96 - share / 2, 0.06, label, ha="center", va="bottom")

    def _outline(self, ax: Axes, part: np.ndarray, plane: str, tint: str) -> None:
        left, right, low, high = self.extent(plane)
        padded = np.pad(part, 1).astype(np.float32)
        rows, columns = part.shape
        start, end = (low, high) if PLANES[plane].rises else (high, low)
        x = left + (np.arange(-1, columns + 1) + 0.5) * (right - left) / columns
        y = start + (np.arange(-1, rows + 1) + 0.5) * (end - start) / rows
        ax.contour(x, y, padded, levels=[0.5], colors=[tint], linewidths=1.1)


_PLACES = (  # x, y, alignment: positions of the letters at the left, right, upper and lower edge
    (0.02, 0.5, "left", "center"),
    (0.98, 0.5, "right", "center"),
    (0.5, 0.985, "center", "top"),
    (0.5, 0.015, "center", "bottom"),
)


def window_of(volume: Volume, window: str | tuple[float, float] | None) -> tuple[float, float]:
    """Return the values that are shown as black and white.

    Parameters
    ----------
    volume : Volume
        The scan; its unit gives the default window.
    window : str, (low, high) or None
        A name of `WINDOWS` (HU only), two numbers, or None for the default of the unit.

    Raises
    ------
    ScanError
        If the window is unknown, does not fit the unit, or is empty.

    Examples
    --------
    >>> window_of(Volume(np.zeros((1, 1, 1), dtype=np.int16), np.eye(4)), "bone")
    (-450.0, 1050.0)
    """
    if isinstance(window, str):
        if window not in WINDOWS or volume.unit != "HU":
            expected = f"{', '.join(WINDOWS)} (of HU), or (low, high)"
            raise ScanError(
                "unknown window", parameter="window", expected=expected, got=f"{window} of {volume.unit}"
            )
        return WINDOWS[window]
    if window is None:
        return BY_UNIT[volume.unit].shown if volume.unit in BY_UNIT else (0.0, 1.0)
    low, high = (float(v) for v in window)
    if not low < high:
        raise ScanError("an empty window", parameter="window", expected="(low, high)", got=window)
    return low, high


def _alike(volume: Volume, base: Volume) -> Volume:
    turned = volume.to_lps()
    same = turned.shape == base.shape and np.allclose(turned.affine, base.affine, atol=1e-4)
    return turned if same else volume.like(base)
