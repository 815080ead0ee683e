"""Checks of a scan's values and size: HU that were not rescaled, SUV near 0, a scan too large for memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.limits import check_memory

MAX_BYTES = 8 * 2**30  # largest size of an unpacked scan; a thoracic CT has about 0.2 GiB
_AIR = -300  # HU; lung and air lie below
_BONE = 700  # HU; only a small part of a body lies above
_METAL = 4000  # HU; hardly anything lies above


_NO_SUV, _HOT = (
    -10,
    30,
)  # SUVbw; reconstruction leaves values a little below 0, no large part of a body is as hot
_NO_HU = -10  # HU: a scan without fat and air is none; a PET may go a little below 0


def check_size(shape: Sequence[int], file: object, stored: int = 2) -> None:
    """Raise a ScanError if voxels of this shape (z, y, x) need more memory than `memory_limit`.

    The shape comes from the header, so that a scan is refused before memory is allocated. A damaged or
    manipulated header can state a size that is larger than the memory.

    Parameters
    ----------
    shape : sequence of int
        Shape that the header states.
    file : path
        File for the message.
    stored : int
        Bytes of one stored voxel. Reading needs them and one float32 copy.

    Examples
    --------
    >>> check_size((512, 512, 512), "scan.nii")
    """
    count = math.prod(int(n) for n in shape)
    check_memory(count * (stored + 4), "the scan", file=file, error=ScanError)


def sampled_slices(n: int) -> list[int]:
    """Return the indices of the slices whose values are checked, in a scan of `n` slices.

    Examples
    --------
    >>> sampled_slices(100)
    [25, 50, 75]
    """
    return sorted({n // 4, n // 2, (3 * n) // 4})


def check_values(planes: np.ndarray, unit: str, file: object) -> None:
    """Raise a ScanError if values of a scan's slices cannot be HU or SUVbw.

    Values cannot be HU in these cases:

    - all voxels have the same value
    - all values lie between 0 and 255, or between 0 and 1 (grey values or a mask)
    - more than 10 % lie above 700 HU and less than 1 % below -300 HU (stored values that were not rescaled,
      or an inverted scan)
    - more than 1 % lie above 4000 HU

    Values cannot be SUVbw in these cases:

    - none is above 0.01
    - the mean is above 50, or the median above 30 (counts, or Bq/mL)
    - more than 1 % lie below -10 (HU)

    Values must be finite in both units.

    Parameters
    ----------
    planes : ndarray, shape (n, rows, columns)
        Some or all slices of the scan.
    unit : {"HU", "SUVbw"}
        Unit that the values should have.
    file : path
        File name for the message.

    Raises
    ------
    ScanError
        If the values cannot be in this unit.

    Examples
    --------
    >>> check_values(np.array([[[-1000, 0], [40, 60]]]), "HU", "scan.nii")
    >>> check_values(np.array([[[0, 0], [1, 1]]]), "HU", "scan.nii")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mmfusion.errors.ScanError: file scan.nii: values that cannot be HU ...
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
            "are they grey values or a mask? Convert the scan again, without a window; "
            "a PET is read with unit='SUVbw'"
        )
    elif _unscaled(planes):
        problem = "values that cannot be HU"
        hint = (
            "were they stored without rescale slope and intercept, or inverted? "
            "Export or convert the scan again"
        )
    if problem:
        raise ScanError(
            problem, file=file, got=f"{low:.4g} to {high:.4g}, median {np.median(planes):.4g}", hint=hint
        )


def _unscaled(hu: np.ndarray) -> bool:
    dense = np.count_nonzero(hu > _BONE) / hu.size
    return np.count_nonzero(hu > _METAL) > 0.01 * hu.size or (dense > 0.1 and np.percentile(hu, 1) > _AIR)
