"""One patient's scan, as a cohort's row names it: the volume, the lesion in it, and a point in the tumour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.imaging import Volume, read, read_mask

_SEED = ("seed_x", "seed_y", "seed_z")


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
        """The scan's own voxels within a cube round its `focus`."""
        centre = self.seed
        if self.lesion is not None:
            middle = [(s.start + s.stop - 1) / 2 for s in self.lesion.bounding_box()]
            centre = self.lesion.voxel_to_mm(middle[::-1])
        centre = self.volume.center_mm if centre is None else centre
        half = size_mm / 2 / np.array(self.volume.spacing)
        middle = self.volume.mm_to_voxel(centre)[::-1]
        low = np.clip(np.round(middle - half), 0, np.array(self.volume.shape) - 1).astype(int)
        high = np.clip(np.round(middle + half) + 1, low + 1, self.volume.shape).astype(int)
        return self.volume.crop_box([slice(a, b) for a, b in zip(low, high)])


def open_scan(cohort: Cohort, patient: str, modality: str = "ct", *, marked: bool = True) -> PatientScan:
    """Read the scan of one patient and, if `marked`, its mask where the cohort has one.

    Raises
    ------
    ScanError
        If one of them cannot be read.
    """
    row = cohort.table.loc[patient, modality]
    series = _given(row.get("volume_part"))
    volume = read(row["volume"], series, unit="SUVbw" if modality == "pet" else None)
    mask = row.get("mask")
    lesion = None if pd.isna(mask) or not marked else read_mask(mask, volume, _given(row.get("mask_part")))
    seed = tuple(float(row.get(c, np.nan)) for c in _SEED)
    return PatientScan(volume, lesion, seed if np.isfinite(seed).all() else None)


def _given(cell: object) -> str | None:
    return None if pd.isna(cell) else str(cell)
