"""Whose file is this: patient ids found in names, never guessed where two would do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """Outcome of looking for an id.

    Parameters
    ----------
    patient : str or None
        The id, as the tables write it; None if none, or more than one, fits.
    why : str
        In words.
    exact : bool
        Whether the name has the id letter by letter.
    """

    patient: str | None
    why: str
    exact: bool = False


def loose(text: str) -> str:
    """Lower case, no separators, no leading zeros: "R01_007" and "r1-7" are the same."""
    groups = re.findall(r"[a-z]+|\d+", text.lower())
    return "-".join(g.lstrip("0") or "0" if g.isdigit() else g for g in groups)


def spelled_twice(files: Mapping[str, str]) -> list[str]:
    """Ids that differ only in case, separators or zeros: most likely one patient, but a person has to say so.

    Parameters
    ----------
    files : mapping
        Id -> the first table that has it.

    Returns
    -------
    list of str
        A line for each pair of tables, with an example.
    """
    alike: dict[str, list[str]] = {}
    for patient in files:
        alike.setdefault(loose(patient), []).append(patient)
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for first, *others in alike.values():
        for other in others:
            pairs.setdefault((files[first], files[other]), []).append((first, other))
    return [
        f"{len(ids)} patient{'s' * (len(ids) > 1)}: {a} writes {ids[0][0]}, {b} {ids[0][1]}: make the ids equal"
        for (a, b), ids in pairs.items()
    ]


def find_patient_in(names: Iterable[str], patients: Iterable[str]) -> Match:
    """The patient that names of a file point at.

    Parameters
    ----------
    names : iterable of str
        Names to look at, the most telling first: a DICOM PatientID, the folder, the file without its suffix.
    patients : iterable of str
        Known ids.

    Returns
    -------
    Match
        By the first name that fits: equal, then as a word within, then equal or within but for case, separators and
        leading zeros. Several ids fitting equally well are no match.
    """
    names, patients = [n for n in names if n], list(patients)
    by_loose: dict[str, list[str]] = {}
    for patient in patients:
        by_loose.setdefault(loose(patient), []).append(patient)
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
            return Match(fits[0], f"{name!r} is {fits[0]!r} but for case, separators or leading zeros")
    return Match(None, f"no known patient id in {', '.join(map(repr, names))}")


def _has_word(name: str, patient: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(patient)}(?![A-Za-z0-9])", name) is not None


def _runs(name: str, known: dict[str, list[str]]) -> list[str]:
    """Known loose ids that are whole groups of `name`; a bare number is too little to go by."""
    return [k for k in known if "-" in k and f"-{k}-" in f"-{name}-"]


def _longest(found: list[str]) -> list[str]:
    """Without those that are part of another: R01-001 in R01-001-B."""
    return [f for f in found if not any(f != other and f in other for other in found)]
