"""The geometry of a series: slices sorted by position. Uneven spacing or a tilted gantry is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.affine import stacked
from mmfusion.imaging.dicom.header import Header

_HINT_TILT = "resample the scan to an upright grid first; slices may not be stacked as they are"
_NEEDED = {
    "Rows": 1,
    "Columns": 1,
    "PixelSpacing": 2,
    "ImageOrientationPatient": 6,
    "ImagePositionPatient": 3,
}
_ALIKE = {"Rows": 0, "Columns": 0, "PixelSpacing": 1e-3, "ImageOrientationPatient": 1e-3}  # tag -> tolerance
PLAUSIBLE_MM = (0.01, 100)  # sizes of a voxel


def series_affine(slices: Sequence[Header], path: Path) -> tuple[list[Header], np.ndarray]:
    """Return the slices in order and the affine of a series.

    Only ImagePositionPatient, ImageOrientationPatient and PixelSpacing are used.

    Parameters
    ----------
    slices : sequence of Header
        In any order.
    path : Path
        Path of the series, for messages.

    Returns
    -------
    slices : list of Header
        Sorted along the normal of the slices.
    affine : ndarray, shape (4, 4)
        From voxel (x, y, z) to LPS mm.

    Raises
    ------
    ScanError
        If slices differ in shape, orientation or pixel spacing, are doubled, missing or unevenly spaced, or
        if the gantry was tilted, or values are implausible.

    Examples
    --------
    >>> from mmfusion.imaging.affine import spacing_of
    >>> from mmfusion.imaging.dicom.archive import Member
    >>> values = {"Rows": 64, "Columns": 64, "PixelSpacing": [0.7, 0.7]}
    >>> values["ImageOrientationPatient"] = [1, 0, 0, 0, 1, 0]
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> slices = [
    ...     Header(member, values | {"ImagePositionPatient": [0, 0, z]}, "", None, None) for z in (5, 0, 2.5)
    ... ]
    >>> slices, affine = series_affine(slices, Path("scan"))
    >>> [header.value("ImagePositionPatient")[2] for header in slices], spacing_of(affine)
    ([0, 2.5, 5], (2.5, 0.7, 0.7))
    """
    for header in slices:
        header.expect(_NEEDED)
    placed = {tag: np.array([h.numbers(tag, n) for h in slices]) for tag, n in _NEEDED.items()}
    for tag, tolerance in _ALIKE.items():
        odd = np.flatnonzero(np.abs(placed[tag] - placed[tag][0]).max(axis=1) > tolerance)
        if odd.size:
            header = slices[odd[0]]
            expected, got = slices[0].value(tag), header.value(tag)
            raise header.error("a slice unlike the others", tag, expected=expected, got=got)
    row, column = _orientation(slices[0], placed["ImageOrientationPatient"][0])
    y_mm, x_mm = placed["PixelSpacing"][0]
    if not all(PLAUSIBLE_MM[0] <= mm <= PLAUSIBLE_MM[1] for mm in (y_mm, x_mm)):
        raise slices[0].error("implausible pixel size", "PixelSpacing", expected="mm", got=[y_mm, x_mm])
    normal = np.cross(row, column)
    position = placed["ImagePositionPatient"]
    depth = position @ normal
    order = np.argsort(depth, kind="stable")
    slices, position, depth = [slices[i] for i in order], position[order], depth[order]
    if np.abs(position).max() > 1e5:
        got = position[0].tolist()
        raise slices[0].error("implausible slice position", "ImagePositionPatient", expected="mm", got=got)
    _check_tilt(slices, position, normal, min(y_mm, x_mm), path)
    return slices, stacked(row, column, (_step(slices, depth), y_mm, x_mm), position[0])


def _orientation(header: Header, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors along rows and columns."""
    row, column = cosines.reshape(2, 3)
    if not np.allclose([row @ row, column @ column], 1, atol=1e-2) or abs(row @ column) > 1e-3:
        expected = "two unit vectors at right angles"
        raise header.error(
            "not an orientation", "ImageOrientationPatient", expected=expected, got=cosines.tolist()
        )
    return row / np.linalg.norm(row), column / np.linalg.norm(column)


