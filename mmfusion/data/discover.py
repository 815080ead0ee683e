"""A manifest from a user's own folders, with an account of what matched, what did not, and why."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import RNA_UNITS
from mmfusion.data.guess import Guess, Use
from mmfusion.data.manifest import COLUMNS, write_manifest
from mmfusion.data.matching import Match, find_patient_in, loose
from mmfusion.data.sniff_scans import is_image, sniff_scan
from mmfusion.data.sniff_tables import is_table, sniff_table
from mmfusion.errors import DataError, ManifestError
from mmfusion.imaging.files import may_be_dicom

MANIFEST = "data_manifest.csv"


@dataclass(frozen=True)
class Discovery:
    """What was found in a folder.

    Parameters
    ----------
    root : Path
        The folder.
    manifest : DataFrame
        Rows that can be used, columns as in `mmfusion.data.manifest`; paths relative to `root`.
    account : DataFrame
        A row per file or DICOM folder: `path`, `used` (bool), `as` ("ct volume"), `patient`, `why`.
    patients : DataFrame of bool
        Which patient has what: a column for stage and for each modality.
    to_do : tuple of str
        What a person has to settle before the cohort loads as wanted.
    """

    root: Path
    manifest: pd.DataFrame
    account: pd.DataFrame
    patients: pd.DataFrame
    to_do: tuple[str, ...]

    def write(self, *, overwrite: bool = False) -> Path:
        """Write the manifest, with hashes; raises `ManifestError` if one is there, or nothing is usable."""
        path = self.root / MANIFEST
        if self.manifest.empty:
            raise ManifestError("nothing there that can be used", file=self.root, hint="\n".join(self.to_do))
        if path.exists() and not overwrite:
            raise ManifestError("there is a manifest already", file=path, hint="move it away, or allow overwriting")
        return write_manifest(self.manifest, path, hashes=True)


def discover(folder: str | Path, *, dataset: str | None = None, rna_unit: str | None = None) -> Discovery:
    """Look through a folder and work out which file is what, and whose.

    Tables are told by headers and values, scans by their DICOM headers or names; a scan's patient by the ids of the
    tables. Where two answers fit, neither is taken.

    Parameters
    ----------
    folder : path
        Holds everything; DICOM as folders or ZIPs, NIfTI, NRRD, CSV, TSV.
    dataset : str, optional
        Name of the data set; by default the folder's.
    rna_unit : {"counts", "tpm", "fpkm", "log", "zscore"}, optional
        Unit of the RNA tables, where the numbers do not tell.

    Returns
    -------
    Discovery
        Nothing is written before its `write`.

    Raises
    ------
    DataError
        If the folder is absent or the unit unknown.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError("no such folder", file=root)
    if rna_unit is not None and rna_unit not in RNA_UNITS:
        raise DataError("unknown unit", column="rna_unit", expected=", ".join(RNA_UNITS), got=rna_unit)
    tables, scans, others = _walk(root)
    guesses = {path: sniff_table(path) for path in tables}
    finder = _Finder(root, guesses, dataset or root.resolve().name, rna_unit)
    for path, guess in guesses.items():
        finder.add_table(path, guess)
    finder.add_scans({path: sniff_scan(path) for path in scans})
    for path in others:
        finder.account(path, used=False, why="neither a table nor a scan")
    return finder.result()


