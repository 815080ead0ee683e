"""Find the patient id of a file in names; if two ids fit, none is taken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mmfusion.data.id_rules import loose, without_word


@dataclass(frozen=True)
class Match:
    """Result of the search for a patient id.

    Parameters
    ----------
    patient : str or None
        The id in the spelling of the tables; None if no id fits or several fit.
    why : str
        Reason for the result.
    exact : bool
        True if the name contains the id letter by letter.

    Examples
    --------
    >>> Match(None, "two ids fit: R01-1 and R01-10").patient is None
    True
    """

    patient: str | None
    why: str
    exact: bool = False


def find_patient_in(names: Iterable[str], patients: Iterable[str]) -> Match:
    """Find the patient id that the names of a file contain.

    Parameters
    ----------
    names : iterable of str
        Names to examine, the most reliable first: a DICOM PatientID, the file without its suffix, the
        folders.
    patients : iterable of str
        Known patient ids.

    Returns
    -------
    Match
        The first name that fits decides. An id fits if it is equal to the name; then if it is a word of the
        name; then if it is equal or a part when case, separators and leading zeros are ignored; then if both
        are one id by the rules of `mmfusion.data.id_rules`, such as a patient and a sample of TCGA. If
        several ids fit equally well, there is no match.

    Examples
    --------
    >>> find_patient_in(["p1_scan"], ["P-001", "P-002"]).patient
    'P-001'
    """
    names, patients = [n for n in names if n], list(patients)
    by_loose: dict[str, list[str]] = {}
    by_rules: dict[str, list[str]] = {}
    for patient in patients:
        by_loose.setdefault(loose(patient), []).append(patient)
        by_rules.setdefault(without_word(patient), []).append(patient)
    for name in names:
        if name in patients:
            return Match(name, "the name is the id", exact=True)
        within = _longest([p for p in patients if _has_word(name, p)])
        if len(within) == 1:
            return Match(within[0], f"the id is part of the name {name!r}", exact=True)
        alike = by_loose.get(loose(name), []) or [
            p for k in _longest(_runs(loose(name), by_loose)) for p in by_loose[k]
        ]
        fits = within or alike
        if len(fits) > 1:
            return Match(None, f"{name!r} fits several patients: {', '.join(fits[:5])}")
        if fits:
            return Match(fits[0], f"{name!r} is {fits[0]!r} without case, separators and leading zeros")
        fits = by_rules.get(without_word(name), [])
        if len(fits) == 1:
            return Match(fits[0], f"{name!r} is {fits[0]!r} in another spelling")
    return Match(None, f"no known patient id in {', '.join(map(repr, names))}")


def _has_word(name: str, patient: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(patient)}(?![A-Za-z0-9])", name) is not None


def _runs(name: str, known: dict[str, list[str]]) -> list[str]:
    """Return the known loose ids that are whole groups of `name`; ids of one group only are not searched."""
    return [k for k in known if "-" in k and f"-{k}-" in f"-{name}-"]


def _longest(found: list[str]) -> list[str]:
    """Return the ids that are not part of another id, as R01-001 is part of R01-001-B."""
    return [f for f in found if not any(f != other and f in other for other in found)]
