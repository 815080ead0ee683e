"""From a scan to the cube that a network reads: a window of HU, at one spacing, round one point."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.errors import DataError, ScanError
from mmfusion.imaging.cache import cached, fingerprint
from mmfusion.imaging.files import read
from mmfusion.imaging.lungs import lung_field
from mmfusion.imaging.volume import Volume
from mmfusion.preprocessing.base import FoldFitted

MODES = ("tumour", "lung")
WINDOW = (-1000.0, 400.0)
_VERSION = 1  # of what a crop is: a new number makes cached ones again
_MARGIN_MM = 10.0  # round the lungs
_SEEDS = ("seed_x", "seed_y", "seed_z")


class SeedWarning(UserWarning):
    """A scan came without a point in the tumour."""


def standard_crop(
    scan: Volume | str | Path,
    center_mm: Sequence[float] | None = None,
    side: int = 32,
    spacing: float = 3.0,
    window: tuple[float, float] = WINDOW,
    *,
    mode: str = "tumour",
) -> np.ndarray:
    """The cube of a CT scan that networks read; that of a file is kept in the cache.

    Parameters
    ----------
    scan : Volume or path
        In HU; whatever `mmfusion.imaging.read` reads.
    center_mm : (x, y, z), optional
        LPS mm; default the centre of the lung field (of the scan, where no lung is found).
    side : int
        Voxels.
    spacing : float
        mm a voxel; in mode "lung" it follows from the lungs.
    window : (low, high)
        HU mapped to 0 and 1.
    mode : {"tumour", "lung"}
        A cube round `center_mm`; or the box round both lungs with 10 mm of margin, stretched to a cube.

    Returns
    -------
    ndarray of float32, shape (side, side, side)
        In [0, 1]; 0 (air) outside the field of view.

    Raises
    ------
    ScanError
        If the scan cannot be read or trusted, is not in HU, or the point lies outside it.
    DataError
        If an option is out of range.
    """
    side, spacing, window = _checked(side, spacing, window, mode)
    center = None if center_mm is None or mode == "lung" else [float(v) for v in center_mm]
    if isinstance(scan, Volume):
        return _crop(scan, center, side, spacing, window, mode)
    if not Path(scan).exists():
        raise ScanError("no such scan", file=scan)
    options = {"center": center, "side": side, "spacing": spacing, "window": window, "mode": mode}
    key = {"scan": fingerprint(scan), "version": _VERSION, **options}
    try:
        return cached("crops", key, lambda: _crop(read(scan), center, side, spacing, window, mode))
    except ScanError as error:
        error.file = error.file or scan
        raise


class ScanTransformer(FoldFitted):
    """Cubes of one imaging modality, read from its files; nothing is learned from the data.

    Reads columns `volume` and `seed_x`, `seed_y`, `seed_z` (LPS mm). A scan without a seed is read at its lung
    field's centre, and one `SeedWarning` lists such patients. `transform` gives float32 (n, 1, side, side, side) in
    [0, 1], zeros for patients without a scan.

    Parameters
    ----------
    side : int
        Voxels along an edge of the cube.
    spacing : float
        mm a voxel.
    window : (low, high)
        HU mapped to 0 and 1.
    mode : {"tumour", "lung"}
        Round the seed, or the box round both lungs stretched to a cube (seeds are not needed then).
    """

    def __init__(
        self, side: int = 32, spacing: float = 3.0, window: tuple[float, float] = WINDOW, mode: str = "tumour"
    ) -> None:
        self.side = side
        self.spacing = spacing
        self.window = window
        self.mode = mode

    def _has(self, frame: pd.DataFrame) -> np.ndarray:
        if "volume" not in frame:
            raise DataError("no scans in this frame", column="volume", expected="a path per patient")
        return frame["volume"].notna().to_numpy()

    def _fit(self, frame: pd.DataFrame) -> None:
        _checked(self.side, self.spacing, self.window, self.mode)

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        out = np.empty((len(frame), 1, self.side, self.side, self.side), dtype=np.float32)
        centers = [_seed(row, patient) for patient, row in frame.iterrows()]
        self._warn([p for p, center in zip(frame.index, centers) if center is None])
        for k, (patient, path, center) in enumerate(zip(frame.index, frame["volume"], centers)):
            options = {"side": self.side, "spacing": self.spacing, "window": self.window, "mode": self.mode}
            try:
                out[k, 0] = standard_crop(path, center, **options)
            except ScanError as error:
                error.patient = error.patient or patient
                raise
        return out

    def _warn(self, patients: list[object]) -> None:
        if patients and self.mode == "tumour":
            names = ", ".join(map(str, patients))
            text = f"no seed in the scan of {len(patients)} patient(s), read at the lung field's centre: {names}"
            warnings.warn(text, SeedWarning, stacklevel=4)


def _checked(side: int, spacing: float, window: Sequence[float], mode: str) -> tuple[int, float, tuple[float, float]]:
    """The options as plain numbers, so that equal ones have equal cache keys."""
    if mode not in MODES:
        raise DataError("unknown way to crop", expected=", ".join(MODES), got=mode)
    if side < 2 or int(side) != side:
        raise DataError("side of the crop out of range", expected="2 voxels or more", got=side)
    if not spacing > 0:
        raise DataError("spacing of the crop out of range", expected="mm above 0", got=spacing)
    low, high = (float(v) for v in window)
    if not low < high:
        raise DataError("not a window", expected="(low, high) in HU", got=window)
    return int(side), float(spacing), (low, high)


def _crop(
    scan: Volume, center: list[float] | None, side: int, spacing: float, window: tuple[float, float], mode: str
) -> np.ndarray:
    if scan.unit != "HU":
        raise ScanError("not a CT", expected="a volume in HU", got=scan.unit)
    size = np.full(3, side * spacing)
    if center is None:
        field = lung_field(scan, _MARGIN_MM)
        center = field.center_mm
        size = field.size_mm if mode == "lung" else size
    low, high = window
    hu = scan.crop(center, size, size / side, fill=low).array
    return np.clip((hu - low) / (high - low), 0, 1, dtype=np.float32)


def _seed(row: pd.Series, patient: object) -> tuple[float, float, float] | None:
    """The patient's seed in LPS mm; None where there is none."""
    cells = [row.get(column) for column in _SEEDS]
    given = [not pd.isna(cell) and cell is not None for cell in cells]
    if not any(given):
        return None
    try:
        if all(given) and np.isfinite(point := tuple(float(cell) for cell in cells)).all():
            return point
    except (TypeError, ValueError):
        pass
    raise DataError(
        "not a seed", patient=patient, column=", ".join(_SEEDS), expected="three numbers, LPS mm", got=cells
    )
