"""Crop a scan to the cube that a network reads: a window of values, at one spacing, around one point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.scans import scan_of
from mmfusion.errors import DataError, ScanError, warn
from mmfusion.imaging.files import read, read_crop
from mmfusion.imaging.plausible import check_scan
from mmfusion.imaging.restoration import Identity, Restorer, make_restorer
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import Modality, scan_modality
from mmfusion.preprocessing.base import FoldFitted
from mmfusion.preprocessing.crop_box import crop_box
from mmfusion.preprocessing.histograms import HistogramMatching
from mmfusion.preprocessing.hu_only import check_hu_only
from mmfusion.storage.cache import cached, fingerprint

MODES = ("tumour", "lung")
_VERSION = (
    3  # version of the crops; increase it if the code gives other crops, so that cached ones are not used
)
_CONTEXT_MM = 16.0  # around a crop, which a restorer reads too
SPLIT_HU = -500.0  # between lung and tissue; their histograms are matched separately


class SeedWarning(UserWarning):
    """Warning that a scan has no seed, which is a point in the tumour."""


def standard_crop(
    scan: Volume | str | Path,
    center_mm: Sequence[float] | None = None,
    side: int = 32,
    spacing: float = 3.0,
    window: tuple[float, float] | None = None,
    *,
    mode: str = "tumour",
    restore: str | Mapping[str, object] = "identity",
    series: str | None = None,
    modality: str = "ct",
) -> np.ndarray:
    """Return the cube of a scan that networks read; the cube of a file is cached.

    Parameters
    ----------
    scan : Volume or path
        Volume in the unit of the modality (HU or SUVbw), or a path that `mmfusion.imaging.read` accepts. If a
        DICOM folder has several series, the series of the modality is read.
    center_mm : (x, y, z), optional
        Centre of the cube, LPS mm. Default: for a CT the centre of the lung field, or of the scan if no lung
        is found; for a PET the middle of the scan.
    side : int
        Number of voxels along an edge of the cube, at least 2.
    spacing : float
        Voxel size, mm, above 0. In mode "lung" it follows from the size of the lungs.
    window : (low, high), optional
        Values that are mapped to 0 and 1. Default: -1000 to 400 HU, or 0 to 15 SUVbw.
    mode : {"tumour", "lung"}
        "tumour": a cube around `center_mm`. "lung": the box around both lungs with a margin of 10 mm,
        stretched to a cube (CT only).
    restore : str or mapping
        Name of a restorer (`mmfusion.list_restorers()`), or a mapping with "name" and its options. The
        restorer reads the crop and 16 mm around it, before resampling (CT only).
    series : str, optional
        Series to read if there are several; see `mmfusion.imaging.read`.
    modality : {"ct", "pet"}
        Modality of the scan.

    Returns
    -------
    ndarray of float32, shape (side, side, side)
        Values in [0, 1]; 0 outside the field of view.

    Raises
    ------
    ScanError
        If the scan cannot be read or trusted, if it has another modality, or if the point lies outside the
        scan.
    DataError
        If an option is out of range, or if an option for CT is chosen for another modality.

    Examples
    --------
    >>> scan = Volume(np.full((20, 20, 20), -300, dtype=np.int16), np.diag([3.0, 3.0, 3.0, 1.0]))
    >>> scan.array[:, :2] = -1000
    >>> cube = standard_crop(scan, (27.0, 27.0, 27.0), side=8)
    >>> cube.shape, round(float(cube[4, 4, 4]), 3)
    ((8, 8, 8), 0.5)
    """
    kind = scan_modality(modality)
    side, spacing, window = _checked(side, spacing, kind.window if window is None else window, mode)
    check_hu_only(modality, mode=mode, restore=restore)
    center = None if center_mm is None or mode == "lung" else [float(v) for v in center_mm]
    restorer = make_restorer(restore)
    if isinstance(scan, Volume):
        _check_volume(scan, kind)
        return _crop(scan, None, center, side, spacing, window, mode, restorer, kind)
    if not Path(scan).exists():
        raise ScanError("no such scan", file=scan)
    options = {"center": center, "side": side, "spacing": spacing, "window": window, "mode": mode}
    key = {
        "scan": fingerprint(scan),
        "series": series,
        "modality": modality,
        "version": _VERSION,
        "restore": restorer.key(),
        **options,
    }
    try:
        return cached(
            "crops", key, lambda: _crop(scan, series, center, side, spacing, window, mode, restorer, kind)
        )
    except ScanError as error:
        error.file = error.file or scan
        raise


class ScanTransformer(FoldFitted):
    """Transformer that reads the scans of one imaging modality as cubes; only `harmonise` learns from data.

    It reads the columns `volume`, `volume_part` (name of the series, if there are several) and `seed_x`,
    `seed_y`, `seed_z` (LPS mm) of its own modality. A CT without a seed is cropped around the centre of its
    lung field. A PET without a seed is cropped around its middle, because it does not show the lungs. One
    `SeedWarning` lists the patients without a seed. `transform` returns float32 (n, 1, side, side, side) in
    [0, 1]; zeros for patients without a scan.

    Parameters
    ----------
    side : int
        Number of voxels along an edge of the cube, at least 2.
    spacing : float
        Voxel size, mm.
    window : (low, high), optional
        Values that are mapped to 0 and 1. Default: the window of the modality.
    mode : {"tumour", "lung"}
        "tumour": a cube around the seed. "lung": the box around both lungs, stretched to a cube; seeds are
        not read (CT only).
    restore : str or mapping
        As for `standard_crop`. At prediction a network must have the same weights as in `fit`.
    harmonise : {None, "histogram"}
        Match the grey values of each cube to the grey values of the patients in `fit` (`HistogramMatching`;
        CT only).
    modality : {"ct", "pet"}
        Modality of the scans.

    Attributes
    ----------
    restored_by_ : dict of str to object
        Name, options and hash of the weights of the restorer in `fit`.
    matching_ : HistogramMatching or None
        Histogram matching that was fitted to the cubes in `fit`.

    Examples
    --------
    >>> ScanTransformer(side=16).window_, ScanTransformer(modality="pet").window_
    ((-1000.0, 400.0), (0.0, 15.0))
    """

    def __init__(
        self,
        side: int = 32,
        spacing: float = 3.0,
        window: tuple[float, float] | None = None,
        mode: str = "tumour",
        *,
        restore: str | Mapping[str, object] = "identity",
        harmonise: str | None = None,
        modality: str = "ct",
    ) -> None:
        self.side = side
        self.spacing = spacing
        self.window = window
        self.mode = mode
        self.restore = restore
        self.harmonise = harmonise
        self.modality = modality

    @property
    def window_(self) -> tuple[float, float]:
        """Values that are mapped to 0 and 1, in the unit of the modality."""
        return scan_modality(self.modality).window if self.window is None else tuple(self.window)

    def _has(self, frame: pd.DataFrame) -> np.ndarray:
        if "volume" not in frame:
            raise DataError("no scans in this frame", column="volume", expected="a path per patient")
        return frame["volume"].notna().to_numpy()

    def _fit(self, frame: pd.DataFrame) -> None:
        _, _, window = _checked(self.side, self.spacing, self.window_, self.mode)
        check_hu_only(self.modality, mode=self.mode, restore=self.restore, harmonise=self.harmonise)
        if self.harmonise not in (None, "histogram"):
            raise DataError(
                "unknown way to harmonise scans", expected="None or histogram", got=self.harmonise
            )
        self.restored_by_, self.matching_ = make_restorer(self.restore).key(), None
        if self.harmonise:
            split = (SPLIT_HU - window[0]) / (window[1] - window[0])
            self.matching_ = HistogramMatching(split=split if 0 < split < 1 else None).fit(self._read(frame))

    def _transform(self, frame: pd.DataFrame) -> np.ndarray:
        before = getattr(self, "restored_by_", {"name": "identity"})  # bundles of the first release lack it
        if len(frame) and (now := make_restorer(self.restore).key()) != before:
            raise DataError("scans would not be restored as in fit", expected=before, got=now)
        out = self._read(frame)
        self._warn([patient for patient, row in frame.iterrows() if scan_of(row)[2] is None])
        matching = getattr(self, "matching_", None)
        return out if matching is None else matching.transform(out)

    def _read(self, frame: pd.DataFrame) -> np.ndarray:
        out = np.empty((len(frame), 1, self.side, self.side, self.side), dtype=np.float32)
        names = ("side", "spacing", "window", "mode", "restore", "modality")
        options = {name: getattr(self, name) for name in names}
        for k, (patient, row) in enumerate(frame.iterrows()):
            path, series, seed = scan_of(row)
            try:
                out[k, 0] = standard_crop(path, seed, series=series, **options)
            except ScanError as error:
                error.patient = error.patient or patient
                raise
        return out

    def _warn(self, patients: list[object]) -> None:
        if patients and self.mode == "tumour":
            names = ", ".join(map(str, patients))
            where = "the lung field's centre" if self.modality == "ct" else "its middle"
            scan = "scan" if self.modality == "ct" else scan_modality(self.modality).title
            text = f"no seed in the {scan} of {len(patients)} patient(s), read at {where}: {names}"
            warn(text, SeedWarning, stacklevel=4)


def _checked(
    side: int, spacing: float, window: Sequence[float], mode: str
) -> tuple[int, float, tuple[float, float]]:
    """Return the options as plain numbers, so that equal options have equal cache keys."""
    if mode not in MODES:
        raise DataError("unknown way to crop", expected=", ".join(MODES), got=mode)
    if side < 2 or int(side) != side:
        raise DataError("side of the crop out of range", expected="2 voxels or more", got=side)
    if not spacing > 0:
        raise DataError("spacing of the crop out of range", expected="mm above 0", got=spacing)
    low, high = (float(v) for v in window)
    if not low < high:
        raise DataError("not a window", expected="(low, high)", got=window)
    return int(side), float(spacing), (low, high)


def _check_volume(scan: Volume, modality: Modality) -> None:
    """Raise a ScanError that names the modality, unless a Volume is a scan of it."""
    scan.expect(modality.unit, modality.name)
    try:
        check_scan(scan.array, modality.unit, None)
    except ScanError as error:
        error.column = modality.name
        raise


def _crop(
    scan: Volume | str | Path,
    series: str | None,
    center: list[float] | None,
    side: int,
    spacing: float,
    window: tuple[float, float],
    mode: str,
    restorer: Restorer,
    modality: Modality,
) -> np.ndarray:
    restored = not isinstance(restorer, Identity)
    if not isinstance(scan, Volume):
        if center is not None and not restored:
            size, options = np.full(3, side * spacing), {"unit": modality.unit, "fill": window[0]}
            crop = read_crop(scan, center, size, size / side, series=series, **options)
            return _windowed(crop, window, modality)
        scan = read(scan, series, unit=modality.unit)
    scan.expect(modality.unit)
    center, size = crop_box(scan, center, side, spacing, mode)
    if restored:
        scan = restorer(scan.around(center, size + 2 * _CONTEXT_MM))
    return _windowed(scan.crop(center, size, size / side, fill=window[0]), window, modality)


def _windowed(scan: Volume, window: tuple[float, float], modality: Modality) -> np.ndarray:
    scan.expect(modality.unit)
    low, high = window
    return np.clip((scan.array - low) / (high - low), 0, 1, dtype=np.float32)
