"""What cannot be what it is said to be: HU that nobody scaled, an SUV of nothing, a scan that no memory holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.errors import ScanError

MAX_BYTES = 8 * 2**30  # of a scan, unpacked; a thoracic CT has some 0.2 GiB
_AIR, _BONE, _METAL = (
    -300,
    700,
    4000,
)  # HU; no lung, air or fat lies above the first, little of a body above the second


_NO_SUV, _HOT = (
    -10,
    30,
)  # SUVbw; reconstruction leaves values a little below 0, no large part of a body is as hot
_NO_HU = -10  # HU: a scan without fat and air is none; a PET may go a little below 0


def check_size(shape: Sequence[int], file: object) -> None:
    """Raise a ScanError if float32 voxels of this shape (z, y, x) need more than `MAX_BYTES`.

    From a header alone: a hostile one promises more than there is memory.
    """
    if 4 * np.prod(shape, dtype=np.float64) > MAX_BYTES:
        got = f"{' x '.join(map(str, shape))} voxels (z, y, x)"
        raise ScanError(
            "the scan is too large", file=file, expected=f"{MAX_BYTES / 2**30:.0f} GiB at most", got=got
        )


def sampled_slices(n: int) -> list[int]:
    """The slices of `n` whose values are checked."""
    return sorted({n // 4, n // 2, (3 * n) // 4})


def check_values(planes: np.ndarray, unit: str, file: object) -> None:
    """Raise a ScanError if values of a scan's slices cannot be HU or SUVbw.

    For HU: one value throughout; grey values of 0 to 255, or 0 to 1; hardly anything below -300 HU beside a tenth
    above 700 (stored values that nobody scaled, or inverted ones: air lies among bone); a hundredth above 4000. For
    SUVbw: nothing above 0.01; a mean above 50 or a median above 30 (counts, Bq/mL); a hundredth below -10 (HU).
    Either: values that are not finite.

    Parameters
    ----------
    planes : ndarray
        Slices of the scan, at least some.
    unit : {"HU", "SUVbw"}
        What they are said to be.
    file : path
        For the message.
    """
    if not np.isfinite(planes).all():
        got = f"{np.count_nonzero(~np.isfinite(planes))} voxels"
        raise ScanError(
            "values that are not numbers", file=file, got=got, hint="export or convert the scan again"
        )
    low, high = float(planes.min()), float(planes.max())
    planes = planes[:, ::2, ::2]
    problem = hint = None
    if unit == "SUVbw":
        if np.percentile(planes, 1) < _NO_SUV:
            problem, hint = "values that cannot be SUV", "negative: is it a CT in HU? a PET was expected"
        elif high < 0.01 or planes.mean() > 50 or np.median(planes) > _HOT:
            problem = "values that cannot be SUV"
            hint = "check dose (Bq), weight (kg) and times of the series, or whether it holds counts or Bq/mL"
    elif low == high:
        problem, hint = "an empty scan: every voxel has one value", "export it again"
    elif low > _NO_HU and high <= 255:
        problem = "values that cannot be HU"
        hint = (
            "grey values or a mask? convert the scan again, without a window; a PET is read with unit='SUVbw'"
        )
    elif _unscaled(planes):
        problem = "values that cannot be HU"
        hint = "were they stored without rescale slope and intercept, or inverted? export or convert the scan again"
    if problem:
        raise ScanError(
            problem, file=file, got=f"{low:.4g} to {high:.4g}, median {np.median(planes):.4g}", hint=hint
        )


def _unscaled(hu: np.ndarray) -> bool:
    dense = np.count_nonzero(hu > _BONE) / hu.size
    return np.count_nonzero(hu > _METAL) > 0.01 * hu.size or (dense > 0.1 and np.percentile(hu, 1) > _AIR)