def _check_tilt(
    slices: list[Header], position: np.ndarray, normal: np.ndarray, pixel: float, path: Path
) -> None:
    tilt = slices[0].number("GantryDetectorTilt") or 0.0
    if abs(tilt) > 0.5:
        raise ScanError("the gantry was tilted", file=path, got=f"{tilt:.1f} degrees", hint=_HINT_TILT)
    way = position - position[0]
    along = way @ normal
    aside = np.linalg.norm(way - along[:, None] * normal, axis=1)
    if aside[-1] > max(pixel / 2, 0.1):
        angle = np.rad2deg(np.arctan2(aside[-1], along[-1]))
        problem = "slices are shifted against each other, as by a tilted gantry"
        raise ScanError(problem, file=path, got=f"{angle:.1f} degrees", hint=_HINT_TILT)
    k = int(aside.argmax())
    if aside[k] > max(pixel / 2, 0.1):
        hint = "are two scans mixed?"
        raise ScanError(
            "a slice shifted against the others", file=slices[k].name, got=f"{aside[k]:.1f} mm", hint=hint
        )


def _step(slices: list[Header], depth: np.ndarray) -> float:
    """Return the distance between slices in mm; for a single slice, its thickness."""
    if len(slices) == 1:
        thickness = slices[0].number("SpacingBetweenSlices") or slices[0].number("SliceThickness") or 0.0
        if not PLAUSIBLE_MM[0] <= abs(thickness) <= PLAUSIBLE_MM[1]:
            raise slices[0].error("a single slice without thickness", "SliceThickness", got=thickness or None)
        return abs(thickness)
    gaps = np.diff(depth)
    doubled = np.flatnonzero(gaps < 1e-2)
    if doubled.size:
        k = doubled[0]
        problem, hint = f"two slices at one place, {depth[k]:.2f} mm", "are two scans or phases mixed?"
        raise ScanError(problem, file=slices[k + 1].name, got=f"also {slices[k].name}", hint=hint)
    usual = float(
        np.sort(gaps)[(len(gaps) - 1) // 2]
    )  # lower median: one gap among few slices is still seen as one
    odd = np.flatnonzero(np.abs(gaps - usual) > max(0.1 * usual, 0.05))
    step = float((depth[-1] - depth[0]) / len(gaps))
    if not odd.size:  # gaps that grow little by little
        drift = np.abs(depth - depth[0] - step * np.arange(len(depth)))
        odd = np.array([drift.argmax() - 1]) if drift.max() > max(0.25 * step, 0.05) else odd
    if odd.size:
        _complain(slices, depth, int(odd[0]), usual)
    if step > PLAUSIBLE_MM[1]:
        raise ScanError("implausible slice spacing", file=slices[0].name, got=f"{step:.4g} mm")
    return step


def _complain(slices: list[Header], depth: np.ndarray, k: int, usual: float) -> None:
    gap = depth[k + 1] - depth[k]
    times = gap / usual
    missing = round(times) - 1
    file = slices[k].name
    where = f"between {depth[k]:.2f} and {depth[k + 1]:.2f} mm ({file} and {slices[k + 1].name})"
    if missing >= 1 and abs(times - round(times)) < 0.1 * times:
        plural = "slice is" if missing == 1 else "slices are"
        hint = "find what is missing; a gap is not filled"
        raise ScanError(
            f"{missing} {plural} missing {where}", file=file, expected=f"every {usual:.2f} mm", hint=hint
        )
    hint = "resample the scan to even spacing first, or choose another reconstruction"
    raise ScanError(
        f"uneven spacing {where}", file=file, expected=f"{usual:.2f} mm", got=f"{gap:.2f} mm", hint=hint
    )
