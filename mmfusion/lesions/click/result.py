"""LesionMask: the mask of one lesion, its measures, and reasons not to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mmfusion.imaging import Volume
from mmfusion.imaging.diameters import Diameters, axial_diameters
from mmfusion.imaging.structures.source import Source
from mmfusion.lesions.writing import write_mask

MEASURES = ("volume_ml", "longest_mm", "perpendicular_mm", "mean_hu", "sd_hu")


@dataclass(frozen=True, eq=False, repr=False)
class LesionMask:
    """Mask of one lesion that a click, box or line pointed at.

    Attributes
    ----------
    mask : Volume
        The lesion, on the grid of the scan.
    seed : ndarray, shape (3,)
        The point in the lesion (x, y, z), LPS mm.
    method : str
        "network" or "growcut".
    margin : str
        "tight" (the visible border) or "gtv" (with the margin of a clinical gross tumour volume).
    warnings : tuple of str
        Reasons not to trust the mask.
    mean_hu, sd_hu : float
        Mean and standard deviation of the scan in the mask, HU.

    Examples
    --------
    >>> ball = sum((axis - 20.0) ** 2 for axis in np.ogrid[:41, :41, :41]) <= 10.0**2
    >>> mask = Volume(ball, np.eye(4), unit="mask")
    >>> found = LesionMask(mask, np.full(3, 20.0), "growcut", "tight", (), 40.0, 5.0)
    >>> found
    LesionMask(4.17 mL, 21 x 21 mm, growcut, tight, 0 warnings)
    """

    mask: Volume
    seed: np.ndarray
    method: str
    margin: str
    warnings: tuple[str, ...]
    mean_hu: float
    sd_hu: float

    @property
    def volume_ml(self) -> float:
        """Volume, mL."""
        return self.mask.volume_ml()

    @cached_property
    def diameters(self) -> Diameters:
        """Longest axial diameter and its perpendicular, with their ends."""
        return axial_diameters(self.mask)

    @property
    def longest_mm(self) -> float:
        """Longest axial diameter, mm (RECIST 1.1)."""
        return self.diameters.longest_mm

    @property
    def perpendicular_mm(self) -> float:
        """Longest diameter perpendicular to it in the same plane, mm (WHO)."""
        return self.diameters.perpendicular_mm

    def measures(self) -> Mapping[str, float]:
        """Return the measures by name: `MEASURES`."""
        return {name: getattr(self, name) for name in MEASURES}

    def write(self, path: str | Path, scan: Source | None = None, *, form: str | None = None) -> Path:
        """Write the mask as NIfTI, DICOM-SEG or RTSTRUCT; see `mmfusion.lesions.write_mask`."""
        return write_mask(
            self.mask,
            path,
            scan,
            form=form,
            label="Lesion",
            algorithm=f"mmfusion segment_lesion {self.method}",
        )

    def __repr__(self) -> str:
        count = f"{len(self.warnings)} warning{'' if len(self.warnings) == 1 else 's'}"
        size = f"{self.longest_mm:.0f} x {self.perpendicular_mm:.0f} mm"
        return f"LesionMask({self.volume_ml:.3g} mL, {size}, {self.method}, {self.margin}, {count})"
