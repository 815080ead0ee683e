"""Features of the uptake in PET crops, for models that read tables (ridge, forest)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_REACH_MM = 30.0  # the lesion is searched within this radius of the crop's centre
_PEAK_ML = 1.0  # volume of the ball over which SUVpeak is the mean
_FIXED_SUV, _SHARE = 2.5, 0.41  # thresholds: in SUV, and as a share of SUVmax
_BALLS_MM = (6, 10, 15, 20)
_FAR_MM = (30.0, 45.0)  # distances from the centre between which the background is measured


def describe_uptake(suv: np.ndarray, radius: np.ndarray, spacing: float) -> dict[str, float]:
    """Return features of the uptake in one crop.

    A crop contains no values above the upper end of the PET window, 15 SUVbw. If the tumour has a higher
    uptake, SUVmax is 15, and SUVmax, SUVpeak, `suv_ratio` and the means are underestimated. 41 % of this
    SUVmax is too low a threshold, so `volume_41pct_ml` and `glycolysis_41pct` are overestimated: for a tumour
    with a true SUVmax of 25, the volume may be twice as large. The volume above 2.5 SUV is not affected.

    Parameters
    ----------
    suv : ndarray, shape (S, S, S)
        SUVbw, g/mL.
    radius : ndarray, shape (S, S, S)
        Distance of each voxel from the crop's centre, mm.
    spacing : float
        mm per voxel.

    Returns
    -------
    dict of str to float
        `suv_max` and `suv_peak`: the maximum, and the highest mean over a ball of 1 mL, within 30 mm of the
        centre. `suv_mean_<r>mm`: mean within a radius. `suv_background`: median between 30 and 45 mm from the
        centre. `suv_ratio`: SUVmax divided by the background. `volume_suv2.5_ml` and `volume_41pct_ml`:
        volume of the connected region around the maximum above 2.5 SUV, and above 41 % of SUVmax.
        `suv_mean_41pct` and `suv_sd_41pct`: mean and standard deviation in the latter. `glycolysis_41pct`:
        its volume (mL) times its mean.

    References
    ----------
    SUVmax, SUVpeak and the 41 % contour: Boellaard et al. 2015, Eur J Nucl Med Mol Imaging 42, 328-354. Total
    lesion glycolysis: Larson et al. 1999, Clin Positron Imaging 2, 159-171.

    Examples
    --------
    >>> axis = np.arange(-15, 16) * 3.0
    >>> z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    >>> radius = np.sqrt(z**2 + y**2 + x**2)
    >>> found = describe_uptake(np.where(radius < 12, 8.0, 0.5), radius, 3.0)
    >>> found["suv_max"], found["suv_background"], round(found["volume_41pct_ml"], 1)
    (8.0, 0.5, 6.8)

    A window that cuts off at 15 SUV:

    >>> suv = 25 * np.exp(-((radius / 12) ** 2)) + 0.5
    >>> [round(describe_uptake(one, radius, 3.0)["volume_41pct_ml"], 1) for one in (suv, np.minimum(suv, 15))]
    [6.8, 12.4]
    """
    near = radius < _REACH_MM
    highest = float(suv[near].max()) if near.any() else np.nan
    far = suv[(radius >= _FAR_MM[0]) & (radius < _FAR_MM[1])]
    background = float(np.median(far)) if far.size else np.nan
    out = {"suv_max": highest, "suv_peak": _peak(suv, near, spacing)}
    for r in _BALLS_MM:
        out[f"suv_mean_{r}mm"] = float(suv[radius < r].mean()) if (radius < r).any() else np.nan
    out["suv_background"] = background
    out["suv_ratio"] = highest / background if background > 0 else np.nan
    fixed, relative = (_hottest_piece(suv, near, t) for t in (_FIXED_SUV, _SHARE * highest))
    ml = spacing**3 / 1000
    out["volume_suv2.5_ml"] = float(fixed.sum() * ml)
    out["volume_41pct_ml"] = float(relative.sum() * ml)
    mean, sd = (suv[relative].mean(), suv[relative].std()) if relative.any() else (0.0, 0.0)
    out["suv_mean_41pct"], out["suv_sd_41pct"] = float(mean), float(sd)
    out["glycolysis_41pct"] = float(mean * relative.sum() * ml)
    return out


def _peak(suv: np.ndarray, near: np.ndarray, spacing: float) -> float:
    reach = (3 * _PEAK_ML * 1000 / (4 * np.pi)) ** (1 / 3) / spacing
    n = int(reach)
    z, y, x = np.ogrid[-n : n + 1, -n : n + 1, -n : n + 1]
    ball = (z**2 + y**2 + x**2 <= reach**2).astype(float)
    means = ndimage.convolve(suv, ball / ball.sum(), mode="nearest")
    return float(means[near].max()) if near.any() else np.nan


def _hottest_piece(suv: np.ndarray, near: np.ndarray, threshold: float) -> np.ndarray:
    """Return the mask of the voxels above the threshold that are connected to the maximum; can be empty."""
    hot = near & (suv >= threshold) & (suv > 0)
    if not hot.any():
        return hot
    labels, _ = ndimage.label(hot)
    return labels == labels.flat[np.where(hot, suv, -np.inf).argmax()]
