"""Make a manifest from a user's folder, with an account of the files that are used or not, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import RNA_UNITS
from mmfusion.data.discovery.guess import Guess, Use
from mmfusion.data.discovery.matching import Match, find_patient_in, spelled_twice
from mmfusion.data.discovery.sniff_scans import sniff_scan
from mmfusion.data.discovery.sniff_tables import PROSE, sniff_table
from mmfusion.data.discovery.walk import files_of
from mmfusion.data.manifest import COLUMNS, write_manifest
from mmfusion.data.scans import seeds_wanted
from mmfusion.data.tables.stage_headers import ACCEPTED
from mmfusion.errors import DataError, ManifestError
from mmfusion.modalities import IMAGING

MANIFEST = "data_manifest.csv"
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".sav", ".rds", ".parquet")
_KEEP = (
    "if files changed, keep it and accept them with: mmfusion validate <manifest> --rehash; "
    "mmfusion init --overwrite replaces it, and what was set by hand is lost"
)


@dataclass(frozen=True)
class Discovery:
    """The files found in a folder, and their use.

    Parameters
    ----------
    root : Path
        The folder.
    manifest : DataFrame of str, shape (n_rows, 13)
        Files that can be used, with the columns of `mmfusion.data.manifest`; paths are relative to `root`.
    account : DataFrame, shape (n_files, 5)
        One row per file or DICOM folder: `path`, `used` (bool), `as` ("ct volume"), `patient`, `why`.
    patients : DataFrame of bool, shape (n_patients, n_columns)
        True where a patient has data: one column for the stage, for each modality and for seeds.
    to_do : tuple of str
        Tasks for the user, such as choices between two files.
    """

    root: Path
    manifest: pd.DataFrame
    account: pd.DataFrame
    patients: pd.DataFrame
    to_do: tuple[str, ...]

    def write(self, *, overwrite: bool = False) -> Path:
        """Write the manifest with hashes, and return its path.

        Raises
        ------
        ManifestError
            If there is a manifest already and `overwrite` is False, or no file can be used.
        """
        path = self.root / MANIFEST
        if self.manifest.empty:
            raise ManifestError("nothing there that can be used", file=self.root, hint="\n".join(self.to_do))
        if path.exists() and not overwrite:
            raise ManifestError("there is a manifest already", file=path, hint=_KEEP)
        return write_manifest(self.manifest, path, hashes=True)


def discover(folder: str | Path, *, dataset: str | None = None, rna_unit: str | None = None) -> Discovery:
    """Search a folder, and find the kind of each file and its patient.

    Tables are recognised by headers and values, scans by DICOM headers or file names. The patient of a scan
    is found by the ids in the tables. If two answers fit, neither is taken, and `to_do` asks the user.

    Parameters
    ----------
    folder : path
        Folder with all files: DICOM folders or ZIPs, NIfTI, NRRD, CSV, TSV.
    dataset : str, optional
        Name of the data set; default, the name of the folder.
    rna_unit : {"counts", "tpm", "fpkm", "log", "zscore"}, optional
        Unit of RNA tables whose unit cannot be seen from the numbers.

    Returns
    -------
    Discovery
        The result; nothing is written until `write` is called.

    Raises
    ------
    DataError
        If the folder is absent or the unit is unknown.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError("no such folder", file=root)
    if rna_unit is not None and rna_unit not in RNA_UNITS:
        raise DataError("unknown unit", column="rna_unit", expected=", ".join(RNA_UNITS), got=rna_unit)
    tables, scans, others = files_of(root, ignored={MANIFEST, "manifest.csv"})
    guesses = {path: sniff_table(path) for path in tables}
    collector = _Collector(root, guesses, dataset or root.resolve().name, rna_unit)
    for path, guess in sorted(guesses.items(), key=lambda item: any(use.spare for use in item[1].uses)):
        collector.add_table(path, guess)
    collector.add_scans({path: sniff_scan(path) for path in scans})
    for path in others:
        if path.suffix.lower() in SHEETS:
            collector.leave_out(path, "a table of another kind: save it as CSV")
        else:
            collector.account(path, used=False, why="neither a table nor a scan")
    return collector.result()


