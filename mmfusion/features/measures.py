"""`LesionMeasures`: size, shape and density of the lesion of each patient, as columns of the CT block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mmfusion.data.scans import scan_of
from mmfusion.features.base import Extractor
from mmfusion.features.lesion_source import check_lesion, lesion_source
from mmfusion.imaging.files import read
from mmfusion.imaging.volume import Volume
from mmfusion.lesions.measures import MEASURES, VERSION, measure
from mmfusion.storage.cache import fingerprint

COLUMNS = tuple(f"lesion_{name}" for name in MEASURES)


class LesionMeasures(Extractor):
    """Size, shape and density of lesions, from their masks or from one click on the seed.

    The columns are the measures of `mmfusion.lesions.measures.measure`, with `lesion_` before their names.

    Parameters
    ----------
    lesion : {"any", "mask", "click"}
        Lesions that are read. "mask": those of masks only. "click": those of one click on the seed of a CT
        (`mmfusion.segment_lesion`), also where there is a mask. "any": the mask of a patient who has one,
        otherwise a click. A mask that was drawn by hand can be much larger than that of a click.

    Examples
    --------
    >>> LesionMeasures().columns[:2]
    ['lesion_volume_ml', 'lesion_longest_mm']
    """

    modality = "ct"

    def __init__(self, *, lesion: str = "any") -> None:
        self.lesion = check_lesion(lesion)

    @property
    def columns(self) -> Sequence[str]:
        """Names of the measures."""
        return list(COLUMNS)

    @property
    def provenance(self) -> Mapping[str, object]:
        """Name and version of the measures."""
        return {**self._recipe, "lesion": self.lesion}

    @property
    def _recipe(self) -> dict[str, object]:
        return {"model": "measures of lesions", "measures_version": VERSION}

    def key(self, row: pd.Series) -> Mapping[str, object]:
        """Return everything that the measures of a patient depend on; see `Extractor`.

        Raises
        ------
        ScanError
            If the patient has no mask and no seed, or a file does not exist.
        """
        path, series, _ = scan_of(row["ct"].rename(row.name))
        scan = {"scan": fingerprint(path), "series": series}
        return {**scan, **lesion_source(row, "ct", self.lesion).key, **self._recipe}

    def remark(self, row: pd.Series) -> str | None:
        """Return a sentence for a lesion without a mask, which was segmented from its seed."""
        if self.lesion == "click":  # all are
            return None
        return lesion_source(row, "ct", self.lesion).remark

    def compute_row(self, row: pd.Series) -> np.ndarray:
        """Return the measures of a patient without the cache; see `Extractor`."""
        path, series, _ = scan_of(row["ct"].rename(row.name))
        lesion = lesion_source(row, "ct", self.lesion)
        scan = path if isinstance(path, Volume) else read(path, series, unit="HU")
        found = measure(scan, lesion.on(scan))
        return np.array([found[name] for name in MEASURES])
