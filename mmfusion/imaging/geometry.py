"""Where the slices of a series lie: sorted, evenly spaced, at right angles, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from mmfusion.errors import ScanError

_TILT = np.sin(np.deg2rad(0.5))  # below half a degree is rounding of positions
_HINT_TILT = "resample the scan to an upright grid first; slices may not be stacked as they are"


def series_affine(slices: Mapping[str, Dataset], path: Path) -> tuple[list[str], np.ndarray]:
    """Order and affine of a series, from ImagePositionPatient, ImageOrientationPatient and PixelSpacing alone.

    Parameters
    ----------
    slices : mapping
        File name to data set.
    path : Path
        Of the series, for messages.

    Returns
    -------
    names : list of str
        Along the slices' normal.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm.

    Raises
    ------
    ScanError
        On slices of different shape, orientation or pixel spacing; doubled, missing or unevenly spaced ones; a
        tilted gantry.
    """
    names = list(slices)
    first = slices[names[0]]
    for name in names:
        _check_alike(first, slices[name], name)
    row, column = np.array(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    if abs(row @ column) > 1e-3 or not np.allclose([row @ row, column @ column], 1, atol=1e-2):
        raise ScanError("not an orientation", file=names[0], column="ImageOrientationPatient", got=[*row, *column])
    normal = np.cross(row, column)
    position = np.array([slices[n].ImagePositionPatient for n in names], dtype=np.float64)
    depth = position @ normal
    order = np.argsort(depth, kind="stable")
    names, position, depth = [names[i] for i in order], position[order], depth[order]
    _check_tilt(first, position, normal, path)
    step = _step(first, names, depth)
    y_mm, x_mm = (float(v) for v in first.PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * x_mm, column * y_mm, normal * step])
    affine[:3, 3] = position[0]
    return names, affine


def _check_alike(first: Dataset, ds: Dataset, name: str) -> None:
    for tag, tolerance in {"Rows": 0, "Columns": 0, "PixelSpacing": 1e-3, "ImageOrientationPatient": 1e-3}.items():
        expected, got = np.array(first[tag].value, dtype=np.float64), np.array(ds[tag].value, dtype=np.float64)
        if expected.shape != got.shape or not np.allclose(expected, got, rtol=0, atol=tolerance):
            raise ScanError(
                "a slice unlike the others", file=name, column=tag, expected=first[tag].value, got=ds[tag].value
            )


def _check_tilt(first: Dataset, position: np.ndarray, normal: np.ndarray, path: Path) -> None:
    tilt = float(first.get("GantryDetectorTilt") or 0)
    if abs(tilt) > 0.5:
        raise ScanError("the gantry was tilted", file=path, got=f"{tilt:.1f} degrees", hint=_HINT_TILT)
    way = position[-1] - position[0]
    along = way @ normal
    aside = np.linalg.norm(way - along * normal)
    if aside > max(_TILT * np.linalg.norm(way), 0.1):
        angle = np.rad2deg(np.arctan2(aside, abs(along)))
        problem = "slices are shifted against each other, as by a tilted gantry"
        raise ScanError(problem, file=path, got=f"{angle:.1f} degrees", hint=_HINT_TILT)


def _step(first: Dataset, names: list[str], depth: np.ndarray) -> float:
    """Distance of slices, mm; of a single one, its thickness."""
    if len(names) == 1:
        thickness = float(first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 0)
        if thickness <= 0:
            raise ScanError("a single slice without thickness", file=names[0], column="SliceThickness")
        return thickness
    gaps = np.diff(depth)
    doubled = np.flatnonzero(gaps < 1e-2)
    if doubled.size:
        k = doubled[0]
        problem = f"two slices at one place, {depth[k]:.2f} mm"
        raise ScanError(problem, file=names[k + 1], got=f"also {names[k]}", hint="are two scans or phases mixed?")
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # lower median: one gap among few slices is still seen as one
    odd = np.flatnonzero(np.abs(gaps - usual) > max(0.1 * usual, 0.05))
    if odd.size:
        k = odd[0]
        times = gaps[k] / usual
        missing = round(times) - 1
        where = f"between {depth[k]:.2f} and {depth[k + 1]:.2f} mm ({names[k]} and {names[k + 1]})"
        if missing >= 1 and abs(times - round(times)) < 0.1 * times:
            plural = "slice is" if missing == 1 else "slices are"
            raise ScanError(f"{missing} {plural} missing {where}", file=names[k], expected=f"every {usual:.2f} mm")
        raise ScanError(f"uneven spacing {where}", file=names[k], expected=f"{usual:.2f} mm", got=f"{gaps[k]:.2f} mm")
    return float((depth[-1] - depth[0]) / (len(depth) - 1))
