"""The lesion of a patient: from a mask in the cohort, or from one click on the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from mmfusion.data.scans import part_of, scan_of
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging.masks import read_mask
from mmfusion.imaging.volume import Volume
from mmfusion.lesions.click.segment import VERSION, segment_lesion
from mmfusion.storage.cache import fingerprint

METHOD = "growcut"  # of the click: the default of `segment_lesion`
LESIONS = ("any", "mask", "click")


@dataclass(frozen=True)
class LesionSource:
    """The lesion of one patient.

    Attributes
    ----------
    mask : str, optional
        Path of the mask.
    part : str, optional
        Region of the mask.
    seed : (x, y, z), optional
        A point in the lesion, LPS mm, for a patient without a mask.
    method : str, optional
        Method of `segment_lesion` at the seed.

    Examples
    --------
    >>> LesionSource(seed=(0.0, 10.0, -20.0), method="growcut").remark
    'no mask: the lesion was segmented from its seed (growcut)'
    """

    mask: str | None = None
    part: str | None = None
    seed: tuple[float, float, float] | None = None
    method: str | None = None

    @property
    def key(self) -> Mapping[str, object]:
        """Everything that the mask depends on beside the scan, as JSON values."""
        if self.mask is not None:
            return {"mask": fingerprint(self.mask), "mask_part": self.part}
        return {"seed": list(self.seed), "method": self.method, "click_version": VERSION}

    @property
    def remark(self) -> str | None:
        """A sentence for users about a mask that is not from the cohort; else None."""
        if self.mask is not None:
            return None
        return f"no mask: the lesion was segmented from its seed ({self.method})"

    def on(self, scan: Volume) -> Volume:
        """Return the mask on the grid of the scan.

        Raises
        ------
        ScanError
            If the mask cannot be read or lies outside the scan, or there is no lesion at the seed.
        """
        if self.mask is not None:
            return read_mask(self.mask, scan, self.part)
        return segment_lesion(scan, self.seed, method=self.method, check=False).mask


def check_lesion(lesion: str) -> str:
    """Return which lesions are read, after checking the word.

    Raises
    ------
    DataError
        If it is none of `LESIONS`.

    Examples
    --------
    >>> check_lesion("click")
    'click'
    """
    if lesion not in LESIONS:
        raise DataError("unknown kind of lesion", expected=", ".join(LESIONS), got=lesion)
    return lesion


def lesion_source(row: pd.Series, modality: str, lesion: str) -> LesionSource:
    """Return the source of the lesion of a patient.

    Parameters
    ----------
    row : Series
        Scans of one patient, with column levels `(modality, feature)`.
    modality : {"ct", "pet"}
        Modality of the scan. A PET without a mask of its own has that of the CT.
    lesion : {"any", "mask", "click"}
        "mask": the mask in the cohort. "click": one click on the seed of a CT, also if there is a mask.
        "any": the mask if there is one, otherwise a click.

    Raises
    ------
    ScanError
        If the patient does not have what is asked for.
    """
    path, _, seed = scan_of(row[modality].rename(row.name))
    for other in dict.fromkeys((modality, "ct")) if lesion != "click" else ():
        cells = row[other] if other in row.index.get_level_values(0) else {}
        if not pd.isna(mask := cells.get("mask")):
            return LesionSource(mask, part_of(cells.get("mask_part")))
    clicks = modality == "ct" and lesion != "mask"
    if clicks and seed is not None:
        return LesionSource(seed=seed, method=METHOD)
    if lesion == "click":
        hint = "give a seed: columns seed_x, seed_y, seed_z, LPS mm" if clicks else "clicks are made on a CT"
        raise ScanError("no click", file=path, expected="a seed of a CT", hint=hint)
    hint = "give a mask of the lesion: role mask in the manifest"
    raise ScanError("no mask", file=path, expected="a mask of the lesion", hint=hint + ", or a seed" * clicks)
