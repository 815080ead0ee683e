"""The scan of one patient of a cohort: the volume, the mask of the lesion, and a point in the tumour."""

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
    """The scan of one patient with its mask and seed.

    Parameters
    ----------
    volume : Volume
        The scan.
    lesion : Volume or None
        Mask of the lesion, on the grid of the scan; it is empty if the file says that there is none.
    seed : tuple of float or None
        (x, y, z) of a point in the tumour, LPS mm.

    Examples
    --------
    >>> array = np.zeros((20, 40, 40), np.float32)
    >>> scan = PatientScan(Volume(array, np.eye(4), unit="HU"), None, (10.0, 20.0, 10.0))
    >>> scan.focus, scan.around(8.0).shape
    ('the seed', (9, 9, 9))
    """

    volume: Volume
    lesion: Volume | None
    seed: tuple[float, float, float] | None

    @property
    def focus(self) -> str:
        """Name of the centre of `around`: the lesion, or without one the seed, or else the middle."""
        return "the lesion" if self._marked else "the middle" if self.seed is None else "the seed"

    @property
    def _marked(self) -> bool:
        """True if there is a mask that is not empty."""
        return self.lesion is not None and bool(self.lesion.array.any())

    def around(self, size_mm: float) -> Volume:
        """Return a cube of `size_mm` (mm) around the `focus`, without resampling.

        The cube consists of whole voxels, so each side may be one voxel longer or shorter than `size_mm`.
        """
        center = self.volume.center_mm if self.seed is None else self.seed
        if self._marked:
            center = np.mean(self.lesion.bounding_box_mm(), axis=0)
        between_centers = np.maximum(size_mm - np.array(self.volume.spacing), 0)
        return self.volume.around(center, between_centers)


def open_scan(cohort: Cohort, patient: str, modality: str = "ct", *, marked: bool = True) -> PatientScan:
    """Read the scan of one patient, with its mask if the cohort has one.

    Parameters
    ----------
    cohort : Cohort
        A cohort with scans.
    patient : str
        Patient id.
    modality : {"ct", "pet"}
        Modality of the scan.
    marked : bool
        If False, the mask is not read.

    Raises
    ------
    ScanError
        If the scan or mask cannot be read, or the scan is of another modality. The error names the patient.
    DataError
        If the patient has no scan, or a seed that is not three numbers.
    """
    row = cohort.table.loc[patient, modality]
    path, series, seed = scan_of(row)
    try:
        volume = read(path, series, unit=scan_modality(modality).unit)
        mask = row.get("mask")
        lesion = (
            None if pd.isna(mask) or not marked else read_mask(mask, volume, part_of(row.get("mask_part")))
        )
    except ScanError as error:
        error.patient = error.patient or patient
        raise
    return PatientScan(volume, lesion, seed)


def scan_of(row: pd.Series) -> tuple[str | Volume, str | None, tuple[float, float, float] | None]:
    """Return the path, series and seed of a scan from a cohort's row; no file is read.

    Parameters
    ----------
    row : Series
        One patient's cells of an imaging modality; its name is the patient id.

    Returns
    -------
    path : str or Volume
        Path of the scan; at prediction, it may be the scan itself.
    series : str or None
        The series in the file, as `mmfusion.imaging.read` takes it.
    seed : (x, y, z) or None
        A point in the tumour, LPS mm.

    Raises
    ------
    DataError
        If there is no scan, or a seed that is not three numbers.

    Examples
    --------
    >>> cells = {"volume": "p1.nii.gz", "seed_x": -55, "seed_y": 12.5, "seed_z": -140}
    >>> scan_of(pd.Series(cells, name="p1"))
    ('p1.nii.gz', None, (-55.0, 12.5, -140.0))
    """
    if pd.isna(path := row.get("volume")):
        raise DataError("no scan", patient=row.name, column="volume", expected="a path")
    return path, part_of(row.get("volume_part")), _seed(row)


def part_of(cell: object) -> str | None:
    """Return the part of a file that a cell names; None if it is missing.

    A column of numbers in which one is missing has decimals: 2.0 means the region 2.

    Examples
    --------
    >>> part_of("Tumour"), part_of(2.0), part_of(float("nan"))
    ('Tumour', '2', None)
    """
    if pd.isna(cell):
        return None
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell) if whole else cell)


def seeds_wanted(absent: int, scans: int, modality: str = "ct") -> str:
    """Return the advice for scans that have no point in the tumour.

    Parameters
    ----------
    absent, scans : int
        Number of scans without a seed, and of all scans.
    modality : {"ct", "pet"}
        Modality of the scans.

    Examples
    --------
    >>> seeds_wanted(3, 10).partition(":")[0]
    '3 of 10 scans have no seed'
    """
    if modality != "ct":
        return (
            f"{absent} of {scans} {scan_modality(modality).title} scans have no seed, and are read at their "
            "middle: give a table patient_id, seed_x, seed_y, seed_z (LPS mm); the seeds of another scan are "
            "not used, but if both scans have one frame of reference, the manifest may list their table twice"
        )
    return (
        f"{absent} of {scans} scans have no seed: give a table patient_id, seed_x, seed_y, seed_z (LPS mm), "
        'or fit with StageClassifier(preprocessing={"crop_mode": "lung"}); lesion masks do not place the crop'
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
