"""The perturbations by name, with the modality, the unit, and the usual strengths of each."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmfusion.data.scans import scan_of
from mmfusion.errors import DataError, check_seed
from mmfusion.evaluation.perturbations.scans import (
    add_noise,
    change_contrast,
    change_kernel,
    lower_dose,
    thicken_slices,
)
from mmfusion.evaluation.perturbations.tables import blank_fields, drop_genes, shift_genes, wrong_units
from mmfusion.imaging import Volume, read


@dataclass(frozen=True)
class Perturbation:
    """A change of one modality.

    Parameters
    ----------
    name, modality : str
        Name, and the modality that is changed.
    unit : str
        What the strength means, with its unit.
    none : float
        Strength that changes nothing.
    strengths : tuple of float
        Usual strengths, from weak to strong.
    change : callable
        `change(scan, strength, rng) -> Volume` for scans, `change(block, strength, rng, unit) -> DataFrame`
        for tables.

    Examples
    --------
    >>> PERTURBATIONS["noise"].unit
    'SD of the noise, HU'
    """

    name: str
    modality: str
    unit: str
    none: float
    strengths: tuple[float, ...]
    change: Callable[..., object]

    def apply(self, X: pd.DataFrame, strength: float, random_state: int = 0) -> pd.DataFrame:
        """Return rows of a cohort with this change; `X` itself is not changed.

        Random numbers of a scan depend on the seed and the id of the patient only. A scan is read whole, and
        is then a `Volume` in the table. The order of the patients and of the columns does not matter.

        Parameters
        ----------
        X : DataFrame, shape (n, n_columns)
            Rows of `Cohort.X`.
        strength : float
            Strength in the unit of the perturbation.
        random_state : int
            Seed.

        Raises
        ------
        DataError
            If X has nothing to change or two rows of one patient, or the strength is out of range.

        Examples
        --------
        >>> X = pd.DataFrame({("ehr", "age"): [60.0, 70.0]})
        >>> PERTURBATIONS["wrong units"].apply(X, 1.0)["ehr", "age"].tolist()
        [600.0, 700.0]
        """
        if not self.reads(X):
            raise DataError("nothing to perturb", parameter=self.name, expected=self.modality)
        check_seed(random_state)
        out = X.copy()
        if self.modality == "ct":
            return self._scans(out, strength, random_state)
        if X.index.has_duplicates:
            twice = X.index[X.index.duplicated()][0]
            raise DataError("duplicate patient id", patient=twice, hint="keep one row per patient")
        # by name: the order of the patients and of the columns does not change what is drawn
        block = X[self.modality].sort_index(key=_as_text).sort_index(axis=1, key=_as_text)
        rng = np.random.default_rng(random_state)
        has = block.notna().any(axis=1)
        unit = str(X.attrs.get("units", {}).get(self.modality, "log"))
        changed = self.change(block[has], strength, rng, unit)
        for name in changed.columns:
            out[(self.modality, name)] = changed[name].reindex(X.index)
        return out

    def reads(self, X: pd.DataFrame) -> bool:
        """Return True if the rows have something that this perturbation changes."""
        if self.modality not in X.columns.unique(0):
            return False
        return self.modality != "ct" or "volume" in X[self.modality]

    def _scans(self, out: pd.DataFrame, strength: float, random_state: int) -> pd.DataFrame:
        """Replace the scans in a copy of the rows."""
        block = out[self.modality]
        scans = block["volume"].astype(object)
        for patient in scans.index[scans.notna()]:
            path, series, _ = scan_of(block.loc[patient])
            scan = path if isinstance(path, Volume) else read(path, series)
            rng = np.random.default_rng([random_state, zlib.crc32(str(patient).encode())])
            scans[patient] = self.change(scan, strength, rng)
        out[(self.modality, "volume")] = scans
        if "volume_part" in block:
            out[(self.modality, "volume_part")] = None  # a volume has one series
        return out


def _as_text(names: pd.Index) -> pd.Index:
    return names.astype(str)


def _without_rng(change: Callable[..., Volume]) -> Callable[..., Volume]:
    return lambda scan, strength, _: change(scan, strength)


def _without_unit(change: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    return lambda block, strength, rng, _: change(block, strength, rng)


def _catalogue() -> dict[str, Perturbation]:
    contrast, slices, kernel = map(_without_rng, (change_contrast, thicken_slices, change_kernel))
    genes, fields, units = map(_without_unit, (drop_genes, blank_fields, wrong_units))

    def batch(block: pd.DataFrame, sd: float, rng: np.random.Generator, unit: str) -> pd.DataFrame:
        return shift_genes(block, sd, rng, unit=unit)

    rows = (
        ("noise", "ct", "SD of the noise, HU", 0.0, (10.0, 25.0, 50.0, 100.0), add_noise),
        ("contrast", "ct", "factor of the HU", 1.0, (0.8, 0.9, 1.1, 1.2), contrast),
        ("low dose", "ct", "share of the dose", 1.0, (0.5, 0.25, 0.1, 0.05), lower_dose),
        ("thick slices", "ct", "thickness, mm", 0.0, (3.0, 5.0, 8.0, 10.0), slices),
        ("kernel", "ct", "sigma, mm; below 0: sharper", 0.0, (-2.0, -1.0, 1.0, 2.0), kernel),
        ("dropped genes", "rna", "share of the genes", 0.0, (0.1, 0.25, 0.5), genes),
        ("batch shift", "rna", "shift, SD of the gene", 0.0, (0.25, 0.5, 1.0, 2.0), batch),
        ("missing fields", "ehr", "share of the cells", 0.0, (0.1, 0.25, 0.5, 0.9), fields),
        ("wrong units", "ehr", "share of numbers, times 10", 0.0, (0.05, 0.1, 0.25, 0.5), units),
    )
    return {row[0]: Perturbation(*row) for row in rows}


PERTURBATIONS = _catalogue()
