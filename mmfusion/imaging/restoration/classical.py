"""Restorers of scikit-image that need no training; each estimates the noise level from the scan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmfusion.errors import MMFusionError
from mmfusion.imaging.restoration.base import Restorer, noise_hu
from mmfusion.registry import RESTORERS

_ISOTROPIC = 1.25  # pixels; up to this slice distance the filter works in three dimensions


@RESTORERS.register("identity", modality="ct", paper="-")
class Identity(Restorer):
    """Restorer that leaves the scan unchanged.

    Examples
    --------
    >>> from mmfusion.imaging.volume import Volume
    >>> Identity()(Volume(np.array([[[-800, 40]]], np.int16), np.eye(4), unit="HU")).array.tolist()
    [[[-800.0, 40.0]]]
    """

    def _restore(self, hu: np.ndarray, spacing: tuple[float, float, float], known: np.ndarray) -> np.ndarray:
        return hu


class _Denoiser(Restorer):
    """Base class of the restorers that work on values in [0, 1] with a noise level."""

    def __init__(self, *, sigma_hu: float | None = None) -> None:
        self.sigma_hu = sigma_hu
        _check(sigma_hu is None or sigma_hu >= 0, "sigma_hu", "HU, 0 or more", sigma_hu)

    def _restore(self, hu: np.ndarray, spacing: tuple[float, float, float], known: np.ndarray) -> np.ndarray:
        sigma = noise_hu(hu) if self.sigma_hu is None else self.sigma_hu
        if sigma == 0:
            return hu
        low, width = float(hu.min()), float(np.ptp(hu))
        return self._denoise((hu - low) / width, sigma / width, spacing) * width + low

    def _denoise(self, image: np.ndarray, sigma: float, spacing: tuple[float, float, float]) -> np.ndarray:
        raise NotImplementedError


@RESTORERS.register("nlm", modality="ct", paper="Buades et al. 2005, doi:10.1109/CVPR.2005.38")
class NonLocalMeans(_Denoiser):
    """Non-local means: each voxel becomes a mean over voxels with similar surroundings.

    It works in three dimensions if the slice distance is at most 1.25 times the pixel size, else slice by
    slice.

    Parameters
    ----------
    strength : float
        Cut-off of the similarity, in standard deviations of the noise, above 0.
    patch : int
        Side of the surroundings that are compared, in pixels, odd.
    reach : int
        Largest distance of similar surroundings, in pixels, at least 1.
    sigma_hu : float, optional
        Standard deviation of the noise in HU. Default: estimated from the scan.

    References
    ----------
    Buades et al. 2005, doi:10.1109/CVPR.2005.38

    Examples
    --------
    >>> from mmfusion.imaging.volume import Volume
    >>> noise = np.random.default_rng(0).normal(0, 30, (2, 32, 32)).astype(np.float32)
    >>> restored = NonLocalMeans()(Volume(noise, np.eye(4), unit="HU"))
    >>> bool(restored.array.std() < noise.std() / 2)
    True
    """

    def __init__(
        self, *, strength: float = 0.8, patch: int = 3, reach: int = 5, sigma_hu: float | None = None
    ) -> None:
        super().__init__(sigma_hu=sigma_hu)
        _check(strength > 0, "strength", "above 0", strength)
        _check(patch >= 1 and patch % 2 == 1, "patch", "odd", patch)
        _check(reach >= 1, "reach", "1 pixel or more", reach)
        self.strength, self.patch, self.reach = float(strength), int(patch), int(reach)

    def _denoise(self, image: np.ndarray, sigma: float, spacing: tuple[float, float, float]) -> np.ndarray:
        from skimage.restoration import denoise_nl_means

        options = {"h": self.strength * sigma, "sigma": sigma, "patch_size": self.patch, "fast_mode": True}
        near = spacing[0] <= _ISOTROPIC * min(spacing[1:]) and image.shape[0] > self.patch
        if near:  # a smaller reach, so that as many voxels are compared as in one slice
            reach = max(1, round(((2 * self.reach + 1) ** (2 / 3) - 1) / 2))
            return denoise_nl_means(image, patch_distance=reach, **options)
        return _by_slice(lambda plane: denoise_nl_means(plane, patch_distance=self.reach, **options), image)


@RESTORERS.register("bilateral", modality="ct", paper="Tomasi & Manduchi 1998, doi:10.1109/ICCV.1998.710815")
class Bilateral(_Denoiser):
    """Bilateral filter: a Gaussian mean over near voxels with similar values, slice by slice.

    Parameters
    ----------
    width_mm : float
        Standard deviation of the Gaussian within the slice, mm, above 0; at least one pixel is used.
    strength : float
        Standard deviation of the Gaussian over values, in standard deviations of the noise, above 0.
    sigma_hu : float, optional
        Standard deviation of the noise in HU. Default: estimated from the scan.

    References
    ----------
    Tomasi & Manduchi 1998, doi:10.1109/ICCV.1998.710815

    Examples
    --------
    >>> from mmfusion.imaging.volume import Volume
    >>> noise = np.random.default_rng(0).normal(0, 30, (2, 32, 32)).astype(np.float32)
    >>> restored = Bilateral()(Volume(noise, np.eye(4), unit="HU"))
    >>> bool(restored.array.std() < noise.std() / 2)
    True
    """

    def __init__(
        self, *, width_mm: float = 1.0, strength: float = 1.5, sigma_hu: float | None = None
    ) -> None:
        super().__init__(sigma_hu=sigma_hu)
        _check(width_mm > 0, "width_mm", "mm above 0", width_mm)
        _check(strength > 0, "strength", "above 0", strength)
        self.width_mm, self.strength = float(width_mm), float(strength)

    def _denoise(self, image: np.ndarray, sigma: float, spacing: tuple[float, float, float]) -> np.ndarray:
        from skimage.restoration import denoise_bilateral

        width = max(self.width_mm / float(np.sqrt(spacing[1] * spacing[2])), 1.0)
        side = 2 * int(np.ceil(2 * width)) + 1
        return _by_slice(
            lambda plane: denoise_bilateral(
                plane, win_size=side, sigma_color=self.strength * sigma, sigma_spatial=width, mode="edge"
            ),
            image,
        )


@RESTORERS.register("wavelet", modality="ct", paper="Chang et al. 2000 (BayesShrink), doi:10.1109/83.862633")
class Wavelet(_Denoiser):
    """Wavelet shrinkage: small wavelet coefficients become 0, large ones are kept, in three dimensions.

    Each band of coefficients has its own threshold, so that thick slices are possible. If a scan has too few
    slices for the wavelet (fewer than 14 for sym4), it is restored slice by slice.

    Parameters
    ----------
    wavelet : str
        Name of a discrete wavelet in PyWavelets.
    sigma_hu : float, optional
        Standard deviation of the noise in HU. Default: estimated from the scan.

    References
    ----------
    Chang et al. 2000 (BayesShrink), doi:10.1109/83.862633

    Examples
    --------
    >>> from mmfusion.imaging.volume import Volume
    >>> noise = np.random.default_rng(0).normal(0, 30, (16, 32, 32)).astype(np.float32)
    >>> restored = Wavelet(sigma_hu=30)(Volume(noise, np.eye(4), unit="HU"))
    >>> bool(restored.array.std() < noise.std() / 2)
    True
    """

    def __init__(self, *, wavelet: str = "sym4", sigma_hu: float | None = None) -> None:
        import pywt

        super().__init__(sigma_hu=sigma_hu)
        _check(
            wavelet in pywt.wavelist(kind="discrete"), "wavelet", "a discrete one of pywt.wavelist()", wavelet
        )
        self.wavelet = wavelet

    def _denoise(self, image: np.ndarray, sigma: float, spacing: tuple[float, float, float]) -> np.ndarray:
        import pywt
        from skimage.restoration import denoise_wavelet

        least = 2 * (pywt.Wavelet(self.wavelet).dec_len - 1)
        if min(image.shape[1:]) < least:
            return image

        def shrink(part: np.ndarray) -> np.ndarray:
            return denoise_wavelet(
                part, sigma=sigma, wavelet=self.wavelet, method="BayesShrink", rescale_sigma=False
            )

        return _by_slice(shrink, image) if image.shape[0] < least else shrink(image)


def _by_slice(function: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    """Apply a function to each axial slice; slices with only one value stay unchanged."""
    return np.stack([function(plane) if np.ptp(plane) > 0 else plane for plane in image])


def _check(fine: bool, name: str, expected: str, got: object) -> None:  # noqa: FBT001
    if not fine:
        raise MMFusionError("restorer option out of range", parameter=name, expected=expected, got=got)
