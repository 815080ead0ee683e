"""Slider: scroll through a scan in JupyterLab; an exported notebook shows a montage as well."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mmfusion.imaging.views.montage import montage, slices
from mmfusion.imaging.views.planes import PLANES, check_plane
from mmfusion.imaging.views.scene import WINDOWS, Scene, window_of
from mmfusion.imaging.views.settings import drawn_with
from mmfusion.imaging.views.view import View, png_of
from mmfusion.imaging.volume import Volume

_WIDTH, _DPI = 5.0, 110  # inches, pixels per inch
STILL = "mmfusion_still"  # mark of an output that repeats the picture of the output above it


def slider(
    volume: Volume,
    mask: Volume | Mapping[str, Volume] | None = None,
    point: Sequence[float] | None = None,
    *,
    plane: str = "axial",
    **options: object,
) -> SliceSlider:
    """Return a slice with a slider; use it as the last expression of a notebook cell.

    In JupyterLab the slider can be moved. An exported notebook (HTML, PDF, report) shows a montage of the
    same scan.

    Parameters
    ----------
    volume, mask, point, plane
        As in `montage`.
    **options
        `overlay` and `window` as in `montage`, and `n`, `zoom_mm`, `columns` and `title` for the montage.

    Raises
    ------
    ScanError
        For the same reasons as `montage`.

    Examples
    --------
    >>> import numpy as np
    >>> slider(Volume(np.zeros((4, 8, 8), dtype=np.int16), np.eye(4)), window="lung").plane
    'axial'
    """
    return SliceSlider(volume, mask, point, plane=plane, **options)


class SliceSlider:
    """Result of `slider`: an interactive `widget` and a static montage, `still`.

    Attributes
    ----------
    scene : Scene
        Scan, masks, overlay and point.
    plane : str
        The plane that is shown first.

    Examples
    --------
    >>> import numpy as np
    >>> from mmfusion.imaging.volume import Volume
    >>> volume = Volume(np.zeros((4, 8, 8), np.int16), np.eye(4))
    >>> SliceSlider(volume, plane="coronal", window="lung").plane
    'coronal'
    """

    def __init__(
        self, volume, mask=None, point=None, *, plane="axial", overlay=None, window=None, **still
    ) -> None:
        self.plane = check_plane(plane)
        self.scene = Scene.of(volume, mask, point, overlay, window)
        self._still = {"window": self.scene.window, "plane": plane, **still}
        self._widget = None

    @property
    def still(self) -> View:
        """Montage of the scene."""
        scene = self.scene
        return montage(scene.volume, scene.masks, scene.point, overlay=scene.overlay, **self._still)

    @property
    def widget(self) -> object:
        """The ipywidget: choice of plane and window, slider and image. It is built on first use."""
        if self._widget is None:
            self._widget = self._build()
        return self._widget

    @drawn_with({"figure.facecolor": "white", "image.interpolation_stage": "data"})
    def picture(self, k: int, plane: str, window: str | tuple[float, float] | None = None) -> bytes:
        """Return slice `k` of a plane as bytes of a PNG file.

        Parameters
        ----------
        k : int
            Index of the slice.
        plane : {"axial", "coronal", "sagittal"}
            Plane of the slice.
        window : str or (low, high), optional
            See `montage`. Default: the window of the scene.
        """
        left, right, low, high = self.scene.extent(plane)
        figure = View(figsize=(_WIDTH, _WIDTH * abs((high - low) / (right - left))))
        window = self.scene.window if window is None else window_of(self.scene.volume, window)
        replace(self.scene, window=window).draw(figure.add_axes((0, 0, 1, 1)), k, plane, scale=True)
        return png_of(figure, _DPI)

    def _build(self) -> object:
        import ipywidgets as widgets

        planes = widgets.ToggleButtons(options=list(PLANES), value=self.plane, style={"button_width": "80px"})
        names = [*WINDOWS] if self.scene.volume.unit == "HU" else []
        given = next((name for name in names if WINDOWS[name] == self.scene.window), None)
        offered = [*(() if given else [("as given", None)]), *names]
        windows = widgets.Dropdown(options=offered, value=given, layout={"width": "130px"})
        at = widgets.IntSlider(
            description="slice", continuous_update=True, layout={"width": f"{_WIDTH * _DPI:.0f}px"}
        )
        image = widgets.Image(format="png")

        def turn(_: object = None) -> None:
            count = self.scene.volume.shape[PLANES[planes.value].axis]
            chosen = slices(self.scene, planes.value, 3)
            with at.hold_trait_notifications():
                at.min, at.max, at.value = 0, count - 1, chosen[len(chosen) // 2]
            show()

        def show(_: object = None) -> None:
            image.value = self.picture(at.value, planes.value, windows.value)

        turn()
        planes.observe(turn, "value")
        at.observe(show, "value")
        windows.observe(show, "value")
        return widgets.VBox([widgets.HBox([planes, windows]), at, image])

    def _ipython_display_(self) -> None:
        """Show the slider, and the montage below it for exported notebooks, where nothing moves it."""
        from IPython.display import publish_display_data

        bundle = self._repr_mimebundle_()
        publish_display_data(bundle)
        picture = f'<img alt="montage" src="data:image/png;base64,{bundle["image/png"]}">'
        still = f"<details><summary>still picture</summary>{picture}</details>"
        publish_display_data({"text/html": still, "text/plain": "still picture"}, {STILL: True})

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Return the widget for JupyterLab, and the montage as a PNG image for exported notebooks."""
        bundle = dict(self.widget._repr_mimebundle_() or {})
        bundle["text/plain"] = f"SliceSlider({self.scene.volume!r})"
        bundle["image/png"] = base64.b64encode(png_of(self.still, 144)).decode("ascii")
        return bundle
