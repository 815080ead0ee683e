"""Find scans that two cohorts share under different ids, or that a cohort has twice; refuse these pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.data.profiles import find_same_profiles
from mmfusion.data.scans import scan_of
from mmfusion.errors import LeakageError, ScanError
from mmfusion.imaging import read
from mmfusion.imaging.signature import SAME, ScanFingerprint, scan_fingerprint, similarities
from mmfusion.modalities import IMAGING, scan_modality
from mmfusion.storage.cache import cached, fingerprint

_VERSION = 1  # of the fingerprints in the cache
_SHOWN = 5
_COPY = 0.9999  # correlation of two copies of a profile, apart from rounding
_WHAT = {"rna": "expression profile"}


def find_duplicates(
    first: Cohort, second: Cohort | None = None, *, moved: bool = True, least: float = SAME
) -> pd.DataFrame:
    """Return the pairs of patients whose scans are the same, also if resampled, cropped or under other ids.

    Public data sets share patients: the lung scans of the Medical Segmentation Decathlon are from
    NSCLC-Radiogenomics, and the lung phantom of the IBSI is LUNG1-002. See
    `mmfusion.imaging.signature.similarities` for what is recognised.

    Parameters
    ----------
    first, second : Cohort
        Cohorts with scans. Without `second`, the patients of `first` are compared with each other.
    moved : bool
        Find scans whose position was lost too, which takes about 0.1 s for each pair of scans. False compares
        at equal coordinates only.
    least : float
        Least similarity of a pair, from -1 to 1.

    Returns
    -------
    DataFrame
        Columns `modality`, `first`, `second` (patient ids) and `similarity`; the most similar pair first.

    Raises
    ------
    ScanError
        If a scan cannot be read. The error names the patient.

    Notes
    -----
    Fingerprints are kept in the cache, so that a scan is read once. A scan of less than 60 mm is left out.
    """
    rows = []
    for modality in IMAGING:
        a = _fingerprints(first, modality)
        b = a if second is None else _fingerprints(second, modality)
        if not a or not b:
            continue
        found = similarities(list(a.values()), list(b.values()), moved=moved)
        if second is None:
            found[np.tril_indices(len(a))] = -1.0
        pairs = zip(*np.nonzero(found >= least))
        rows += [(modality, list(a)[i], list(b)[j], found[i, j]) for i, j in pairs]
    table = pd.DataFrame(rows, columns=["modality", "first", "second", "similarity"])
    return table.sort_values("similarity", ascending=False, ignore_index=True)


def check_no_duplicates(first: Cohort, second: Cohort | None = None, *, moved: bool = True) -> None:
    """Raise a `LeakageError` if two persons have the same scan or the same expression profile.

    Parameters
    ----------
    first, second : Cohort
        Cohorts of training and test, or one cohort that will be split. Rows of one person
        (`Cohort.groups["patient"]`) may share them within one cohort, because splits keep them together.
    moved : bool
        As in `find_duplicates`.

    Raises
    ------
    LeakageError
        The error names both ids of each pair.
    """
    found = find_duplicates(first, second, moved=moved), find_same_profiles(first, second)
    _refuse(
        pd.concat([table for table in found if len(table)] or [found[0]], ignore_index=True), first, second
    )


def check_no_copied_profiles(cohort: Cohort) -> None:
    """Raise a `LeakageError` if two persons of a cohort have the same values of all genes.

    This is fast, and finds copies only. `check_no_duplicates` also finds other measurements of one profile.
    """
    _refuse(find_same_profiles(cohort, least=_COPY), cohort, None)


def _refuse(pairs: pd.DataFrame, first: Cohort, second: Cohort | None) -> None:
    """Raise a `LeakageError` about these pairs, if there are any of two persons."""
    if second is None:
        person = first.groups["patient"]
        apart = [person[a] != person[b] for a, b in zip(pairs["first"], pairs["second"])]
        pairs = pairs[np.array(apart, dtype=bool)]
    if len(pairs):
        shown = [f"{p.first} = {p.second} ({p.modality}, {p.similarity:.2f})" for p in pairs.itertuples()]
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        names = first.name if second is None else f"{first.name}, {second.name}"
        what = " and ".join(dict.fromkeys(_WHAT.get(m, "scan") for m in pairs["modality"]))
        raise LeakageError(
            f"the same {what} under two patient ids",
            patient=", ".join(shown[:_SHOWN]) + more,
            file=names,
            hint="leave one of each pair out, or state that they are one person: derived_from in the "
            "manifest, or the column patient of groups",
        )


def _fingerprints(cohort: Cohort, modality: str) -> dict[str, ScanFingerprint]:
    if (modality, "volume") not in cohort.table:
        return {}
    block = cohort.table[modality]
    found = {}
    for patient, row in block[block["volume"].notna()].iterrows():
        path, series, _ = scan_of(row)
        unit = scan_modality(modality).unit

        def make(path: object = path, series: object = series, unit: str = unit) -> np.ndarray:
            volume = read(path, series, unit=unit)
            extent = np.subtract(*volume.extent_mm[::-1])
            return scan_fingerprint(volume).to_array() if extent.min() >= 60 else np.empty(0, np.int16)

        try:
            key = {"scan": fingerprint(path), "series": str(series), "unit": unit, "version": _VERSION}
            array = cached("signature", key, make)
        except ScanError as error:
            error.patient = error.patient or str(patient)
            raise
        if array.size:
            found[patient] = ScanFingerprint.from_array(array)
    return found
