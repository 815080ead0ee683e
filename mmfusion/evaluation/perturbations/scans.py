"""Changes of a CT: noise, contrast, dose, thickness of slices, reconstruction kernel.

They change the image. A real scan with less dose or another kernel is reconstructed from other raw data (a
sinogram), which cannot be computed from the image. Values of -1024 HU and below are padding and stay: `read`
sets padding to -1024 HU.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from mmfusion.evaluation.perturbations.strength import out_of_range
from mmfusion.imaging import Volume
from mmfusion.imaging.affine import lps_axes

LOWEST, HIGHEST = -1024.0, 3071.0  # HU, the range of 12 bits
DOSE_SD_HU = 15.0  # noise of the scan at its own dose, HU
GRAIN_MM = (0.5, 1.5)  # finest and coarsest grain of that noise in the slice, SD of Gaussians, mm


def add_noise(scan: Volume, sd_hu: float, rng: np.random.Generator) -> Volume:
    """Return the CT with independent normal noise in each voxel.

    Parameters
    ----------
    scan : Volume
        CT in HU, shape (z, y, x).
    sd_hu : float
        Standard deviation of the noise, HU, 0 or more.
    rng : Generator
        Source of random numbers.

    Raises
    ------
    DataError
        If the standard deviation is below 0.

    Examples
    --------
    >>> scan = Volume(np.zeros((9, 9, 9), np.float32), np.eye(4))
    >>> f"{add_noise(scan, 20.0, np.random.default_rng(0)).array.std():.0f} HU"
    '20 HU'
    """
    if sd_hu < 0:
        raise out_of_range("sd_hu", "0 or more", sd_hu)
    return _changed(scan, scan.array + rng.normal(0, sd_hu, scan.shape) if sd_hu else scan.array)


def change_contrast(scan: Volume, factor: float) -> Volume:
    """Return the CT with all HU multiplied, so that differences to water (0 HU) grow or shrink.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    factor : float
        Above 0; 1 changes nothing. Values are clipped to -1024 and 3071 HU.

    Raises
    ------
    DataError
        If the factor is not above 0.

    Examples
    --------
    >>> scan = Volume(np.full((2, 2, 2), 50, np.int16), np.eye(4))
    >>> int(change_contrast(scan, 1.2).array[0, 0, 0])
    60
    """
    if factor <= 0:
        raise out_of_range("factor", "above 0", factor)
    return _changed(scan, scan.array * factor)


def lower_dose(scan: Volume, dose: float, rng: np.random.Generator) -> Volume:
    """Return the CT with the additional noise of a lower dose, in image space.

    The variance of the noise is inversely proportional to the dose (photon statistics). The scan is taken to
    have noise of 15 HU per voxel at its own dose, and gets noise of 15 * sqrt(1 / dose - 1) HU per voxel.

    The noise of each slice is independent of the other slices. Within a slice it is the difference of two
    Gaussian blurs of white noise. So, as in filtered back projection, it has little power at low frequencies
    (Riederer et al. 1978) and nearly averages out in larger voxels. No sinogram is used: streaks and the
    stronger noise behind bones are missing.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    dose : float
        Share of the dose that is left, above 0 and at most 1.
    rng : Generator
        Source of random numbers.

    Raises
    ------
    DataError
        If the dose is not above 0 and at most 1.

    References
    ----------
    Dose: Brooks & Di Chiro 1976, "Statistical limitations in x-ray reconstructive tomography", Medical
    Physics 3(4). Frequencies: Riederer, Pelc & Chesler 1978, "The noise power spectrum in computed X-ray
    tomography", Physics in Medicine and Biology 23(3), 446-454.

    Examples
    --------
    >>> scan = Volume(np.zeros((20, 20, 20), np.float32), np.eye(4))
    >>> f"{lower_dose(scan, 0.5, np.random.default_rng(0)).array.std():.0f} HU"
    '15 HU'
    """
    if not 0 < dose <= 1:
        raise out_of_range("dose", "above 0, at most 1", dose)
    if dose == 1:
        return scan
    white = rng.normal(size=scan.shape)
    fine, coarse = (gaussian_filter(white, _in_plane(scan, mm)) for mm in GRAIN_MM)
    grain = fine - coarse
    if grain.std() < 1e-6:  # only rounding: slices of one voxel, or voxels far larger than the grain
        grain = white
    return _changed(scan, scan.array + grain / (grain.std() or 1.0) * DOSE_SD_HU * np.sqrt(1 / dose - 1))


def thicken_slices(scan: Volume, mm: float) -> Volume:
    """Return the CT with thicker slices: averaged over the thickness, and interpolated to the old grid.

    Parameters
    ----------
    scan : Volume
        CT in HU.
    mm : float
        Thickness of the slices, mm. A scan whose slices are as thick or thicker is not changed.

    Raises
    ------
    DataError
        If the thickness is not above 0.

    Examples
    --------
    >>> array = np.zeros((12, 4, 4), np.float32)
    >>> array[6] = 90.0
    >>> float(thicken_slices(Volume(array, np.eye(4)), 3.0).array.max().round())
    30.0
    """
    if mm <= 0:
        raise out_of_range("mm", "above 0", mm)
    source = scan.to_lps()
    n, z = source.shape[0], source.spacing[0]
    if mm <= z:
        return scan
    blur = _thick(n, z, mm)
    array = np.tensordot(blur, np.maximum(source.array, LOWEST).astype(float), axes=1)
    return _changed(scan, replace(source, array=array.astype(np.float32)).like(scan).array)


def _thick(n: int, z: float, mm: float) -> np.ndarray:
    """Return the matrix (n, n) that averages slices of z mm over slices of `mm`, and interpolates back."""
    edges = (np.arange(n + 1) - 0.5) * z
    m = max(round(n * z / mm), 1)
    centers = (n - 1) / 2 * z + (np.arange(m) - (m - 1) / 2) * mm
    low, high = centers[:, None] - mm / 2, centers[:, None] + mm / 2
    overlap = np.clip(np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1]), 0, None)  # mm
    average = overlap / overlap.sum(axis=1, keepdims=True)
    back = np.array([np.interp(np.arange(n) * z, centers, row) for row in np.eye(m)]).T
    return back @ average


def change_kernel(scan: Volume, sigma_mm: float) -> Volume:
    """Return the CT with the look of a softer or a sharper reconstruction kernel.

    A kernel acts within each slice, so nothing is blurred or sharpened between slices (along the patient's
    long axis).

    Parameters
    ----------
    scan : Volume
        CT in HU.
    sigma_mm : float
        Above 0: blurred by a Gaussian with this standard deviation, mm. Below 0: sharpened, by adding the
        difference to the image that is blurred with -`sigma_mm`. 0 changes nothing.

    Examples
    --------
    >>> array = np.zeros((9, 9, 9), np.float32)
    >>> array[4, 4, 4] = 100.0
    >>> soft, sharp = (change_kernel(Volume(array, np.eye(4)), s).array[4, 4, 4] for s in (1.0, -1.0))
    >>> bool(soft < 100 < sharp)
    True
    """
    if not sigma_mm:
        return scan
    known = np.maximum(scan.array, LOWEST)
    soft = gaussian_filter(known, _in_plane(scan, abs(sigma_mm)), mode="nearest")
    return _changed(scan, soft if sigma_mm > 0 else 2 * known - soft)


def _in_plane(scan: Volume, mm: float) -> np.ndarray:
    """Return the SD of a Gaussian along each axis of the array, in voxels; 0 across the axial slices."""
    order, *_ = lps_axes(scan.affine, scan.shape)
    sigma = mm / np.array(scan.spacing)
    sigma[order[0]] = 0.0  # the axis of the array that runs (nearly) along the patient, however it is stored
    return sigma


def _changed(scan: Volume, array: np.ndarray) -> Volume:
    array = np.where(scan.array <= LOWEST, scan.array, np.clip(array, LOWEST, HIGHEST))
    whole = np.issubdtype(scan.array.dtype, np.integer)
    return replace(scan, array=(np.rint(array) if whole else array).astype(scan.array.dtype))
