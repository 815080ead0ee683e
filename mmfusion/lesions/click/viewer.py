"""A viewer of scans in JupyterLab (ipyniivue) that tells where the user clicked, in LPS mm."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mmfusion.errors import DataError, MMFusionError
from mmfusion.imaging import Volume
from mmfusion.imaging.affine import LPS_TO_RAS
from mmfusion.imaging.formats.nifti import nifti_bytes

PLANES = ("multiplanar", "axial", "coronal", "sagittal")
_RED, _OPACITY = "red", 0.45


def check_planes(planes: str) -> str:
    """Return the name of a layout of slices, or raise a `DataError` if it is not in `PLANES`.

    Examples
    --------
    >>> check_planes("axial")
    'axial'
    """
    if planes not in PLANES:
        raise DataError("unknown planes", parameter="planes", expected=", ".join(PLANES), got=planes)
    return planes


class Viewer:
    """Scan in an ipyniivue widget, with a mask over it.

    The widget reads scans as NIfTI and counts in RAS mm; this class takes and gives LPS mm.

    Parameters
    ----------
    scan : Volume
        The scan.
    on_move : callable
        It is called with a point (x, y, z) in LPS mm whenever the user moves the crosshair.
    window : (low, high)
        Values shown as black and white.
    planes : {"multiplanar", "axial", "coronal", "sagittal"}
        Slices that are shown.
    height : int
        Height in pixels.

    Attributes
    ----------
    widget : ipyniivue.NiiVue
        The widget.

    Raises
    ------
    DataError
        If the planes are unknown.
    MMFusionError
        If ipyniivue is not installed (the extra `view`).

    Examples
    --------
    >>> scan = Volume(np.zeros((4, 8, 8), np.int16), np.eye(4))
    >>> viewer = Viewer(scan, on_move=print, window=(-1000, 200))
    >>> viewer.show(Volume(np.ones((4, 8, 8), np.uint8), np.eye(4), unit="mask"))
    >>> len(viewer.widget.volumes)
    2
    """

    def __init__(
        self,
        scan: Volume,
        on_move: Callable[[np.ndarray], None],
        *,
        window: tuple[float, float],
        planes: str = "multiplanar",
        height: int = 420,
    ) -> None:
        check_planes(planes)
        try:
            import ipyniivue
        except ImportError as error:
            raise MMFusionError("ipyniivue is not installed", hint="pip install 'mmfusion[view]'") from error
        self._volume = ipyniivue.Volume
        self.widget = ipyniivue.NiiVue(
            height=height,
            slice_type=ipyniivue.SliceType[planes.upper()],
            multiplanar_show_render=ipyniivue.ShowRender.NEVER,
            is_radiological_convention=True,  # the patient's right is on the left of the image
            show_3d_crosshair=False,
        )
        low, high = map(float, window)
        shown = {"name": "scan.nii", "colormap": "gray", "cal_min": low, "cal_max": high}
        self._scan = self._volume(data=nifti_bytes(scan), colorbar_visible=False, **shown)
        self.widget.load_volumes([self._scan])
        self.widget.on_location_change(lambda location: on_move(point_of(location)))

    def show(self, mask: Volume | None) -> None:
        """Show a mask over the scan, in place of the mask before; None for no mask."""
        over = []
        if mask is not None:
            part = mask.crop_box(mask.bounding_box(), margin_mm=mask.spacing)  # empty voxels on every side
            shown = {
                "name": "lesion.nii",
                "colormap": _RED,
                "opacity": _OPACITY,
                "cal_min": 0.0,
                "cal_max": 1.0,
            }
            over = [self._volume(data=nifti_bytes(part), colorbar_visible=False, **shown)]
        self.widget.load_volumes([self._scan, *over])


def point_of(location: Mapping[str, object]) -> np.ndarray:
    """Return the point of a `location_change` event of ipyniivue, LPS mm, shape (3,).

    Parameters
    ----------
    location : mapping
        The data of the event; "mm" is the point in RAS mm, which may be followed by a 1.

    Examples
    --------
    >>> point_of({"mm": [-30.0, 50.0, -400.0, 1.0]}).tolist()
    [30.0, -50.0, -400.0]
    """
    return LPS_TO_RAS[:3, :3] @ np.asarray(location["mm"], dtype=np.float64)[:3]
