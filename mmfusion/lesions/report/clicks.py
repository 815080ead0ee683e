"""The report of one click per lesion: measures, true masks where there are any, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.scans import open_scan
from mmfusion.errors import DataError
from mmfusion.imaging import Volume, axial_diameters, read_mask
from mmfusion.lesions.click.batch import SegmentedCohort
from mmfusion.metrics.intervals import bootstrap_weights, interval
from mmfusion.metrics.segmentation import mask_scores
from mmfusion.modalities import SEED

TRUE = ("true_ml", "true_longest_mm", "dice")
_SHOWN = {  # column -> title, decimals
    "volume_ml": ("volume, mL", 2),
    "true_ml": ("true volume, mL", 2),
    "longest_mm": ("longest, mm", 1),
    "true_longest_mm": ("true longest, mm", 1),
    "perpendicular_mm": ("perpendicular, mm", 1),
    "sphericity": ("sphericity", 2),
    "mean_hu": ("mean, HU", 0),
    "sd_hu": ("SD, HU", 0),
    "dice": ("Dice", 2),
}


def patients_with_seeds(cohort: Cohort, n: int = 0) -> tuple[Cohort, str]:
    """Return the patients with a CT and a seed, and a sentence about the others.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    n : int
        Largest number of patients, from the first on; 0 for all.

    Raises
    ------
    DataError
        If no patient has both.
    """
    ct = cohort.table.get("ct", pd.DataFrame(index=cohort.table.index))
    has = ct.reindex(columns=["volume", *SEED]).notna().all(axis=1)
    if not has.any():
        raise DataError("no patient has a CT and a seed", file=cohort.name, expected="seed_x, seed_y, seed_z")
    chosen = list(has.index[has])[: n or None]
    without = int((~has).sum())
    said = f"Patients left out: {without} without a CT or without a seed." if without else ""
    return cohort.select(patients=chosen), said


def open_lesion(cohort: Cohort, found: SegmentedCohort, patient: str) -> tuple[Volume, Volume | None, Volume]:
    """Return the scan of a patient, the true mask (None if there is none), and the mask from the click."""
    scan = open_scan(cohort, patient)
    return scan.volume, scan.lesion, read_mask(found.folder / found.table.loc[patient, "mask"])


def with_truth(cohort: Cohort, found: SegmentedCohort) -> pd.DataFrame:
    """Return the table of measures, with the columns `TRUE` where the cohort has masks.

    Parameters
    ----------
    cohort : Cohort
        The cohort that was segmented.
    found : SegmentedCohort
        Result of `segment_cohort`.

    Returns
    -------
    DataFrame
        `found.table` with the volume (mL) and the longest axial diameter (mm) of the true mask, and the Dice.
    """
    rows = {}
    for patient in found.table.index:
        _, true, mask = open_lesion(cohort, found, patient)
        if true is not None and true.array.any():
            dice = mask_scores(true.array, mask.array, true.spacing, distances=False)["dice"]
            rows[patient] = (true.volume_ml(), axial_diameters(true).longest_mm, dice)
    known = pd.DataFrame.from_dict(rows, orient="index", columns=list(TRUE))
    return found.table.join(known)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the measures as the report shows them: rounded, with units, without empty columns.

    Examples
    --------
    >>> table = pd.DataFrame({"mask": ["a"], "volume_ml": [4.123], "longest_mm": [20.46], "dice": [np.nan]})
    >>> shown(table).to_dict("list")
    {'volume, mL': [4.12], 'longest, mm': [20.5]}
    """
    known = {
        name: title for name, (title, _) in _SHOWN.items() if name in table and table[name].notna().any()
    }
    return table[list(known)].round({name: _SHOWN[name][1] for name in known}).rename(columns=known)


def with_masks(cohort: Cohort, found: SegmentedCohort) -> Cohort:
    """Return a cohort whose CT masks are those from the clicks, so that features can be computed."""
    table = cohort.table.loc[found.table.index].copy()
    table["ct", "mask"] = [str((found.folder / path).absolute()) for path in found.table["mask"]]
    if ("ct", "mask_part") in table:
        table["ct", "mask_part"] = None
    return replace(cohort.select(patients=list(table.index)), table=table)


def verdict(table: pd.DataFrame, failures: pd.DataFrame) -> list[str]:
    """Return what the report says first.

    Parameters
    ----------
    table : DataFrame
        As `with_truth` returns it.
    failures : DataFrame
        Patients that failed.

    Examples
    --------
    >>> table = pd.DataFrame({"volume_ml": [4.0, 9.0], "longest_mm": [20.0, 31.0], "warnings": ["", "x"],
    ...                       "dice": [0.8, 0.9], "true_longest_mm": [21.0, 30.0]})
    >>> for line in verdict(table, table[:0]):
    ...     print(line)
    2 of 2 lesions were segmented; the median volume is 6.5 mL, the median longest diameter 26 mm.
    The masks of 1 lesion have a warning: look at them first.
    Mean Dice with the true masks: 0.85 [0.80, 0.90], 2 lesions. The longest diameter is 0.0 mm longer on average (standard deviation 1.4 mm).
    """  # noqa: E501
    total = len(table) + len(failures)
    if not len(table):
        return [f"None of {total} lesions could be segmented."]
    volume, longest = table["volume_ml"].median(), table["longest_mm"].median()
    size = f"volume is {volume:.2g} mL, the {{}}longest diameter {longest:.0f} mm."
    some = f"{len(table)} of {total} lesions were segmented; the median {size.format('median ')}"
    lines = [f"The lesion was segmented; its {size.format('')}" if total == 1 else some]
    doubted = int((table["warnings"] != "").sum())
    if doubted:
        many = f"{doubted} lesion have" if doubted == 1 else f"{doubted} lesions have"
        lines.append(f"The masks of {many} a warning: look at them first.")
    known = table.dropna(subset=["dice"])
    return [*lines, *([_against_truth(known)] if len(known) else [])]


def _against_truth(known: pd.DataFrame) -> str:
    """Return a sentence on masks with a true mask; the spread of a single lesion is not estimable."""
    dice, longer = known["dice"], known["longest_mm"] - known["true_longest_mm"]
    word = "longer" if longer.mean() >= 0 else "shorter"
    if len(known) == 1:
        return (
            f"Dice with the true mask: {dice.iloc[0]:.2f} (one lesion, so that there is no interval). The "
            f"longest diameter is {abs(longer.iloc[0]):.1f} mm {word}."
        )
    low, high = mean_interval(dice)
    return (
        f"Mean Dice with the true masks: {dice.mean():.2f} [{low:.2f}, {high:.2f}], {len(known)} lesions. "
        f"The longest diameter is {abs(longer.mean()):.1f} mm {word} on average (standard deviation "
        f"{longer.std():.1f} mm)."
    )


def mean_interval(values: pd.Series) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean over patients.

    Examples
    --------
    >>> mean_interval(pd.Series([0.5, 0.5]))
    (0.5, 0.5)
    """
    weights = bootstrap_weights(np.zeros(len(values), dtype=int))[:, 1:]
    return interval((weights * values.to_numpy()[:, None]).sum(axis=0) / len(values))


def pages(patients: Sequence[str], size: int = 6) -> list[list[str]]:
    """Return the patients in groups, one for each figure.

    Examples
    --------
    >>> pages(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    return [list(patients[k : k + size]) for k in range(0, len(patients), size)]
