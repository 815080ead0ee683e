"""What every restorer keeps: the grid, the unit, padding, and values within the range of the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from mmfusion.errors import MMFusionError, ScanError
from mmfusion.imaging.hu import AIR_HU, PADDING_HU
from mmfusion.imaging.volume import Volume
from mmfusion.registry import RESTORERS


class Restorer:
    """Base of the restorers: calling one with a volume gives the restored volume.

    A subclass writes `_restore(hu, spacing, known)`, which gets finite float32 HU of shape (z, y, x) in which padding
    is air, and what is not padding, and returns the same shape; slices are planes of the first axis. Its options are
    keyword arguments of `__init__`, kept under their names.
    """

    registered_name: str
    needs_weights: ClassVar[bool] = False  # a file of them, beside this package

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
        volume.expect("HU")
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


def restore(
    volume: Volume, restorer: str | Mapping[str, object] | Restorer = "identity", **options: object
) -> Volume:
    """The volume restored by `restorer` (`mmfusion.list_restorers()`), float32 HU on the same grid.

    Parameters
    ----------
    volume : Volume
        In HU.
    restorer : str, mapping or Restorer
        A name or a mapping of "name" and options, which `options` come on top of; or one that is made.

    Raises
    ------
    MMFusionError
        If there is no such restorer or option, or options come beside a restorer that is made.
    ScanError
        If the volume is not in HU, or a voxel is not a number.
    """
    if options and isinstance(restorer, Restorer):
        problem, hint = (
            "options beside a restorer that has its own",
            "give its name, or make it with these options",
        )
        raise MMFusionError(problem, got=f"{', '.join(options)} beside {restorer!r}", hint=hint)
    named = {"name": restorer} if isinstance(restorer, str) else restorer
    return make_restorer({**named, **options} if options else named)(volume)


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
