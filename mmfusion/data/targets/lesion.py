"""The mask of a lesion in a scan."""

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
    """The region of the lesion in a patient's scan: the path of a mask, which is opened patch by patch.

    The label is the reserved column `mask` of the scan's block. It stays in `cohort.X`, since reserved columns are
    never features, and with it `mask_part`, which says which region of the file is meant. Other columns of the block
    are forbidden, and left out of `cohort.X`: features such as volume and sphericity are measured inside the mask.
    A point in the tumour (`seed_x`, ...) is allowed; a network may take it as a cue.

    Parameters
    ----------
    modality : str
        Block of the scan that the mask belongs to.
    """

    kind: str = "mask"
    probe: str = "none"
    modality: str = "ct"

    def labels(self, cohort: Cohort) -> pd.Series:
        """Return the path of each patient's mask; missing where there is none, or no scan."""
        block = cohort.table[self.modality]
        scan = block["volume"] if "volume" in block else pd.Series(index=block.index, dtype="object")
        return block["mask"].where(scan.notna()).rename(self.name)

    def lacks(self, cohort: Cohort) -> str:
        """Return why the cohort has no masks."""
        found = (self.modality, "mask") in cohort.table
        return "" if found else f"no masks of its {self.modality} scans"

    def forbids(self, modality: str, feature: object) -> bool:
        """Return whether a column is a feature of the scan, or follows the diagnosis."""
        return self.withholds(modality, feature) or super().forbids(modality, feature)

    def withholds(self, modality: str, feature: object) -> bool:
        """Return whether a column is a feature of the scan."""
        return modality == self.modality and feature not in RESERVED


register_target(LesionMask(name="lesion", description="the lesion's region in the CT, as a mask"))
