"""Target: the mask of a lesion in a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from mmfusion.data.targets.base import Target, register_target
from mmfusion.modalities import RESERVED

if TYPE_CHECKING:
    from mmfusion.data.cohort import Cohort


@dataclass(frozen=True, kw_only=True)
class LesionMask(Target):
    """The region of the lesion in a patient's scan, given as the path of a mask.

    The label is the reserved column `mask` of the scan's block. It stays in `cohort.X`, as reserved columns
    are never features. `mask_part`, which selects the region in the file, stays as well. Other columns of the
    block are forbidden and left out of `cohort.X`: features such as volume and sphericity are measured inside
    the mask. A point in the tumour (`seed_x`, ...) is allowed; a network may use it as a hint. The mask is
    read during training, patch by patch.

    Parameters
    ----------
    modality : str
        Modality of the scan to which the mask belongs.

    Examples
    --------
    >>> target = LesionMask(name="mine", description="the lesion in the CT")
    >>> target.forbids("ct", "sphericity"), target.forbids("ct", "seed_x"), target.forbids("ehr", "age")
    (True, False, False)
    """

    kind: str = "mask"
    probe: str = "none"
    modality: str = "ct"

    def labels(self, cohort: Cohort) -> pd.Series:
        """Return the path of each patient's mask; missing if the patient has no mask or no scan."""
        block = cohort.table[self.modality]
        scan = block["volume"] if "volume" in block else pd.Series(index=block.index, dtype="object")
        return block["mask"].where(scan.notna()).rename(self.name)

    def lacks(self, cohort: Cohort) -> str:
        """Return the reason why the cohort has no masks, or ""."""
        found = (self.modality, "mask") in cohort.table
        return "" if found else f"no masks of its {self.modality} scans"

    def forbids(self, modality: str, feature: object) -> bool:
        """Return True if a column is a feature of the scan, or is known only after the diagnosis."""
        return self.withholds(modality, feature) or super().forbids(modality, feature)

    def withholds(self, modality: str, feature: object) -> bool:
        """Return True if a column is a feature of the scan."""
        return modality == self.modality and feature not in RESERVED


register_target(LesionMask(name="lesion", description="the lesion's region in the CT, as a mask"))
