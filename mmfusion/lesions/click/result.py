"""LesionMask: the mask of one lesion, its measures, and reasons not to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmfusion.imaging import Volume
from mmfusion.imaging.structures.source import Source
from mmfusion.lesions.writing import write_mask


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
    measures : mapping of str to float
        Size, shape and density by the names in `mmfusion.lesions.measures.MEASURES`.

    Examples
    --------
    >>> ball = sum((axis - 20.0) ** 2 for axis in np.ogrid[:41, :41, :41]) <= 10.0**2
    >>> mask = Volume(ball, np.eye(4), unit="mask")
    >>> sizes = {"volume_ml": 4.17, "longest_mm": 20.9, "perpendicular_mm": 20.8}
    >>> LesionMask(mask, np.full(3, 20.0), "growcut", "tight", (), sizes)
    LesionMask(4.17 mL, 21 x 21 mm, growcut, tight, 0 warnings)
    """

    mask: Volume
    seed: np.ndarray
    method: str
    margin: str
    warnings: tuple[str, ...]
    measures: Mapping[str, float]

    @property
    def volume_ml(self) -> float:
        """Volume, mL."""
        return self.measures["volume_ml"]

    @property
    def longest_mm(self) -> float:
        """Longest axial diameter, mm (RECIST 1.1)."""
        return self.measures["longest_mm"]

    @property
    def perpendicular_mm(self) -> float:
        """Longest diameter perpendicular to it in the same plane, mm (WHO)."""
        return self.measures["perpendicular_mm"]

    @property
    def algorithm(self) -> str:
        """Name of the algorithm in DICOM."""
        return f"mmfusion segment_lesion {self.method}"

    def write(self, path: str | Path, scan: Source | None = None, *, form: str | None = None) -> Path:
        """Write the mask as NIfTI, DICOM-SEG or RTSTRUCT; see `mmfusion.lesions.write_mask`."""
        return write_mask(self.mask, path, scan, form=form, label="Lesion", algorithm=self.algorithm)

    def __repr__(self) -> str:
        count = f"{len(self.warnings)} warning{'' if len(self.warnings) == 1 else 's'}"
        size = f"{self.longest_mm:.0f} x {self.perpendicular_mm:.0f} mm"
        return f"LesionMask({self.volume_ml:.3g} mL, {size}, {self.method}, {self.margin}, {count})"