class _Collector:
    """Collector of the manifest's rows, the account, and the tasks for the user."""

    def __init__(self, root: Path, tables: dict[Path, Guess], dataset: str, rna_unit: str | None) -> None:
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
        known: dict[str, str] = {}  # patient -> the first table that has it
        for path, guess in tables.items():
            for patient in guess.ids if guess.uses else ():
                known.setdefault(patient, self._name(path))
        self.known = list(known)
        self.to_do += spelled_twice(known)

    def account(self, path: Path, *, used: bool, why: str, what: str = "", patient: str = "") -> None:
        self.entries.append(
            {"path": self._name(path), "used": used, "as": what, "patient": patient, "why": why}
        )

    def leave_out(self, path: Path, why: str) -> None:
        """Record a table that is not used, and mention it in the tasks for the user."""
        self.account(path, used=False, why=why)
        self.unused.setdefault(why, []).append(self._name(path))

    def add_table(self, path: Path, guess: Guess) -> None:
        if not guess.uses:
            return (
                self.account(path, used=False, why=PROSE)
                if guess.why == PROSE
                else self.leave_out(path, guess.why)
            )
        ids, owner, why = guess.ids, "", guess.why
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
            self._row(path, use, patient=owner, unit=self._unit(path, use.modality, guess))
            self.tables.setdefault((use.modality, use.role), {})[self._name(path)] = ids
            what = {"labels": "stage", "seeds": _seeds(use.modality)}.get(use.role, use.modality)
            self.has.setdefault(what, set()).update(guess.staged if what == "stage" else ids)
        self.patients.update(ids)
        what = ", ".join(use.what for use in uses)
        return self.account(path, used=True, why=why, what=what, patient=owner or f"{len(ids)} patients")

    def add_scans(self, guesses: dict[Path, Guess]) -> None:
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
        self.account(path, used=used, why=why, what=what, patient=patient if guess.uses and patient else "")

    def result(self) -> Discovery:
        rows = pd.DataFrame(self.rows, columns=list(COLUMNS), dtype="str").fillna("")
        if not self.has.get("stage"):
            closest = f"; the closest: {', '.join(self.stage_like[:4])}" if self.stage_like else ""
            self.to_do.append(f"no stages found: give a table with patient_id and {ACCEPTED}{closest}")
        unused = [f"{_some(names)} not used: {why}" for why, names in self.unused.items()]
        self.to_do += unused[:10] + [f"{len(unused) - 10} more tables not used, see below"] * (
            len(unused) > 10
        )
        for modality in IMAGING:
            scans = set(rows["patient_id"][(rows["modality"] == modality) & (rows["role"] == "volume")])
            if absent := scans - self.has.get(_seeds(modality), set()):
                self.to_do.append(seeds_wanted(len(absent), len(scans), modality))
        for (modality, role), files in self.tables.items():
            times = Counter(patient for ids in files.values() for patient in ids)
            shared = sum(n > 1 for n in times.values())
            if shared and (modality, role) != ("ct", "features"):
                what, names = f"{modality} {role}".strip(), ", ".join(files)
                self.to_do.append(
                    f"{names} give {what} of the same {shared} patients: keep one row in the manifest"
                )
        ids = sorted(self.patients.union(*self.has.values()))
        patients = pd.DataFrame(
            {k: [p in v for p in ids] for k, v in self.has.items()}, index=ids, dtype=bool
        )
        account = pd.DataFrame(self.entries, columns=["path", "used", "as", "patient", "why"]).sort_values(
            "path"
        )
        return Discovery(
            self.root,
            rows,
            account.reset_index(drop=True),
            patients.rename_axis("patient_id"),
            tuple(self.to_do),
        )

    def _owner(self, path: Path, guess: Guess) -> Match:
        relative = path.relative_to(self.root)
        stem = relative.name.split(".")[0]
        names = [guess.patient_hint, stem, *reversed(relative.parts[:-1])]
        if self.known:
            return find_patient_in(names, self.known)
        name = guess.patient_hint or (relative.parts[0] if len(relative.parts) > 1 else stem)
        return Match(
            name,
            "no table of patients: the id is the DICOM id, or the name of the folder or file",
            exact=True,
        )

    def _unit(self, path: Path, modality: str, guess: Guess) -> str:
        if modality != "rna":
            return ""
        unit = guess.unit or self.rna_unit or ""
        if not unit:
            self.to_do.append(
                f"{self._name(path)}: say in which unit it is, in the column unit of the manifest "
                f"({', '.join(RNA_UNITS)})"
            )
        return unit

    def _row(self, path: Path, use: Use, *, patient: str = "", unit: str = "") -> None:
        what = {"modality": use.modality, "role": use.role, "part": use.part, "unit": unit}
        self.rows.append({"dataset": self.dataset, "patient_id": patient, "path": self._name(path), **what})

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _seeds(modality: str) -> str:
    """Return the name of the column for a modality's seeds, in `Discovery.patients`."""
    return "seeds" if modality == "ct" else f"{modality} seeds"


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
