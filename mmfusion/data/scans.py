"""One patient's scan, as a cohort's row names it: the volume, the lesion in it, and a point in the tumour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging import Volume, read, read_mask
from mmfusion.modalities import SEED, scan_modality


@dataclass(frozen=True, eq=False)
class PatientScan:
    """One patient's scan with what is marked in it.

    Parameters
    ----------
    volume : Volume
    lesion : Volume or None
        On the scan's grid.
    seed : tuple of float or None
        (x, y, z), LPS mm.
    """

    volume: Volume
    lesion: Volume | None
    seed: tuple[float, float, float] | None

    @property
    def focus(self) -> str:
        """What `around` is centred on: the lesion, else the seed, else the middle of the scan."""
        return "the lesion" if self.lesion is not None else "the middle" if self.seed is None else "the seed"

    def around(self, size_mm: float) -> Volume:
        """The scan's own voxels in a cube round its `focus`: whole ones, so a voxel more or less than `size_mm`."""
        center = self.volume.center_mm if self.seed is None else self.seed
        if self.lesion is not None:
            middle = [(s.start + s.stop - 1) / 2 for s in self.lesion.bounding_box()]
            center = self.lesion.voxel_to_mm(middle[::-1])
        between_centers = np.maximum(size_mm - np.array(self.volume.spacing), 0)
        return self.volume.around(center, between_centers)


def open_scan(cohort: Cohort, patient: str, modality: str = "ct", *, marked: bool = True) -> PatientScan:
    """Read the scan of one patient and, if `marked`, its mask where the cohort has one.

    Raises
    ------
    ScanError
        If one of them cannot be read, or is of another modality; it names the patient.
    DataError
        As of `scan_of`.
    """
    row = cohort.table.loc[patient, modality]
    path, series, seed = scan_of(row)
    try:
        volume = read(path, series, unit=scan_modality(modality).unit)
        mask = row.get("mask")
        lesion = (
            None if pd.isna(mask) or not marked else read_mask(mask, volume, _given(row.get("mask_part")))
        )
    except ScanError as error:
        error.patient = error.patient or patient
        raise
    return PatientScan(volume, lesion, seed)


def scan_of(row: pd.Series) -> tuple[str | Volume, str | None, tuple[float, float, float] | None]:
    """What a cohort's row says of a scan; nothing is read.

    Parameters
    ----------
    row : Series
        One patient's cells of an imaging modality; its name is the patient.

    Returns
    -------
    path : str or Volume
        Of the scan; at prediction, the scan itself.
    series : str or None
        Which series of it, as of `mmfusion.imaging.read`.
    seed : (x, y, z) or None
        A point in the tumour, LPS mm.

    Raises
    ------
    DataError
        If there is no scan, or a seed that is not three numbers.
    """
    if pd.isna(path := row.get("volume")):
        raise DataError("no scan", patient=row.name, column="volume", expected="a path")
    return path, _given(row.get("volume_part")), _seed(row)


def seeds_wanted(absent: int, scans: int, modality: str = "ct") -> str:
    """Return what to tell a person whose scans have no point in the tumour."""
    if modality != "ct":
        return (
            f"{absent} of {scans} {scan_modality(modality).title} scans have no seed, and are read at their middle: "
            "give a table patient_id, seed_x, seed_y, seed_z (LPS mm); the seeds of another scan are not used, but "
            "where both have one frame of reference, a manifest may name their table twice"
        )
    return (
        f"{absent} of {scans} scans have no seed: give a table patient_id, seed_x, seed_y, seed_z (LPS mm), or "
        'crop_mode="lung"; lesion masks are not used to place the crop'
    )


def _seed(row: pd.Series) -> tuple[float, float, float] | None:
    cells = [row.get(column) for column in SEED]
    if all(pd.isna(cell) for cell in cells):
        return None
    try:
        seed = tuple(float(cell) for cell in cells)
    except (TypeError, ValueError):
        seed = (np.nan,) * 3
    if not np.isfinite(seed).all():
        expected = "three numbers, LPS mm"
        raise DataError("not a seed", patient=row.name, column=", ".join(SEED), expected=expected, got=cells)
    return seed


def _given(cell: object) -> str | None:
    return None if pd.isna(cell) else str(cell)
