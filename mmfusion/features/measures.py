"""`LesionMeasures`: size, shape and density of the lesion of each patient, as columns of the CT block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from skimage.measure import marching_cubes, mesh_surface_area

from mmfusion.data.scans import scan_of
from mmfusion.errors import ScanError
from mmfusion.features.base import Extractor
from mmfusion.features.lesion_source import lesion_source
from mmfusion.imaging.diameters import axial_diameters
from mmfusion.imaging.files import read
from mmfusion.imaging.volume import Volume
from mmfusion.storage.cache import fingerprint

COLUMNS = (
    "lesion_volume_ml",
    "lesion_longest_mm",
    "lesion_perpendicular_mm",
    "lesion_sphericity",
    "lesion_mean_hu",
    "lesion_sd_hu",
)
_VERSION = 1  # version of the measures; with a new number they are computed again


class LesionMeasures(Extractor):
    """Size, shape and density of lesions, from their masks or from one click on the seed.

    Columns: volume (mL), longest axial diameter and its perpendicular (mm), sphericity (1 for a ball, below 1
    for all other shapes), mean and standard deviation of the HU in the lesion.

    Parameters
    ----------
    click : {"growcut"} or None
        How the lesion of a CT with a seed and without a mask is segmented (`mmfusion.segment_lesion`). None:
        such a patient is an error.

    References
    ----------
    Zwanenburg et al. 2020, Radiology 295, 328-338, for the sphericity (IBSI, QCFX).

    Examples
    --------
    >>> ball = sum((axis - 15.0) ** 2 for axis in np.ogrid[:31, :31, :31]) <= 10.0**2
    >>> scan = Volume(np.where(ball, np.int16(40), np.int16(-850)), np.eye(4))
    >>> found = LesionMeasures().measure(scan, Volume(ball, np.eye(4), unit="mask"))
    >>> found[["lesion_volume_ml", "lesion_longest_mm", "lesion_mean_hu"]].round(1).tolist()
    [4.2, 21.0, 40.0]
    """

    modality = "ct"

    def __init__(self, *, click: str | None = "growcut") -> None:
        self.click = click

    @property
    def columns(self) -> Sequence[str]:
        """Names of the measures."""
        return list(COLUMNS)

    @property
    def provenance(self) -> Mapping[str, object]:
        """Name and version of the measures."""
        return {"model": "measures of lesions", "measures_version": _VERSION}

    def key(self, row: pd.Series) -> Mapping[str, object]:
        """Return everything that the measures of a patient depend on; see `Extractor`.

        Raises
        ------
        ScanError
            If the patient has no mask and no seed, or a file does not exist.
        """
        path, series, _ = scan_of(row["ct"].rename(row.name))
        scan = {"scan": fingerprint(path), "series": series}
        return {**scan, **lesion_source(row, "ct", self.click).key, **self.provenance}

    def remark(self, row: pd.Series) -> str | None:
        """Return a sentence for a lesion that was segmented from its seed."""
        return lesion_source(row, "ct", self.click).remark

    def compute_row(self, row: pd.Series) -> np.ndarray:
        """Return the measures of a patient without the cache; see `Extractor`."""
        path, series, _ = scan_of(row["ct"].rename(row.name))
        lesion = lesion_source(row, "ct", self.click)
        scan = path if isinstance(path, Volume) else read(path, series, unit="HU")
        return self.measure(scan, lesion.on(scan)).to_numpy()

    def measure(self, scan: Volume, mask: Volume) -> pd.Series:
        """Return the measures of the lesion in a mask.

        Parameters
        ----------
        scan : Volume
            CT in HU.
        mask : Volume
            The lesion, on the grid of the scan.

        Returns
        -------
        Series of float64
            Index: `COLUMNS`.

        Raises
        ------
        ScanError
            If the scan is not in HU, or the mask is empty or on another grid.
        """
        scan.expect("HU", "ct volume")
        if not mask.same_grid(scan):
            raise ScanError("the mask is on another grid than the scan", hint="mask.like(scan)")
        size = axial_diameters(mask)
        values = scan.array[mask.array != 0].astype(np.float64)
        found = (
            mask.volume_ml(),
            size.longest_mm,
            size.perpendicular_mm,
            _sphericity(mask),
            values.mean(),
            values.std(),
        )
        return pd.Series(found, index=list(COLUMNS), dtype=np.float64)


def _sphericity(mask: Volume) -> float:
    """Return the surface of the ball of equal volume relative to that of the lesion, by a mesh."""
    box = np.pad(mask.array[mask.bounding_box()], 1).astype(np.float32)
    points, faces, *_ = marching_cubes(box, 0.5, spacing=mask.spacing)
    corners = points[faces].astype(np.float64)
    volume = abs(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6
    return float(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / mesh_surface_area(points, faces))
