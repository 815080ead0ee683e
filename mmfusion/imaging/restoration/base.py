"""Base class of the restorers, which keeps grid, unit, padding and the scan's range of values."""

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
    """Base class of the restorers; calling a restorer with a volume returns the restored volume.

    A subclass implements `_restore(hu, spacing, known)`. `hu` is float32 of shape (z, y, x), finite, with
    padding replaced by air. `spacing` is (z, y, x) in mm. `known` is a mask of the same shape, False for
    padding. It returns an array of the same shape. Options are keyword arguments of `__init__` and attributes
    of the same names.

    Examples
    --------
    >>> class Half(Restorer):
    ...     def _restore(self, hu, spacing, known):
    ...         return hu / 2
    >>> scan = Volume(np.array([[[-1024, -800, 0]]], np.int16), np.eye(4), unit="HU")
    >>> Half()(scan).array.tolist()  # padding stays the same
    [[[-1024.0, -400.0, 0.0]]]
    """

    registered_name: str
    needs_weights: ClassVar[bool] = False  # True if the restorer reads a file of weights

    def __call__(self, volume: Volume) -> Volume:
        """Restore a volume.

        Parameters
        ----------
        volume : Volume
            CT in HU. It is not changed.

        Returns
        -------
        Volume
            float32 HU on the same grid, within the range of the input. Padding (-1024 HU and below) stays the
            same.

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
        """Return name and options, as JSON types: everything that the result depends on except the volume.

        Caches use it as part of their key.
        """
        return {"name": self.registered_name, **vars(self)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def make_restorer(what: str | Mapping[str, object] | Restorer) -> Restorer:
    """Return a restorer for a name, or for a mapping of "name" and options.

    Parameters
    ----------
    what : str, mapping or Restorer
        Name, or mapping with the key "name" and options of the restorer. A Restorer is returned unchanged.

    Raises
    ------
    MMFusionError
        If the name is unknown, the restorer does not have one of the options, or an option is out of range.

    Examples
    --------
    >>> make_restorer({"name": "nlm", "strength": 0.5})
    NonLocalMeans(sigma_hu=None, strength=0.5, patch=3, reach=5)
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
    """Restore a CT.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    restorer : str, mapping or Restorer
        Name (`mmfusion.list_restorers()`), mapping of "name" and options, or a Restorer.
    **options
        Options of the restorer. They replace equal options of the mapping, and are not allowed with a
        Restorer.

    Returns
    -------
    Volume
        float32 HU on the same grid.

    Raises
    ------
    MMFusionError
        If the restorer or an option is unknown, or options are given together with a Restorer.
    ScanError
        If the volume is not in HU, or a voxel is not a number.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 20, (4, 32, 32)).astype(np.float32)
    >>> restored = restore(Volume(noise, np.eye(4)), "bilateral")
    >>> bool(restored.array.std() < noise.std())
    True
    """
    if options and isinstance(restorer, Restorer):
        problem = "options are given together with a Restorer, which has its own options"
        hint = "give its name, or make the Restorer with these options"
        raise MMFusionError(problem, got=f"{', '.join(options)} and {restorer!r}", hint=hint)
    named = {"name": restorer} if isinstance(restorer, str) else restorer
    return make_restorer({**named, **options} if options else named)(volume)


def difference(before: Volume, after: Volume) -> np.ndarray:
    """Return the difference between two volumes (after minus before), per voxel.

    Parameters
    ----------
    before, after : Volume
        Scan before and after restoration, on the same grid.

    Returns
    -------
    ndarray of float32, shape (z, y, x)
        Difference in HU.

    Raises
    ------
    ScanError
        If the two volumes are not on the same grid.

    Examples
    --------
    >>> before = Volume(np.zeros((1, 1, 2), dtype=np.int16), np.eye(4))
    >>> difference(before, Volume(before.array + np.int16(5), np.eye(4)))
    array([[[5., 5.]]], dtype=float32)
    """
    if before.shape != after.shape or not np.allclose(before.affine, after.affine):
        raise ScanError("volumes on different grids", expected=before, got=after)
    return after.array.astype(np.float32) - before.array.astype(np.float32)


def noise_hu(hu: np.ndarray) -> float:
    """Return the standard deviation of the noise in HU.

    It is the median over the axial slices of the wavelet estimate of Donoho & Johnstone 1994. The estimate
    measures noise that is independent between pixels. A smooth reconstruction kernel correlates the noise of
    neighbouring pixels, so that the estimate is then too low. If the noise level is known, give it to the
    restorer as `sigma_hu`.

    Parameters
    ----------
    hu : ndarray, shape (z, y, x)
        CT in HU. Slices with fewer than 4 rows or columns give 0.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 20, (2, 64, 64))
    >>> bool(18 < noise_hu(noise) < 22)
    True
    """
    from skimage.restoration import estimate_sigma

    if min(hu.shape[1:]) < 4:
        return 0.0
    estimates = [estimate_sigma(plane) for plane in hu if np.ptp(plane) > 0]
    return float(np.nan_to_num(np.median(estimates))) if estimates else 0.0
