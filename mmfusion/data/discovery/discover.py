"""Make a manifest from a user's folder, with an account of the files that are used or not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmfusion.data.assemble import assemble
from mmfusion.data.checks import lines_of
from mmfusion.data.cohort import RNA_UNITS, Cohort
from mmfusion.data.discovery.collector import Collector, names_of
from mmfusion.data.discovery.sample_sheet import sheets_of, with_owners
from mmfusion.data.discovery.sniff_scans import sniff_scan
from mmfusion.data.discovery.sniff_tables import sniff_table, with_known_ids
from mmfusion.data.discovery.walk import files_of
from mmfusion.data.manifest import check_manifest, write_manifest
from mmfusion.data.manifest_schema import COLUMNS, UNUSED
from mmfusion.errors import DataError, ManifestError, MMFusionError

MANIFEST = "data_manifest.csv"
# files that may hold data, but cannot be read -> what to do
OTHER_DATA = {
    **dict.fromkeys(
        (".sav", ".rds", ".rdata", ".parquet", ".feather", ".dta", ".sas7bdat"),
        "a table of another kind: save it as CSV",
    ),
    **dict.fromkeys((".tar", ".tgz", ".tar.gz", ".rar", ".7z", ".tar.bz2", ".tar.xz"), "packed: unpack it"),
    **dict.fromkeys((".img", ".hdr", ".mgz", ".mgh", ".mnc"), "an image of another kind: save it as .nii.gz"),
}
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
        Tasks for the user, such as choices between two files, and all that prevents the use of the data.
    notes : tuple of str
        Facts that the user should know: ids that were matched, columns that are not used.
    cohort : Cohort, optional
        What the manifest loads as, without the files that cannot be read; None if nothing can be loaded.
    """

    root: Path
    manifest: pd.DataFrame
    account: pd.DataFrame
    patients: pd.DataFrame
    to_do: tuple[str, ...]
    notes: tuple[str, ...] = ()
    cohort: Cohort | None = None

    def write(self, *, overwrite: bool = False) -> Path:
        """Write the manifest with hashes, and return its path.

        Raises
        ------
        ManifestError
            If there is a manifest already and `overwrite` is False, or no file can be used.
        """
        path = self.root / MANIFEST
        if self.manifest.empty or (self.manifest["role"] == UNUSED).all():
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
        Folder with all files: DICOM folders or ZIPs, NIfTI, NRRD, CSV, TSV, Excel.
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
        raise DataError("unknown unit", parameter="rna_unit", expected=", ".join(RNA_UNITS), got=rna_unit)
    tables, scans, others = files_of(root, ignored={MANIFEST, "manifest.csv"})
    images = {path: sniff_scan(path) for path in scans}
    names = {name for path, guess in images.items() for name in names_of(path.relative_to(root), guess)}
    sheets = sheets_of(tables)
    owners = {name: owner for sheet in sheets.values() for name, owner in sheet.items()}
    guesses = {path: sniff_table(path) for path in tables if path not in sheets}
    guesses = with_owners(with_known_ids(guesses, names), owners)
    collector = Collector(root, guesses, dataset or root.resolve().name, rna_unit)
    for path, files in sheets.items():
        collector.account(path, used=bool(files), what="patients of files", why="a list of files of the GDC")
    for path, guess in sorted(guesses.items(), key=lambda item: any(use.spare for use in item[1].uses)):
        collector.add_table(path, guess)
    collector.add_scans(images)
    for path in others:
        why = next((why for suffix, why in OTHER_DATA.items() if path.name.lower().endswith(suffix)), "")
        if why:
            collector.leave_out(path, why)
        else:
            collector.account(path, used=False, why="neither a table nor a scan")
    return _result(collector)


def _result(collector: Collector) -> Discovery:
    """Load what was found, to see what does not fit, and return all findings."""
    rows = pd.DataFrame(collector.rows, columns=list(COLUMNS), dtype="str").fillna("")
    cohort, problems = _trial(rows, collector.root)
    problems += () if cohort is None else cohort.provenance["warnings"]
    ids = sorted(collector.patients.union(*collector.has.values()))
    has = {kind: [p in patients for p in ids] for kind, patients in collector.has.items()}
    account = pd.DataFrame(collector.entries, columns=["path", "used", "as", "patient", "why"])
    return Discovery(
        root=collector.root,
        manifest=rows,
        account=account.sort_values("path").reset_index(drop=True),
        patients=pd.DataFrame(has, index=ids, dtype=bool).rename_axis("patient_id"),
        to_do=tuple(dict.fromkeys([*collector.tasks(), *problems])),
        notes=() if cohort is None else tuple(cohort.provenance["notes"]),
        cohort=cohort,
    )


def _trial(rows: pd.DataFrame, root: Path) -> tuple[Cohort | None, list[str]]:
    """Load the cohort of a manifest that is not written yet; return it, or None, and all errors as text."""
    rows = rows[rows["role"] != UNUSED]
    if rows.empty:
        return None, []
    problems: list[MMFusionError] = []
    cohort = None
    try:
        cohort = assemble(check_manifest(rows), root, problems=problems)
    except MMFusionError as error:
        problems.append(error)
    return cohort, lines_of(problems, root)
