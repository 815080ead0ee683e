"""Stability of radiomics: how much features change if the mask of the lesion changes a little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.features.base import Extractor
from mmfusion.features.extraction import gather
from mmfusion.features.perturbed_masks import SHIFT_MM, SMOOTH_MM, perturbed_masks
from mmfusion.features.radiomics import RadiomicsExtractor
from mmfusion.features.rows import rows_with_scans
from mmfusion.metrics.reliability import intraclass_correlation

GROWTH = (-0.15, 0.0, 0.15)
CONTOURS = 3
ROBUST = 0.9  # the lower bound from which Zwanenburg et al. call a feature robust
_MARGIN_MM = 14.0  # of the radiomics, and what the lesion can grow


class PerturbedRadiomics(Extractor):
    """Radiomics of each lesion with several masks, which differ as those of several readers do.

    Parameters
    ----------
    radiomics : RadiomicsExtractor
        The features.
    growth : sequence of float
        Changes of the volume, as a share of it.
    contours : int
        Random contours of each changed volume; 0: the contours are not moved.
    random_state : int
        Seed of the random contours; see `perturbed_masks`.

    Raises
    ------
    DataError
        If there are fewer than two masks, or a volume would shrink to nothing.

    Examples
    --------
    >>> PerturbedRadiomics(RadiomicsExtractor(), growth=(-0.1, 0.1), contours=5).n_masks
    10
    """

    def __init__(
        self,
        radiomics: RadiomicsExtractor,
        *,
        growth: Sequence[float] = GROWTH,
        contours: int = CONTOURS,
        random_state: int = 0,
    ) -> None:
        self.radiomics, self.modality = radiomics, radiomics.modality
        self.growth, self.contours = tuple(float(one) for one in growth), int(contours)
        self.random_state = random_state
        if min(self.growth, default=-1.0) <= -1 or self.contours < 0 or self.n_masks < 2:
            got = f"growth {self.growth}, contours {self.contours}"
            raise DataError("not perturbations", expected="two masks or more, growth above -1", got=got)

    @property
    def n_masks(self) -> int:
        """Number of masks of each lesion."""
        return len(self.growth) * max(self.contours, 1)

    @property
    def columns(self) -> Sequence[str]:
        """Names of the features."""
        return self.radiomics.columns

    @property
    def provenance(self) -> Mapping[str, object]:
        """Settings of the radiomics and of the masks."""
        return {**self.radiomics.provenance, **self._masks}

    @property
    def _masks(self) -> dict[str, object]:
        return {
            "growth": list(self.growth),
            "contours": self.contours,
            "shift_mm": SHIFT_MM,
            "smooth_mm": SMOOTH_MM,
            "random_state": self.random_state,
        }

    def key(self, row: pd.Series) -> Mapping[str, object]:
        """Return everything that the features of a patient depend on; see `Extractor`."""
        return {**self.radiomics.key(row), **self._masks}

    def compute_row(self, row: pd.Series) -> np.ndarray:
        """Return the features of a patient for each mask, shape (n_masks, n_features).

        Raises
        ------
        ScanError
            As for `RadiomicsExtractor.compute`, and if a perturbed mask has no voxel left.
        """
        grid = self.radiomics.grid(*self.radiomics.read(row), _MARGIN_MM)
        masks = perturbed_masks(grid, self.growth, self.contours, self.random_state)
        return np.stack([self.radiomics.features_of(replace(grid, mask=mask)) for mask in masks])


@dataclass(frozen=True, eq=False, repr=False)
class Stability:
    """Stability of radiomics under perturbed masks.

    Parameters
    ----------
    table : DataFrame
        Index feature; columns `icc`, `low`, `high`: ICC(1) of the feature over the masks of each lesion, with
        its 95 % interval; `patients`: lesions for which all masks have the feature. NaN: fewer than two
        lesions have it, or it is the same everywhere.
    failures : DataFrame
        Patients without features: index patient_id; columns `file`, `error`, `hint`.
    provenance : mapping
        Settings of the radiomics and of the perturbations.

    Examples
    --------
    >>> rows = pd.DataFrame({"icc": [0.97, 0.5], "low": [0.91, 0.2], "high": [0.99, 0.7]}, ["a", "b"])
    >>> Stability(rows, pd.DataFrame(), {}).robust
    ['a']
    """

    table: pd.DataFrame
    failures: pd.DataFrame
    provenance: Mapping[str, object]

    @property
    def robust(self) -> list[str]:
        """Features whose interval lies at 0.9 or above, as Zwanenburg et al. define robust ones."""
        return self.table.index[self.table["low"] >= ROBUST].tolist()

    def __repr__(self) -> str:
        counts = f"{len(self.robust)} of {len(self.table)} features are robust"
        return f"Stability({counts}, {len(self.failures)} failures)"


def feature_stability(
    source: Cohort | str | Path,
    extractor: RadiomicsExtractor | None = None,
    *,
    growth: Sequence[float] = GROWTH,
    contours: int = CONTOURS,
    random_state: int = 0,
    root: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> Stability:
    """Compute the radiomics of each lesion with several masks, and how well they agree.

    The ICC depends on the lesions: among lesions that differ little, no feature is robust. It does not use
    any label, but if it chooses features for a model, compute it from the training patients.

    Parameters
    ----------
    source, root, n_jobs, progress
        As for `extract`. Features in the cache are used.
    extractor : RadiomicsExtractor, optional
        The features; default those of the CT.
    growth, contours, random_state
        The masks; see `PerturbedRadiomics`.

    Raises
    ------
    DataError
        If fewer than two patients have features.

    References
    ----------
    Zwanenburg et al. 2019, Assessing robustness of radiomic features by image perturbation, Scientific
    Reports 9, 614.
    """
    radiomics = RadiomicsExtractor() if extractor is None else extractor
    masks = {"growth": growth, "contours": contours, "random_state": random_state}
    perturbed = PerturbedRadiomics(radiomics, **masks)
    rows = rows_with_scans(source, radiomics.modality, root)
    found, failures = gather(rows, perturbed, n_jobs=n_jobs, progress=progress)
    if len(found) < 2:
        first = "" if failures.empty else f"; {failures.index[0]}: {failures['error'].iloc[0]}"
        raise DataError("stability needs two lesions", got=f"{len(found)} with features{first}")
    return Stability(_reliability(found, radiomics.columns), failures, perturbed.provenance)


def _reliability(found: Mapping[str, np.ndarray], columns: Sequence[str]) -> pd.DataFrame:
    """Return the ICC of each feature from arrays of shape (n_masks, n_features), one per patient."""
    values = np.stack(list(found.values()))
    rows = {}
    for k, name in enumerate(columns):
        seen = values[np.isfinite(values[:, :, k]).all(axis=1), :, k]
        icc = intraclass_correlation(seen) if len(seen) > 1 else (np.nan,) * 3
        rows[name] = {**dict(zip(("icc", "low", "high"), icc)), "patients": len(seen)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("feature")
