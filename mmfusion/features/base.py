"""The base class of all feature extractors: a foundation model, radiomics, or a segmenter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mmfusion.storage.cache import cached, lookup

KIND = "features"  # folder of the cache


class Extractor(ABC):
    """Base class of everything that `extract` can compute from the scans of a cohort.

    A patient is given as one row of the scans of a cohort, with column levels `(modality, feature)` as in
    `Cohort.table`; its name is the patient id. Features are kept in the cache under `key`.

    Attributes
    ----------
    modality : str
        Block of the cohort that the features belong to, "ct" or "pet".
    device : str
        Torch device that does the work. With another device than "cpu", one process works by default.

    Examples
    --------
    >>> class Name(Extractor):
    ...     columns, provenance = ["letters"], {"model": "length of the patient's id"}
    ...     def key(self, row):
    ...         return {"name": row.name}
    ...     def compute_row(self, row):
    ...         return np.array([len(row.name)])
    >>> Name().compute_row(pd.Series({("ct", "volume"): "scan.nii.gz"}, name="P1"))
    array([2])
    """

    modality: str = "ct"
    device: str = "cpu"

    @property
    @abstractmethod
    def columns(self) -> Sequence[str]:
        """Names of the features."""

    @property
    @abstractmethod
    def provenance(self) -> Mapping[str, object]:
        """Everything except the scan that the features depend on, as JSON values; `model` names it."""

    @abstractmethod
    def key(self, row: pd.Series) -> Mapping[str, object]:
        """Return everything that the features of a patient depend on, as JSON values.

        Raises
        ------
        ScanError
            If a file does not exist, or the patient lacks something that is needed, such as a mask.
        """

    @abstractmethod
    def compute_row(self, row: pd.Series) -> np.ndarray:
        """Return the features of a patient, shape (n_features,), without the cache.

        Raises
        ------
        ScanError
            If the features of this patient cannot be computed.
        """

    def remark(self, row: pd.Series) -> str | None:
        """Return what users should know about the features of a patient; None if there is nothing."""
        return None

    def lookup_row(self, row: pd.Series) -> np.ndarray | None:
        """Return the features that the cache has for a patient, or None; nothing is computed."""
        return lookup(KIND, self.key(row))

    def extract_row(self, row: pd.Series) -> np.ndarray:
        """Return the features of a patient, from the cache if it has them. The array is read-only."""
        return cached(KIND, self.key(row), lambda: self.compute_row(row))
