"""The CT scanner: slice thickness, reconstruction kernel, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mmfusion.synthetic.chest.geometry import Grid

# kernel: width of the point spread function in plane (FWHM, mm), edge enhancement, grain of the noise
# (standard deviation, mm), factor of the noise
KERNELS = {
    "soft": (1.5, 0.0, 0.9, 0.7),
    "medium": (1.1, 0.15, 0.65, 1.0),
    "sharp": (0.8, 0.55, 0.45, 1.9),
}


@dataclass(frozen=True)
class Protocol:
    """Settings of the scanner for one scan.

    Attributes
    ----------
    thickness_mm : float
        Thickness and distance of the slices, mm.
    kernel : str
        Key of `KERNELS`.
    noise_hu : float
        Standard deviation of the noise in slices of 3 mm with the medium kernel, HU.
    offset_hu : float
        Error of calibration, HU.

    Examples
    --------
    >>> Protocol(3.0, "soft", 12.0, 0.0).thickness_mm
    3.0
    """

    thickness_mm: float
    kernel: str
    noise_hu: float
    offset_hu: float

    @classmethod
    def draw(cls, rng: np.random.Generator, thickness: tuple[float, float], diameter_mm: float) -> Protocol:
        """Draw a protocol whose slices are not much thicker than a lesion, if `thickness` allows that."""
        low, high = thickness
        high = min(high, max(low, 1.2 * diameter_mm))
        value = float(np.round(np.exp(rng.uniform(np.log(low), np.log(high))), 2))
        noise = float(np.exp(rng.uniform(np.log(5), np.log(28))))
        return cls(value, str(rng.choice(list(KERNELS))), noise, float(rng.normal(0, 6)))


class Slices:
    """Slices through a grid: averages of the object over the slice thickness, and interpolation between them.

    Parameters
    ----------
    out : Grid
        The grid on which the scan is wanted.
    thickness_mm : float
        Thickness and distance of the slices. If it is smaller than the voxels of `out`, the slices are those
        of `out`.
    offset : float
        Position of the slices relative to the grid, 0 to 1.
    native : bool
        True if the slices of `out` are the slices of the scanner.

    Attributes
    ----------
    fine : Grid
        The grid on which the object must be drawn.

    Examples
    --------
    >>> slices = Slices(Grid.around((0, 0, 0), (8, 4, 4), (1, 1, 1)), 4.0, 0.0)
    >>> seen = slices.back(slices.average(np.ones(slices.fine.shape, dtype=np.float32)))
    >>> seen.shape, bool(np.allclose(seen, 1))
    ((8, 4, 4), True)
    """

    def __init__(self, out: Grid, thickness_mm: float, offset: float = 0.0, *, native: bool = False) -> None:
        parts = round(thickness_mm / max(out.spacing[1], 0.6))
        self.is_thick = thickness_mm > 1.05 * out.spacing[0] or (native and parts > 1)
        if not self.is_thick:
            self.fine = out
            return
        parts = max(2, parts)
        first = float(out.z[0]) - (0 if native else thickness_mm * (0.5 + 0.5 * offset))
        count = len(out.z) if native else int(np.ceil((float(out.z[-1]) - first) / thickness_mm)) + 1
        centres = first + thickness_mm * np.arange(count)
        fine = (centres[:, None] + (np.arange(parts) + 0.5) / parts * thickness_mm - thickness_mm / 2).ravel()
        self.fine = Grid(fine.astype(np.float32), out.y, out.x)
        self._parts = parts
        rows = np.arange(len(out.z))
        self._weights = np.zeros((len(out.z), count), dtype=np.float32)
        if native:
            self._weights[rows, rows] = 1
            return
        place = np.clip((out.z - first) / thickness_mm, 0, count - 1 - 1e-6)
        below = place.astype(int)
        self._weights[rows, below] = 1 - (place - below)
        self._weights[rows, below + 1] += place - below

    def average(self, fine: np.ndarray) -> np.ndarray:
        """Return the slices of an image on `fine`."""
        return fine.reshape(-1, self._parts, *fine.shape[1:]).mean(axis=1) if self.is_thick else fine

    def back(self, slices: np.ndarray) -> np.ndarray:
        """Return the image on the wanted grid, by linear interpolation between slices."""
        return np.tensordot(self._weights, slices, (1, 0)) if self.is_thick else slices


def acquire(
    slices: np.ndarray, pixel_mm: float, slice_mm: float, protocol: Protocol, rng: np.random.Generator
) -> np.ndarray:
    """Return the image of these slices, HU, float32: blurred, sharpened and with noise.

    Parameters
    ----------
    slices : ndarray of float32, shape (z, y, x)
        The object, averaged over the slices, HU.
    pixel_mm, slice_mm : float
        Size of a pixel and of a voxel along z, mm.
    protocol : Protocol
        The scanner's settings.
    rng : Generator
        Random generator of the noise.

    Examples
    --------
    >>> flat = np.zeros((2, 64, 64), dtype=np.float32)
    >>> seen = acquire(flat, 0.8, 3.0, Protocol(3.0, "medium", 20.0, 0.0), np.random.default_rng(0))
    >>> bool(10 < seen.std() < 30)
    True
    """
    width, sharpening, grain, factor = KERNELS[protocol.kernel]
    out = _blur(slices, width / 2.355 / pixel_mm)
    if sharpening:
        out = out + np.float32(sharpening) * (out - _blur(out, 1.1 / pixel_mm))
    noise = _blur(rng.standard_normal(slices.shape, dtype=np.float32), grain / pixel_mm)
    if sharpening:  # the noise of a sharp kernel has few coarse grains
        noise = noise - np.float32(sharpening) * _blur(noise, 1.6 * grain / pixel_mm)
    level = protocol.noise_hu * factor * np.sqrt(3.0 / max(slice_mm, 0.6))
    level *= min(1.0, 1.2 / pixel_mm)  # a coarser pixel averages the noise
    return out + noise * np.float32(level / max(float(noise.std()), 1e-6)) + np.float32(protocol.offset_hu)


def _blur(image: np.ndarray, sd: float) -> np.ndarray:
    if sd < 0.15:
        return image
    for axis in (1, 2):
        image = gaussian_filter1d(image, sd, axis=axis, truncate=3.0)
    return image
