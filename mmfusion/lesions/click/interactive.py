"""Click on a lesion in JupyterLab and see its mask: `click_lesion`."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from mmfusion.display import html_card, html_facts
from mmfusion.errors import MMFusionError, gathered
from mmfusion.imaging import Volume
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.views.scene import window_of
from mmfusion.imaging.views.through import three_planes
from mmfusion.imaging.views.view import View, png_of
from mmfusion.lesions.click.prompt import Point
from mmfusion.lesions.click.result import LesionMask
from mmfusion.lesions.click.segment import checked, open_ct, segment_lesion
from mmfusion.lesions.click.viewer import Viewer, check_planes

_LEAST_MM, _AROUND = 80.0, 2.0  # side of the picture of a lesion: at least, and in diameters of the lesion
_START = "Click on a lesion, then press the button. The mouse wheel turns the slices."


def click_lesion(
    scan: Volume | str | Path,
    *,
    method: str = "auto",
    margin: str = "tight",
    series: SeriesRules = None,
    weights: str | Path | None = None,
    check: bool = True,
    planes: str = "multiplanar",
    window: str | tuple[float, float] = "lung",
    height: int = 420,
) -> LesionClick:
    """Show a CT in JupyterLab, and segment the lesion on which the user clicks.

    Use it as the last expression of a notebook cell. A click moves the crosshair, and the button "Segment
    here" segments the lesion under it. The mask is drawn over the scan. Its volume, its longest diameter and
    its warnings are below. A picture under the viewer shows the mask in three slices. An exported notebook
    keeps this picture. It needs the extra `view` (`pip install 'mmfusion[view]'`).

    The viewer holds the whole scan. A notebook that is saved together with the state of its widgets, as
    papermill and `jupyter nbconvert --execute` do, therefore holds the scan too.

    Parameters
    ----------
    scan, method, margin, series, weights, check
        As for `segment_lesion`.
    planes : {"multiplanar", "axial", "coronal", "sagittal"}
        Slices that are shown; "multiplanar" shows all three.
    window : {"lung", "mediastinum", "bone"} or (low, high)
        HU shown as black and white.
    height : int
        Height of the viewer, pixels.

    Returns
    -------
    LesionClick
        Its attribute `lesion` is the `LesionMask` of the last click.

    Raises
    ------
    ScanError, DataError, WeightsUnavailable
        As `segment_lesion`; also if the planes or the window are unknown.
    MMFusionError
        If ipyniivue is not installed.

    Examples
    --------
    >>> hu = np.full((40, 60, 60), -850, np.int16)
    >>> hu[sum((a - c) ** 2 for a, c in zip(np.ogrid[:40, :60, :60], (20.0, 30.0, 25.0))) <= 8.0**2] = 40
    >>> click = click_lesion(Volume(hu, np.eye(4)))
    >>> click.segment((25, 30, 20))  # what the button does; in JupyterLab the point comes from the click
    >>> abs(click.lesion.longest_mm - 16) < 2
    True
    """
    checked(method, margin, weights, check=check)
    check_planes(planes)
    volume = open_ct(scan, series)
    options = {"method": method, "margin": margin, "weights": weights, "check": check}
    return LesionClick(volume, options, planes=planes, window=window_of(volume, window), height=height)


class LesionClick:
    """Result of `click_lesion`: a viewer that segments the lesion on which the user clicks.

    Attributes
    ----------
    scan : Volume
        The CT.
    point : ndarray, shape (3,)
        Where the crosshair is (x, y, z), LPS mm. It begins in the middle of the scan.
    lesion : LesionMask or None
        The lesion of the last click. None before the first click, or if there was no lesion at the last one.
    message : str
        Why there is no lesion; empty if there is one.
    widget : ipywidgets.VBox
        Viewer, button and result.

    Examples
    --------
    >>> air = Volume(np.full((9, 9, 9), -1000, np.int16), np.eye(4))
    >>> click = LesionClick(air, {}, planes="axial", window=(-1000, 200), height=300)
    >>> click.segment()
    >>> click.lesion is None, click.message
    (True, 'No mask: no lesion at this point (expected tissue; got air, -1000 HU) -> ...')
    """

    def __init__(
        self,
        scan: Volume,
        options: dict[str, object],
        *,
        planes: str,
        window: tuple[float, float],
        height: int,
    ) -> None:
        self.scan, self.point = scan, scan.center_mm
        self.lesion: LesionMask | None = None
        self.message = _START
        self._options, self._window, self._shown = options, window, None
        self._viewer = Viewer(scan, self._move, window=window, planes=planes, height=height)
        self._build()

    def segment(self, point: Point | None = None) -> None:
        """Segment the lesion at a point and show it, as the button does.

        If there is no lesion at the point, `lesion` is None, and the reason is shown.

        Parameters
        ----------
        point : (x, y, z), optional
            A point in the lesion, LPS mm. Default: where the crosshair is.
        """
        self._button.disabled, self._button.description = True, "Segmenting..."
        try:
            with gathered() as given:
                seed = self.point if point is None else point
                self.lesion, self.message = segment_lesion(self.scan, seed, **self._options), ""
            self.point = self.lesion.seed
        except MMFusionError as error:
            self.lesion, self.message = None, f"No mask: {error}"
        finally:
            self._button.disabled, self._button.description = False, "Segment here"
        self._viewer.show(None if self.lesion is None else self.lesion.mask)
        self._told.value = self._result([str(one) for one in given])
        if self._shown is not None:
            self._shown.update(self._picture(), raw=True)

    @property
    def still(self) -> View:
        """Three slices through the point, with the outline of the lesion."""
        point = self.point if self.scan.contains(self.point) else self.scan.center_mm
        if self.lesion is None:
            return three_planes(self.scan, point, window=self._window)
        low, high = self.lesion.mask.bounding_box_mm()
        zoom = max(_LEAST_MM, _AROUND * float((high - low).max()))
        title = f"{self.lesion.volume_ml:.3g} mL, longest diameter {self.lesion.longest_mm:.1f} mm"
        mask = self.lesion.mask
        return three_planes(self.scan, point, mask, window=self._window, zoom_mm=zoom, title=title)

    def _build(self) -> None:
        import ipywidgets

        self._button = ipywidgets.Button(description="Segment here", button_style="primary")
        self._button.on_click(lambda _: self.segment())
        self._where, self._told = ipywidgets.HTML(), ipywidgets.HTML(self._result())
        line = ipywidgets.HBox([self._button, self._where])
        self.widget = ipywidgets.VBox([self._viewer.widget, line, self._told])

    def _move(self, point: np.ndarray) -> None:
        """Keep the point to which the user moved the crosshair, and show it."""
        self.point = point
        text = "({:.1f}, {:.1f}, {:.1f}) mm, LPS".format(*point)
        if self.scan.contains(point):
            x, y, z = np.rint(self.scan.mm_to_voxel(point)).astype(int)
            text += f": {self.scan.array[z, y, x]:.0f} HU"
        else:
            text += ": outside the scan"
        self._where.value = text

    def _result(self, given: list[str] | None = None) -> str:
        """Return what is shown below the viewer, as HTML."""
        if self.lesion is None:
            return html_card(self.message)
        facts = {
            "volume, mL": f"{self.lesion.volume_ml:.3g}",
            "longest diameter, mm": f"{self.lesion.longest_mm:.1f}",
            "perpendicular diameter, mm": f"{self.lesion.perpendicular_mm:.1f}",
            "method": f"{self.lesion.method}, {self.lesion.margin}",
        }
        warnings = [f"Warning: {text}" for text in (*self.lesion.warnings, *(given or ()))]
        return html_card("Lesion", html_facts(facts), notes=warnings or ["No warnings. Look at the mask."])

    def _picture(self) -> dict[str, str]:
        picture = base64.b64encode(png_of(self.still, 144)).decode("ascii")
        return {"image/png": picture, "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        """Show the viewer, and below it the picture that an exported notebook keeps."""
        from IPython.display import display

        viewer = {**(self.widget._repr_mimebundle_() or {}), "text/plain": repr(self)}
        display(viewer, raw=True)
        self._shown = display(self._picture(), raw=True, display_id=True)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Return the widget for JupyterLab, and the picture for programs that cannot show it."""
        return {**(self.widget._repr_mimebundle_() or {}), **self._picture()}

    def __repr__(self) -> str:
        return (
            f"LesionClick({self.lesion!r})" if self.lesion else f"LesionClick({self.scan!r}, no lesion yet)"
        )
