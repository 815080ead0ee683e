"""Scans and masks of patients on the grid of a network: read once, resampled, windowed and cached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.scans import part_of, scan_of
from mmfusion.errors import DataError, MMFusionError, ScanError
from mmfusion.imaging import Volume, read, read_mask
from mmfusion.imaging.plausible import check_scan
from mmfusion.imaging.structures.placing import warn_outside
from mmfusion.lesions.labels import check_together, checked_mask, given, mask_on_grid
from mmfusion.modalities import scan_modality
from mmfusion.storage.cache import cached, fingerprint
from mmfusion.storage.hashing import checksum

_VERSION = 2  # increase it if the code gives other arrays, so that cached ones are not used


@dataclass(frozen=True, eq=False)
class Prepared:
    """The scans of one patient on the grid of a network.

    Parameters
    ----------
    image : ndarray of float16, shape (c, z, y, x)
        One channel per modality, mapped to [0, 1] by the window of the modality.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) of `image` to LPS mm.

    Examples
    --------
    >>> Prepared(np.zeros((2, 8, 16, 16), np.float16), np.eye(4)).image.shape  # CT and PET
    (2, 8, 16, 16)
    """

    image: np.ndarray
    affine: np.ndarray


class ScanReader:
    """Reader of the scans and masks of patients, with one grid spacing for all.

    Files are resampled once, and then memory-mapped from the cache. The grid is that of the first modality;
    scans of the others are resampled to it.

    Parameters
    ----------
    modalities : sequence of str
        Modalities of scans, in the order of the channels.
    spacing : (z, y, x)
        Voxel size of the grid, mm.

    Examples
    --------
    >>> scan = Volume(np.full((4, 8, 8), -300, np.int16), np.diag([1.0, 1.0, 2.0, 1.0]))
    >>> scan.array[:, :3] = -1000
    >>> row = pd.Series({("ct", "volume"): scan}, name="P1")
    >>> prepared = ScanReader(("ct",), (2.0, 2.0, 2.0)).prepare(row)
    >>> prepared.image.shape, float(prepared.image[0, 0, 3, 0])
    ((1, 4, 4, 4), 0.5)
    """

    def __init__(self, modalities: Sequence[str], spacing: Sequence[float]) -> None:
        self.modalities, self.spacing = tuple(modalities), tuple(float(mm) for mm in spacing)

    def lacking(self, row: pd.Series) -> list[str]:
        """Return the modalities of which a patient has no scan; no file is read."""
        return [m for m in self.modalities if not given(row.get((m, "volume")), row.name, f"{m} volume")]

    def prepare(self, row: pd.Series, scan: Volume | None = None) -> Prepared:
        """Return the scans of a patient on the grid of the network.

        Parameters
        ----------
        row : Series
            One row of `Cohort.X`; its name is the patient id. Each volume is a path, or a Volume.
        scan : Volume, optional
            The scan of the first modality, if it was read before.

        Raises
        ------
        DataError
            If the patient lacks a scan.
        ScanError
            If a scan cannot be read, is of another modality, or is of another patient than the first, as far
            as positions and frames of reference show. The errors name the patient.
        """
        self.check(row)
        key = self._key(row)
        with named(row.name):
            if key is None:
                return self._prepare(row, scan)
            made: list[Prepared] = []

            def prepared() -> Prepared:
                if not made:
                    made.append(self._prepare(row, scan))
                return made[0]

            image = cached("lesions", key | {"part": "image"}, lambda: prepared().image)
            affine = cached("lesions", key | {"part": "affine"}, lambda: prepared().affine)
            return Prepared(image, affine)

    def content(self, row: pd.Series) -> str:
        """Return a hash of the voxels of the first scan; a copy in another file has the same hash."""
        path, series, _ = scan_of(row[self.modalities[0]].rename(row.name))
        if isinstance(path, Volume):
            return _content(path).tobytes().hex()
        with named(row.name):
            key = {"content of": fingerprint(path), "series": series, "version": _VERSION}
            return cached("lesions", key, lambda: _content(self.scan(row))).tobytes().hex()

    def check(self, row: pd.Series) -> None:
        """Raise a `DataError` that names the patient if a scan is missing."""
        for modality in self.lacking(row):
            raise DataError(
                f"no {scan_modality(modality).title} scan",
                patient=row.name,
                column=f"{modality} volume",
                expected=f"a scan of each of {', '.join(self.modalities)}",
                hint="leave the patient out, or fit a model with fewer modalities",
            )

    def scan(self, row: pd.Series) -> Volume:
        """Return the scan of the first modality, as it was read."""
        self.check(row)
        with named(row.name):
            return _scan(row, self.modalities[0])

    def mask(self, row: pd.Series, label: object, prepared: Prepared) -> np.ndarray:
        """Return a mask on the grid of the network, uint8, shape (z, y, x).

        Parameters
        ----------
        row : Series
            One row of `Cohort.X`; `mask_part` of the first modality selects a region of a file.
        label : path or Volume
            The mask, on any grid.
        prepared : Prepared
            Scans of the patient.

        Raises
        ------
        ScanError
            If the file cannot be read, holds several regions and none is selected, or lies outside the scan.
        DataError
            If the label is neither a path nor a Volume, or a Volume has other values than 0 and 1.

        Warns
        -----
        ScanWarning
            If a part of the mask lies outside the scan.
        """
        part = self.part(row)
        given(label, row.name, "mask")

        shape = prepared.image.shape[1:]

        def on_grid(mask: Volume) -> np.ndarray:
            return mask_on_grid(mask, prepared.affine, shape)

        with named(row.name):
            if isinstance(label, Volume):
                scan = self.scan(row) if label.frame_of_reference else None
                there = on_grid(checked_mask(label, scan, row.name))
                warn_outside(label, prepared.affine, shape, f"patient {row.name}, mask")
                return there

            def make() -> np.ndarray:
                return on_grid(read_mask(label, self.scan(row), part))

            key = self._key(row)
            if key is None:
                return make()
            return cached("lesions", key | {"mask": fingerprint(label), "mask_part": part}, make)

    def part(self, row: pd.Series) -> str | None:
        """Return the name or number of the region of the mask that `mask_part` selects, if there is one."""
        return part_of(row.get((self.modalities[0], "mask_part")))

    def _key(self, row: pd.Series) -> dict[str, object] | None:
        """Return everything that the arrays of a patient depend on; None if a scan is not a file."""
        scans = []
        for modality in self.modalities:
            path, series, _ = scan_of(row[modality].rename(row.name))
            if isinstance(path, Volume):
                return None
            with named(row.name):
                scans.append([modality, fingerprint(path), series, list(scan_modality(modality).window)])
        return {"scans": scans, "spacing": list(self.spacing), "version": _VERSION}

    def _prepare(self, row: pd.Series, scan: Volume | None) -> Prepared:
        first = _scan(row, self.modalities[0]) if scan is None else scan
        grid = first.resample(self.spacing)
        image = np.empty((len(self.modalities), *grid.shape), np.float16)
        image[0] = _windowed(grid, self.modalities[0])
        for channel, modality in enumerate(self.modalities[1:], 1):
            other = _scan(row, modality)
            check_together(first, other, f"{modality} volume")
            image[channel] = _windowed(other.like(grid), modality)
        return Prepared(image, grid.affine)


@contextmanager
def named(patient: object) -> Iterator[None]:
    """Add the patient to an error that names none.

    Examples
    --------
    >>> with named("P1"):
    ...     raise ScanError("damaged")
    Traceback (most recent call last):
    mmfusion.errors.ScanError: patient P1: damaged
    """
    try:
        yield
    except MMFusionError as error:
        error.patient = patient if error.patient is None else error.patient
        raise


def _scan(row: pd.Series, modality: str) -> Volume:
    path, series, _ = scan_of(row[modality].rename(row.name))
    kind = scan_modality(modality)
    scan = path if isinstance(path, Volume) else read(path, series, unit=kind.unit)
    scan.expect(kind.unit, f"{modality} volume")
    if isinstance(path, Volume):
        if not np.isfinite(scan.array).all():
            raise ScanError("values that are not numbers", column=f"{modality} volume")
        check_scan(scan.array, kind.unit, None)
    return scan


def _content(scan: Volume) -> np.ndarray:
    """Return the hash of a scan's voxels as an array of bytes, which the cache can hold."""
    array = scan.to_lps().array
    whole = np.rint(np.clip(array, -32768, 32767)).astype(np.int16) if scan.unit == "HU" else array
    return np.frombuffer(checksum(str(array.shape).encode(), np.ascontiguousarray(whole)), np.uint8)


def _windowed(scan: Volume, modality: str) -> np.ndarray:
    low, high = scan_modality(modality).window
    return np.clip((scan.array - low) / (high - low), 0, 1, dtype=np.float32)
