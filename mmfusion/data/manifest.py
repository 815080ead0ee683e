"""The manifest: a table with one row per file of a data set, checked by a schema and by hashes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandera.errors import SchemaErrors

from mmfusion.data.manifest_schema import (
    COLUMNS,
    OPTIONAL,
    REQUIRED,
    SCHEMA,
    UNUSED,
    check_rows,
    first_failure,
    stays_inside,
)
from mmfusion.errors import ManifestError
from mmfusion.escaping import unguarded_cells, write_csv
from mmfusion.limits import check_memory
from mmfusion.storage.atomic import saved
from mmfusion.storage.hashing import hash_file, hash_path


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read a manifest and check its rows; the files that it lists are not opened.

    Parameters
    ----------
    path : path
        A CSV with the columns `REQUIRED`, and any of `OPTIONAL`.

    Returns
    -------
    DataFrame of str, shape (n_files, 13)
        Columns `manifest_schema.COLUMNS`; empty cells are empty strings.

    Raises
    ------
    ManifestError
        If the file is absent or a row breaks the schema: a wrong role, unit, hash or path, a scan without a
        patient, two scans of one patient with the same modality and role, two rows for one file.

    Examples
    --------
    >>> import tempfile
    >>> row = {"dataset": "mine", "patient_id": "", "modality": "ehr", "role": "features", "path": "ehr.csv"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pd.DataFrame([row]).to_csv(Path(folder) / "manifest.csv", index=False)
    ...     read_manifest(Path(folder) / "manifest.csv").shape
    (1, 13)
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(
            "no manifest there", file=path, hint="make one with: mmfusion init <folder of your data>"
        )
    check_memory(10.0 * path.stat().st_size, "the manifest", file=path, error=ManifestError)
    try:
        frame = unguarded_cells(pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig"))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        raise ManifestError(f"not a CSV table ({error})", file=path, expected=", ".join(REQUIRED)) from error
    return check_manifest(frame, path)


def check_manifest(frame: pd.DataFrame, file: str | Path | None = None) -> pd.DataFrame:
    """Check a manifest as `read_manifest` does, and return it with all `COLUMNS`; `frame` is not changed.

    Examples
    --------
    >>> row = {"dataset": "mine", "patient_id": "", "modality": "ehr", "role": "features", "path": "ehr.csv"}
    >>> check_manifest(pd.DataFrame([row])).loc[0, "path"]
    'ehr.csv'
    """
    absent = [c for c in REQUIRED if c not in frame]
    if absent:
        raise ManifestError(
            "column absent", file=file, column=", ".join(absent), expected=", ".join(REQUIRED)
        )
    frame = frame.astype(object).where(frame.notna(), "").astype(str)
    frame = frame.assign(**{c: "" for c in OPTIONAL if c not in frame}).reset_index(drop=True)
    try:
        SCHEMA.validate(frame, lazy=True)
    except SchemaErrors as error:
        raise first_failure(error.failure_cases, frame, file) from error
    check_rows(frame, file)
    return frame.loc[:, list(COLUMNS)]


def resolve(row_path: str, root: str | Path) -> Path:
    """Return a manifest's path below `root`; a path with the backslashes of Windows is found too.

    Raises
    ------
    ManifestError
        If the path leaves `root`.

    Examples
    --------
    >>> resolve("ct/p1.nii.gz", "study").as_posix()
    'study/ct/p1.nii.gz'
    """
    if not stays_inside(row_path):
        raise ManifestError(
            "path leaves the manifest's folder", file=row_path, expected=f"a path below {root}"
        )
    path = Path(root) / row_path
    return path if "\\" not in row_path or path.exists() else Path(root) / row_path.replace("\\", "/")


def check_hashes(manifest: pd.DataFrame, root: str | Path) -> None:
    """Check that all files are there, and that files with a recorded hash are unchanged.

    Raises
    ------
    ManifestError
        If a file is absent or its SHA-256 hash differs. The error names the first such file.
    """
    for row in manifest[~manifest["role"].isin(["generator", UNUSED])].itertuples():
        file = resolve(row.path, root)
        if not file.exists():
            hint = "correct the path, or give root=, the folder from which the manifest's paths start"
            raise ManifestError("file absent", patient=row.patient_id or None, file=file, hint=hint)
        if row.sha256 and (got := hash_path(file)) != row.sha256:
            raise ManifestError(
                "hash differs",
                patient=row.patient_id or None,
                file=file,
                expected=row.sha256,
                got=got,
                hint=_why_it_differs(file, row.sha256),
            )


def _why_it_differs(file: Path, recorded: str) -> str:
    accept = "mmfusion validate <manifest> --rehash"
    if file.is_file() and hash_file(file) == recorded:
        return (
            "the recorded hash covers the header alone, not the data files that it names; "
            f"if the data are right, record the hash of both with: {accept}"
        )
    return f"restore the changed file, or accept the change with: {accept}"


def write_manifest(frame: pd.DataFrame, path: str | Path, *, hashes: bool = False) -> Path:
    """Check a manifest and write it in one step; if the write is interrupted, the old file stays.

    Parameters
    ----------
    frame : DataFrame
        Columns `REQUIRED` and any of `OPTIONAL`.
    path : path
        The CSV to write; the paths in the rows are relative to its folder.
    hashes : bool
        Fill empty cells of `sha256` with the hashes of the files. A folder that contains the manifest gets no
        hash, as writing the manifest would change it.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ManifestError
        If a row breaks the schema, with `hashes` a file is absent or has changed, or the manifest cannot be
        written.
    """
    path = Path(path)
    frame = check_manifest(frame, path)
    if hashes:
        check_hashes(frame, path.parent)
        made = [
            h
            or (
                ""
                if r in ("generator", UNUSED) or _holds(path.parent / p, path)
                else hash_path(path.parent / p)
            )
            for h, r, p in frame[["sha256", "role", "path"]].to_numpy()
        ]
        frame = frame.assign(sha256=made)
    with saved(path, ManifestError) as draft:
        write_csv(frame, draft, index=False)
    return path


def rehash(path: str | Path, root: str | Path | None = None) -> list[str]:
    """Update the hashes that a manifest has, and return the paths of the files that had changed.

    Rows without a hash and all other columns stay as they are.

    Raises
    ------
    ManifestError
        If the manifest cannot be read, or a file is absent.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    frame = read_manifest(path)
    check_hashes(frame.assign(sha256=""), root)
    made = [hash_path(resolve(p, root)) if h else "" for h, p in frame[["sha256", "path"]].to_numpy()]
    changed = list(frame["path"][frame["sha256"] != made].unique())
    if changed:
        write_manifest(frame.assign(sha256=made), path)
    return changed


def _holds(folder: Path, file: Path) -> bool:
    return folder.resolve() in file.resolve().parents
