"""Collect the uses of a folder's files: rows of the manifest, the account, and what is left to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmfusion.data.discovery.guess import Guess, Use
from mmfusion.data.discovery.matching import Match, find_patient_in
from mmfusion.data.discovery.sniff_tables import PROSE
from mmfusion.data.keys import IdTable, unify
from mmfusion.data.manifest_schema import UNUSED
from mmfusion.data.scans import seeds_wanted
from mmfusion.data.tables.notes import listed
from mmfusion.data.tables.stage_headers import ACCEPTED
from mmfusion.modalities import IMAGING


class Collector:
    """Collector of the manifest's rows, the account, and the tasks for the user.

    Parameters
    ----------
    root : path
        The folder.
    tables : mapping
        Path of a table -> what it may be used for.
    dataset : str
        Name of the data set.
    rna_unit : str, optional
        Unit of RNA tables whose unit cannot be seen.
    """

    def __init__(self, root: Path, tables: Mapping[Path, Guess], dataset: str, rna_unit: str | None) -> None:
        self.root, self.dataset, self.rna_unit = root, dataset, rna_unit
        self.rows: list[dict[str, str]] = []
        self.entries: list[dict[str, object]] = []
        self.to_do: list[str] = []
        self.patients: set[str] = set()
        self.has: dict[str, set[str]] = {}  # "stage", "ct", ... -> patients
        # (modality, role) -> file -> patients
        self.tables: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
        self.unused: dict[str, list[str]] = {}  # why -> tables
        self.stage_like = [
            f"{g.stage_like!r} in {self._name(path)}" for path, g in tables.items() if g.stage_like
        ]
        self.spelling = unify(
            IdTable(use.what, self._name(path), guess.ids)
            for path, guess in tables.items()
            for use in guess.uses
        )
        every = [patient for guess in tables.values() if guess.uses for patient in guess.ids]
        self.known = list(dict.fromkeys(self._spelled(every)))
        self.lost: list[str] = []  # scans of no known patient

    def account(self, path: Path, *, used: bool, why: str, what: str = "", patient: str = "") -> None:
        """Add a file to the account."""
        self.entries.append(
            {"path": self._name(path), "used": used, "as": what, "patient": patient, "why": why}
        )

    def leave_out(self, path: Path, why: str) -> None:
        """Record a table that is not used, in the account, the tasks and the manifest."""
        self.account(path, used=False, why=why)
        self.unused.setdefault(why, []).append(self._name(path))
        self._row(path, Use("", UNUSED), parameters=json.dumps({"why": why}))

    def add_table(self, path: Path, guess: Guess) -> None:
        """Add a table to the manifest, or leave it out."""
        if not guess.uses:
            return (
                self.account(path, used=False, why=PROSE)
                if guess.why == PROSE
                else self.leave_out(path, guess.why)
            )
        ids, owner, why = self._spelled(guess.ids), "", guess.why
        if not ids:  # a table of one patient without an id in it
            match = self._owner(path, guess)
            if match.patient is None:
                return self.leave_out(path, f"{why}; its patient is not clear: {match.why}")
            ids, owner, why = (match.patient,), match.patient, f"{why}; {match.why}"
        uses = [use for use in guess.uses if not (use.spare and self.has.get(use.modality, set()) & set(ids))]
        if len(uses) < len(guess.uses):
            files = ", ".join(self.tables["ehr", "features"])
            reason = (
                f"the records are not taken, as {files} has some of the same patients: add the columns there"
            )
            why += f"; {reason}"
            if not uses:
                return self.leave_out(path, why)
            self.to_do.append(f"{self._name(path)}: {reason}")
        for use in uses:
            parameters = "" if guess.id_column is None else json.dumps({"id_column": guess.id_column})
            unit = self._unit(use.modality, guess)
            self._row(path, use, patient=owner, unit=unit, parameters=parameters)
            self.tables.setdefault((use.modality, use.role), {})[self._name(path)] = ids
            what = {"labels": "stage", "seeds": _seeds(use.modality)}.get(use.role, use.modality)
            self.has.setdefault(what, set()).update(self._spelled(guess.staged) if what == "stage" else ids)
        self.patients.update(ids)
        what = ", ".join(use.what for use in uses)
        return self.account(path, used=True, why=why, what=what, patient=owner or f"{len(ids)} patients")

    def add_scans(self, guesses: Mapping[Path, Guess]) -> None:
        """Add scans and masks to the manifest, if their patient and the choice among them are clear."""
        owners = {path: self._owner(path, guess) for path, guess in guesses.items()}
        claims: dict[tuple[str, str], list[Path]] = {}  # (patient, what)
        for path, guess in guesses.items():
            for use in guess.uses if owners[path].patient is not None else ():
                claims.setdefault((owners[path].patient, use.what), []).append(path)
        for path, guess in guesses.items():
            self._add_scan(path, guess, owners[path], claims)
        for (patient, what), paths in claims.items():
            if len(paths) > 1:
                names = ", ".join(map(self._name, paths[:4]))
                self.to_do.append(
                    f"{patient} has {len(paths)} {what}s ({names}): list the one to use in the manifest"
                )

    def _add_scan(
        self, path: Path, guess: Guess, owner: Match, claims: dict[tuple[str, str], list[Path]]
    ) -> None:
        patient, used = owner.patient, False
        why = f"{guess.why}; {owner.why}" if guess.uses else guess.why
        for use in guess.uses if patient is not None else ():
            rivals = len(claims[patient, use.what])
            if rivals > 1:
                why += f"; {rivals} candidates for this patient, none taken"
            elif use.question:
                why += f"; {use.what} not taken, see what is left to do"
                self.to_do.append(f"{patient}, {use.what} in {self._name(path)}: {use.question}")
            else:
                used = True
                self._row(path, use, patient=patient)
                if use.role == "volume":
                    self.has.setdefault(use.modality, set()).add(patient)
        what = ", ".join(use.what for use in guess.uses)
        if guess.uses and patient is None:
            self.lost.append(self._name(path))
            self._row(
                path, Use("", UNUSED), parameters=json.dumps({"why": "a scan of no patient in the tables"})
            )
        self.account(path, used=used, why=why, what=what, patient=patient if guess.uses and patient else "")

    def tasks(self) -> list[str]:
        """Return what is left to do for the user, as far as it can be seen without reading the files."""
        to_do = list(self.to_do)
        if not self.has.get("stage"):
            closest = f"; the closest: {', '.join(self.stage_like[:4])}" if self.stage_like else ""
            to_do.append(f"no stages found: give a table with patient_id and {ACCEPTED}{closest}")
        elif without := sorted(self.patients - self.has["stage"]):
            to_do.append(
                f"{len(without)} of {len(self.patients)} patients have no stage ({listed(without)}), so that "
                "no model learns from them: add their stages if they are known"
            )
        unused = [f"{listed(names)} not used: {why}" for why, names in self.unused.items()]
        more = len(unused) - 10
        to_do += unused[:10] + [f"{more} more tables not used, see below"] * (more > 0)
        if self.lost:
            n = len(self.lost)
            to_do.append(f"{n} scan{'s' * (n > 1)} of no patient in the tables: {listed(self.lost)}")
        for modality in IMAGING:
            volumes = [r for r in self.rows if (r["modality"], r["role"]) == (modality, "volume")]
            scans = {r["patient_id"] for r in volumes}
            masks = {r["patient_id"] for r in self.rows if (r["modality"], r["role"]) == (modality, "mask")}
            if alone := sorted(masks - scans):
                to_do.append(
                    f"{len(alone)} {modality} mask{'s' * (len(alone) > 1)} without a scan of the patient "
                    f"({listed(alone)}): add the scan that it was drawn on"
                )
            if absent := scans - self.has.get(_seeds(modality), set()):
                to_do.append(seeds_wanted(len(absent), len(scans), modality))
        return to_do

    def _spelled(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return ids in the spelling that `load_cohort` will use, without samples that it leaves out."""
        return tuple(self.spelling.of(name) for name in ids if name not in self.spelling.dropped)

    def _owner(self, path: Path, guess: Guess) -> Match:
        relative = path.relative_to(self.root)
        names = names_of(relative, guess)
        if self.known:
            return find_patient_in(names, self.known)
        name = guess.patient_hint or (relative.parts[0] if len(relative.parts) > 1 else names[1])
        name = name or self.root.resolve().name  # DICOM files in the folder itself
        return Match(
            name,
            "no table of patients: the id is the DICOM id, or the name of the folder or file",
            exact=True,
        )

    def _unit(self, modality: str, guess: Guess) -> str:
        if modality != "rna":
            return ""
        if guess.units:
            return self.rna_unit if self.rna_unit in guess.units else guess.units[0]
        return guess.unit or self.rna_unit or ""

    def _row(self, path: Path, use: Use, *, patient: str = "", unit: str = "", parameters: str = "") -> None:
        what = {"modality": use.modality, "role": use.role, "part": use.part}
        what |= {"unit": unit, "parameters": parameters}
        self.rows.append({"dataset": self.dataset, "patient_id": patient, "path": self._name(path), **what})

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def names_of(path: Path, guess: Guess) -> list[str]:
    """Return the names that may hold the id of a file's patient, the most reliable first.

    They are the DICOM PatientID, the name of the file without its suffix, and those of its folders.

    Examples
    --------
    >>> names_of(Path("north/P-001/ct.nii.gz"), Guess((), "", patient_hint="P1"))
    ['P1', 'ct', 'P-001', 'north']
    """
    return [guess.patient_hint, path.name.split(".")[0], *reversed(path.parts[:-1])]


def _seeds(modality: str) -> str:
    """Return the name of the column for a modality's seeds, in `Discovery.patients`."""
    return "seeds" if modality == "ct" else f"{modality} seeds"
