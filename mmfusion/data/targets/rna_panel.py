"""Targets that are computed from the RNA table: vectors whose inputs must not have expression."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mmfusion.data.targets.base import Target

if TYPE_CHECKING:
    import pandas as pd

    from mmfusion.data.cohort import Cohort


@dataclass(frozen=True, kw_only=True)
class RnaPanel(Target):
    """Vector of numbers that come from a patient's expression, one per name of a panel.

    The values are read from outcomes with a prefix. The whole RNA block is forbidden as an input and is left
    out of `cohort.X`, because it was measured in the same sample.

    Examples
    --------
    >>> from mmfusion.data.targets import get_target
    >>> isinstance(get_target("expression"), RnaPanel), isinstance(get_target("egfr"), RnaPanel)
    (True, False)
    """

    kind: str = "vector"
    probe: str = "correlation"
    prefix: ClassVar[str]  # of the columns among the outcomes

    @abstractmethod
    def found(self, cohort: Cohort) -> list[str]:
        """Return the names of the panel for which the cohort has values."""

    def labels(self, cohort: Cohort) -> pd.DataFrame:
        """Return the values that the cohort has, shape (n_patients, n_names)."""
        found = self.outcomes(cohort)[[self.prefix + name for name in self.found(cohort)]].astype("float64")
        return found.rename(columns=lambda name: name.removeprefix(self.prefix))

    def forbids(self, modality: str, feature: object) -> bool:
        """Return True if a column is expression, or is known only after the diagnosis."""
        return modality == "rna" or super().forbids(modality, feature)

    def withholds(self, modality: str, feature: object) -> bool:
        """Return True if a column is expression."""
        return modality == "rna"
