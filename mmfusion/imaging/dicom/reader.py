"""Read a CT or PET series of DICOM as a volume, whole or only a box of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.display import FullTable
from mmfusion.errors import ScanError, gathered
from mmfusion.imaging.affine import lps_axes, spacing_of
from mmfusion.imaging.dicom.archive import members
from mmfusion.imaging.dicom.choose import SeriesRules, choose_series
from mmfusion.imaging.dicom.header import Header
from mmfusion.imaging.dicom.pet import suv_factors
from mmfusion.imaging.dicom.pixels import Scaling, SlicedArray, stored_shape
from mmfusion.imaging.dicom.series import Found, Series, look_through
from mmfusion.imaging.hu import PADDING_HU
from mmfusion.imaging.plausible import check_values, sampled_slices
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import BY_DICOM


def read_series(path: str | Path, series: SeriesRules = None, unit: str | None = None) -> Volume:
    """Read a CT or PET series; see `mmfusion.imaging.read`."""
    with open_series(path, series, unit) as volume:
        return replace(volume, array=volume.array[:, :, :])


def read_series_crop(
    path: str | Path,
    center_mm: Sequence[float],
    size_mm: float | Sequence[float],
    spacing: float | Sequence[float] | None = None,
    *,
    series: SeriesRules = None,
    unit: str | None = None,
    fill: float | None = None,
) -> Volume:
    """Read a box of a CT or PET series; see `mmfusion.imaging.read_crop`."""
    with open_series(path, series, unit) as volume:
        return volume.crop(center_mm, size_mm, spacing, fill)


def list_series(path: str | Path) -> pd.DataFrame:
    """List the DICOM series of a folder, ZIP or file. Only headers are read.

    Returns
    -------
    DataFrame
        One row per series, in order of SeriesNumber. Columns: `uid`, `modality`, `description`, `number`,
        `n_slices`, `shape` (slices, rows, columns; None if the slices cannot be stacked), `z_mm`, `y_mm`,
        `x_mm` (distance between slices and spacing of pixels), `problem` (why `read` would refuse the series,
        as far as headers tell; "" if it would not), `n_files` (files used), `n_lost` (files at the path that
        may be slices, but cannot be understood), `account` (a sentence about files that are not used).

    Raises
    ------
    ScanError
        If a file is damaged or `path` does not exist.
    """
    path = Path(path)
    if not path.exists():
        raise ScanError("no such scan", file=path)
    with members(path) as found:
        through = look_through(found)
        rows = [
            [s.uid, s.modality, s.description, s.number, len(s.slices), *_look(s, through, path)]
            for s in through.series
        ]
    columns = [
        "uid",
        "modality",
        "description",
        "number",
        "n_slices",
        "shape",
        "z_mm",
        "y_mm",
        "x_mm",
        "problem",
        "n_files",
        "n_lost",
        "account",
    ]
    return FullTable(rows, columns=columns)


def _look(series: Series, through: Found, path: Path) -> tuple[object, ...]:
    """Return shape, spacing, problem and account of a series, for `list_series`."""
    shape, spacing, problem, slices = None, (np.nan,) * 3, series.problem, series.slices
    if not problem:
        try:
            with gathered():
                slices, affine = series.placed(path)
            shape, spacing = stored_shape(slices), spacing_of(affine)
            _SCALING[series.modality](slices)
        except ScanError as error:
            problem = str(error)
    account = through.account(series, slices, sound=not problem)
    return (shape, *spacing, problem, account.used, account.n_lost, str(account))


@contextmanager
def open_series(path: str | Path, series: SeriesRules = None, unit: str | None = None) -> Iterator[Volume]:
    """Open a series as a volume in LPS orientation whose pixels are read when its array is indexed.

    The headers of all slices are read and checked, and the values of three slices.
    """
    path = Path(path)
    with members(path) as found:
        through = look_through(found)
        chosen = choose_series(through.series, series, path, unit, through.others)
        slices, affine = chosen.placed(path)
        account = through.account(chosen, slices)
        shape = stored_shape(slices)
        scaling = _SCALING[chosen.modality](slices)
        unit = BY_DICOM[chosen.modality].unit
        order, flip, affine = lps_axes(affine, shape)
        array = SlicedArray(slices, scaling, order, flip)
        check_values(array.planes(sampled_slices(len(slices))), unit, path)
        frame = slices[0].text("FrameOfReferenceUID") or None
        account.warn(path)
        yield Volume(array, affine, chosen.modality, unit, frame, chosen.uid, account)


def _hu(slices: Sequence[Header]) -> Scaling:
    """Return how stored CT values become HU; int16 if slopes and intercepts are whole numbers."""
    slopes, intercepts = [], []
    for header in slices:
        header.expect(("RescaleSlope", "RescaleIntercept"))
        slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
        if not 0 < slope <= 100:
            raise header.error(
                "values that cannot be HU", "RescaleSlope", expected="above 0, to 100", got=slope
            )
        if not -70_000 <= intercept <= 70_000:
            raise header.error("values that cannot be HU", "RescaleIntercept", got=intercept)
        if intercept > -500 and header.number("PixelRepresentation") == 0:
            problem, expected = "values that cannot be HU: air would be above -500", "about -1024"
            raise header.error(
                problem, "RescaleIntercept", expected=expected, got=intercept, hint="export it again"
            )
        if header.text("RescaleType").upper() not in ("", "HU", "US"):
            raise header.error(
                "values that are not HU", "RescaleType", expected="HU", got=header.text("RescaleType")
            )
        slopes.append(slope)
        intercepts.append(intercept)
    whole = all(value.is_integer() for value in (*slopes, *intercepts))
    return Scaling(slopes, intercepts, PADDING_HU, PADDING_HU, np.dtype(np.int16 if whole else np.float32))


def _suv(slices: Sequence[Header]) -> Scaling:
    slopes, intercepts = [], []
    for header, factor in zip(slices, suv_factors(slices), strict=True):
        header.expect(("RescaleSlope",))
        slope = header.number("RescaleSlope")
        slope, intercept = slope * factor, (header.number("RescaleIntercept") or 0.0) * factor
        if not (0 < slope < 1000 and abs(intercept) < 1e4):
            got = f"{slope:.4g} x stored value + {intercept:.4g}"
            raise header.error(
                "values that cannot be SUV", "RescaleSlope", expected="SUV of about 0 to 1000", got=got
            )
        slopes.append(slope)
        intercepts.append(intercept)
    return Scaling(slopes, intercepts, -np.inf, 0.0, np.dtype(np.float32))


_SCALING = {"CT": _hu, "PT": _suv}
