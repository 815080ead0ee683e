"""What every restorer keeps: the grid, the unit, padding, and values within the range of the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmfusion.errors import MMFusionError, ScanError
from mmfusion.imaging.volume import Volume
from mmfusion.registry import RESTORERS

PADDING_HU = -1024  # and below: outside the scanner's circle
AIR_HU = -1000.0


class Restorer:
    """Base of the restorers: calling one with a volume gives the restored volume.

    A subclass writes `_restore(hu, spacing, known)`, which gets finite float32 HU of shape (z, y, x) in which padding
    is air, and what is not padding, and returns the same shape; slices are planes of the first axis. Its options are
    keyword arguments of `__init__`, kept under their names.
    """

    registered_name: str

    def __call__(self, volume: Volume) -> Volume:
        """Restore a volume.

        Parameters
        ----------
        volume : Volume
            In HU; it is not changed.

        Returns
        -------
        Volume
            float32 HU on the same grid, within the range of the input; padding (-1024 HU and below) as it was.

        Raises
        ------
        ScanError
            If the volume is not in HU, or a voxel is not a number.
        """
        if volume.unit != "HU":
            raise ScanError("only CT can be restored", expected="a volume in HU", got=volume.unit)
        source = volume.array.astype(np.float32)
        if not np.isfinite(source).all():
            raise ScanError("values that are not numbers", got=f"{(~np.isfinite(source)).sum()} voxels")
        known = source > PADDING_HU
        out = source.copy()
        if known.any() and np.ptp(source[known]) > 0:
            restored = self._restore(np.where(known, source, np.float32(AIR_HU)), volume.spacing, known)
            out[known] = np.clip(restored[known], source[known].min(), source[known].max())
        return replace(volume, array=out)

    def _restore(self, hu: np.ndarray, spacing: tuple[float, float, float], known: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def key(self) -> dict[str, object]:
        """All that the result depends on, beside the volume (JSON-able): for caches, and to tell a change."""
        return {"name": self.registered_name, **vars(self)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def make_restorer(what: str | Mapping[str, object] | Restorer) -> Restorer:
    """A restorer from its name, or from a mapping of "name" and options.

    Raises
    ------
    MMFusionError
        If there is no such restorer, or it has no such option, or an option is out of range.
    """
    if isinstance(what, Restorer):
        return what
    options = {"name": what} if isinstance(what, str) else dict(what)
    cls = RESTORERS.get(str(options.pop("name", None)))
    try:
        return cls(**options)
    except TypeError as error:
        raise MMFusionError(f"restorer {cls.registered_name!r} has no such option", got=error) from error


def restore(volume: Volume, restorer: str | Mapping[str, object] | Restorer = "identity", **options: object) -> Volume:
    """The volume restored by `restorer` (`mmfusion.list_restorers()`), float32 HU on the same grid.

    Parameters
    ----------
    volume : Volume
        In HU.
    restorer : str, mapping or Restorer
        A name, with `options`; or a mapping of "name" and options.

    Raises
    ------
    MMFusionError
        If there is no such restorer or option.
    ScanError
        If the volume is not in HU, or a voxel is not a number.
    """
    named = {"name": restorer} if isinstance(restorer, str) else restorer
    return make_restorer({**named, **options} if options else named)(volume)


def around(volume: Volume, center_mm: Sequence[float], size_mm: float | Sequence[float]) -> Volume:
    """The voxels within a box along LPS axes round a point, as they are: nothing is resampled.

    Parameters
    ----------
    center_mm : (x, y, z)
        LPS mm, in the field of view.
    size_mm : float or (z, y, x)
        Extent; what of it lies beyond the field of view is left out.

    Raises
    ------
    ScanError
        If the point lies outside the field of view.
    """
    if not volume.contains(center_mm):
        raise ScanError("a point outside the scan", got=list(center_mm))
    half = np.broadcast_to(np.asarray(size_mm, dtype=np.float64), 3)[::-1] / 2
    corners = np.array(np.meshgrid(*[(-h, h) for h in half])).reshape(3, -1).T + np.asarray(center_mm)
    voxels = volume.mm_to_voxel(corners)
    low = np.clip(np.floor(voxels.min(axis=0)).astype(int), 0, None)
    high = np.minimum(np.ceil(voxels.max(axis=0)).astype(int) + 1, volume.shape[::-1])
    affine = volume.affine.copy()
    affine[:3, 3] = volume.voxel_to_mm(low)
    box = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1]))
    return replace(volume, array=volume.array[box], affine=affine)


def difference(before: Volume, after: Volume) -> np.ndarray:
    """What a restorer added, voxel by voxel: float32 HU, shape (z, y, x).

    Raises
    ------
    ScanError
        If the two are not on one grid.
    """
    if before.shape != after.shape or not np.allclose(before.affine, after.affine):
        raise ScanError("volumes on different grids", expected=before, got=after)
    return after.array.astype(np.float32) - before.array.astype(np.float32)


def noise_hu(hu: np.ndarray) -> float:
    """SD of the noise in HU: median over the axial slices of the wavelet estimate (Donoho & Johnstone 1994).

    It sees noise that changes from pixel to pixel. A smooth reconstruction kernel correlates the noise, which makes
    this an underestimate; give a restorer its `sigma_hu` where it is known.
    """
    from skimage.restoration import estimate_sigma

    if min(hu.shape[1:]) < 4:
        return 0.0
    estimates = [estimate_sigma(plane) for plane in hu if np.ptp(plane) > 0]
    return float(np.nan_to_num(np.median(estimates))) if estimates else 0.0