def _walk(root: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Tables; scans (image files, DICOM folders and ZIPs); other files. Hidden ones and manifests are passed over."""
    tables, scans, others = [], [], []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(n for n in inner if not n.startswith("."))
        files = [
            Path(folder) / n for n in sorted(names) if not n.startswith(".") and n not in {MANIFEST, "manifest.csv"}
        ]
        dicom = False
        for file in files:
            if is_table(file):
                tables.append(file)
            elif is_image(file) or file.suffix.lower() == ".zip":
                scans.append(file)
            elif may_be_dicom(file):
                dicom = True
            else:
                others.append(file)
        if dicom:
            scans.append(Path(folder))
    return tables, scans, others


class _Finder:
    """Collects rows, the account, and what remains to be settled."""

    def __init__(self, root: Path, tables: dict[Path, Guess], dataset: str, rna_unit: str | None) -> None:
        self.root, self.dataset, self.rna_unit = root, dataset, rna_unit
        self.rows: list[dict[str, str]] = []
        self.entries: list[dict[str, object]] = []
        self.to_do: list[str] = []
        self.has: dict[str, set[str]] = {}  # "stage", "ct", ... -> patients
        self.tables: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}  # (modality, role) -> file -> patients
        self.known = list(dict.fromkeys(i for guess in tables.values() if guess.uses for i in guess.ids))
        self._compare_ids()

    def account(self, path: Path, *, used: bool, why: str, what: str = "", patient: str = "") -> None:
        self.entries.append({"path": self._name(path), "used": used, "as": what, "patient": patient, "why": why})

    def add_table(self, path: Path, guess: Guess) -> None:
        if not guess.uses:
            return self.account(path, used=False, why=guess.why)
        ids, owner, why = guess.ids, "", guess.why
        if not ids:  # one patient's table, without an id inside
            match = self._owner(path, guess)
            if match.patient is None:
                return self.account(path, used=False, why=f"{why}; whose it is cannot be told: {match.why}")
            ids, owner, why = (match.patient,), match.patient, f"{why}; {match.why}"
        for use in guess.uses:
            self._row(path, use, patient=owner, unit=self._unit(path, use.modality, guess))
            self.tables.setdefault((use.modality, use.role), {})[self._name(path)] = ids
            self.has.setdefault({"labels": "stage", "seeds": "seeds"}.get(use.role, use.modality), set()).update(ids)
        what = ", ".join(use.what for use in guess.uses)
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
                self.to_do.append(f"{patient} has {len(paths)} {what}s ({names}): list the one to use in the manifest")

    def _add_scan(self, path: Path, guess: Guess, owner: Match, claims: dict[tuple[str, str], list[Path]]) -> None:
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
        if "stage" not in self.has:
            self.to_do.append("no stages found: give a table with patient_id and stage, or t, n and m")
        rows = pd.DataFrame(self.rows, columns=list(COLUMNS), dtype="str").fillna("")
        for (modality, role), files in self.tables.items():
            times = Counter(patient for ids in files.values() for patient in ids)
            shared = sum(n > 1 for n in times.values())
            if shared and (modality, role) != ("ct", "features"):
                what, names = f"{modality} {role}".strip(), ", ".join(files)
                self.to_do.append(f"{names} give {what} of the same {shared} patients: keep one row in the manifest")
        everyone = sorted(set().union(*self.has.values())) if self.has else []
        patients = pd.DataFrame(
            {k: [p in v for p in everyone] for k, v in self.has.items()}, index=everyone, dtype=bool
        )
        account = pd.DataFrame(self.entries, columns=["path", "used", "as", "patient", "why"]).sort_values("path")
        return Discovery(
            self.root, rows, account.reset_index(drop=True), patients.rename_axis("patient_id"), tuple(self.to_do)
        )

    def _owner(self, path: Path, guess: Guess) -> Match:
        relative = path.relative_to(self.root)
        stem = relative.name.split(".")[0]
        names = [guess.patient_hint, stem, *reversed(relative.parts[:-1])]
        if self.known:
            return find_patient_in(names, self.known)
        name = guess.patient_hint or (relative.parts[0] if len(relative.parts) > 1 else stem)
        return Match(name, "no table of patients: called by its DICOM id, folder or name", exact=True)

    def _unit(self, path: Path, modality: str, guess: Guess) -> str:
        if modality != "rna":
            return ""
        unit = guess.unit or self.rna_unit or ""
        if not unit:
            self.to_do.append(
                f"{self._name(path)}: say in which unit it is ({', '.join(RNA_UNITS)}), in the manifest's unit column"
            )
        return unit

    def _row(self, path: Path, use: Use, *, patient: str = "", unit: str = "") -> None:
        what = {"modality": use.modality, "role": use.role, "part": use.part, "unit": unit}
        self.rows.append({"dataset": self.dataset, "patient_id": patient, "path": self._name(path), **what})

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _compare_ids(self) -> None:
        """Ids that differ only in case, separators or zeros are most likely one patient; a person has to say so."""
        alike = Counter(loose(i) for i in self.known)
        for key in [k for k, n in alike.items() if n > 1]:
            spellings = ", ".join(i for i in self.known if loose(i) == key)
            self.to_do.append(f"the tables write what may be one patient as {spellings}: make the ids equal")
