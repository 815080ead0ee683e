"""Checks of a scan's values and size: HU that were not rescaled, SUV near 0, a scan too large for memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.limits import check_memory
from mmfusion.modalities import BY_UNIT

_AIR = -300  # HU; lung and air lie below
_BONE = 700  # HU; only a small part of a body lies above
_METAL = 4000  # HU; hardly anything lies above


_NO_SUV, _HOT = -10, 30  # SUVbw: reconstruction leaves values a little below 0; no large part is as hot
_NO_HU = -10  # HU: a scan without fat and air is none; a PET may go a little below 0
_FEW = 64  # a label image seldom has more different values in a few slices


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
    problem, hint = (_not_suv if unit == "SUVbw" else _not_hu)(planes, low, high)
    if problem:
        raise ScanError(
            problem, file=file, got=f"{low:.4g} to {high:.4g}, median {np.median(planes):.4g}", hint=hint
        )


def check_scan(array: np.ndarray, unit: str, file: object) -> None:
    """Raise a ScanError if an array cannot be a scan in this unit, or looks like a mask.

    A file without DICOM header, or an array in memory, does not say what it shows. Three slices are checked
    by `check_values`. In addition a scan is refused if it looks like a label image (few whole numbers, from
    0), and a PET if no value is above 1 (a mask of fractions, or values that were normalised).

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
        The whole scan.
    unit : {"HU", "SUVbw"}
        Unit that the values should have.
    file : path or None
        File name for the message.

    Examples
    --------
    >>> check_scan(np.arange(64).reshape(4, 4, 4) % 2, "SUVbw", "mask.nii.gz")
    Traceback (most recent call last):
    mmfusion.errors.ScanError: file mask.nii.gz: not a PET in SUVbw (got 0 to 1, 2 different values) ...
    """
    planes = array[sampled_slices(len(array))]
    check_values(planes, unit, file)
    few = is_labels(planes)
    if few or (unit == "SUVbw" and planes.max() <= 1):
        count = f", {len(np.unique(planes))} different values" if few else ""
        raise ScanError(
            f"not a {BY_UNIT[unit].title} in {unit}",
            file=file,
            got=f"{planes.min():.4g} to {planes.max():.4g}{count}",
            hint="is it a mask, or were the values normalised? a mask is read by read_mask",
        )


def is_labels(planes: np.ndarray) -> bool:
    """Return True if values look like those of a mask or label image: few whole numbers, from 0.

    Examples
    --------
    >>> is_labels(np.array([[[0, 0], [1, 7]]])), is_labels(np.array([[[-1000, 0], [40, 60]]]))
    (True, False)
    """
    if planes.min() != 0 or not np.array_equal(planes, np.rint(planes)):
        return False
    return 2 <= len(np.unique(planes)) <= _FEW


def _not_suv(planes: np.ndarray, _: float, high: float) -> tuple[str | None, str | None]:
    """Return why values cannot be SUVbw, and a hint; (None, None) if they can."""
    problem = "values that cannot be SUV"
    if np.percentile(planes, 1) < _NO_SUV:
        return problem, "negative: is it a CT in HU? a PET was expected"
    if high < 0.01 or planes.mean() > 50 or np.median(planes) > _HOT:
        hint = "check dose (Bq), weight (kg) and times of the series, or whether it holds counts or Bq/mL"
        return problem, hint
    return None, None


def _not_hu(planes: np.ndarray, low: float, high: float) -> tuple[str | None, str | None]:
    """Return why values cannot be HU, and a hint; (None, None) if they can."""
    if low == high:
        return "an empty scan: every voxel has one value", "export it again, or is it a mask?"
    problem = "values that cannot be HU"
    if low > _NO_HU and high <= 255:
        hint = (
            "are they grey values or a mask? Convert the scan again, without a window; "
            "a PET is read with unit='SUVbw', a mask by read_mask"
        )
        return problem, hint
    if _unscaled(planes):
        hint = (
            "were they stored without rescale slope and intercept, or inverted, or is it a PET? "
            "Export or convert the scan again"
        )
        return problem, hint
    return None, None


def _unscaled(hu: np.ndarray) -> bool:
    dense = np.count_nonzero(hu > _BONE) / hu.size
    return np.count_nonzero(hu > _METAL) > 0.01 * hu.size or (dense > 0.1 and np.percentile(hu, 1) > _AIR)
