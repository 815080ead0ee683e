"""The manifest: a table with one row per file of a data set, checked by a schema and by hashes."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from mmfusion.data.cohort import RNA_UNITS
from mmfusion.errors import ManifestError
from mmfusion.escaping import unguarded_cells, write_csv
from mmfusion.modalities import IMAGING, MODALITIES
from mmfusion.storage.atomic import atomic_file
from mmfusion.storage.hashing import hash_file, hash_path

SCAN_ROLES = ("volume", "mask")  # files of one patient
UNUSED = "unused"  # a table that `mmfusion init` could not use; `validate` reminds of it
ROLES = (*SCAN_ROLES, "seeds", "features", "labels", "generator", UNUSED)
REQUIRED = ("dataset", "patient_id", "modality", "role", "path")
OPTIONAL = ("part", "sha256", "unit", "site", "derived_from", "license", "generator", "parameters")
COLUMNS = REQUIRED + OPTIONAL
_ENTRY = re.compile(r"mmfusion\.[\w.]+:\w+")


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path.replace("\\", "/"))
    return (
        bool(path) and not pure.is_absolute() and ".." not in pure.parts and not re.match(r"[A-Za-z]:", path)
    )


def _column(*checks: pa.Check) -> pa.Column:
    return pa.Column(str, checks=list(checks), nullable=False)


def _either_empty_or(test, meaning: str) -> pa.Check:
    return pa.Check(lambda text: text == "" or bool(test(text)), element_wise=True, error=meaning)


def _must(test, meaning: str) -> pa.Check:
    return pa.Check(test, element_wise=True, error=meaning)


SCHEMA = pa.DataFrameSchema(
    {
        "dataset": _column(_must(bool, "the data set's name")),
        "patient_id": _column(
            _must(lambda s: s == s.strip(), "an id without spaces around it, or empty for a table")
        ),
        "modality": _column(
            _either_empty_or(
                re.compile(r"[a-z][a-z0-9_]*").fullmatch, f"{', '.join(MODALITIES)}, meta or empty"
            )
        ),
        "role": _column(_must(lambda s: s in ROLES, f"one of {', '.join(ROLES)}")),
        "path": _column(_must(_stays_inside, "a path relative to the manifest that stays inside its folder")),
        "part": _column(),  # series of a volume or region of a mask, see `imaging.read` and `read_mask`
        "sha256": _column(
            _either_empty_or(re.compile(r"[0-9a-f]{64}").fullmatch, "64 hexadecimal digits, or empty")
        ),
        "unit": _column(
            _either_empty_or(lambda s: s in RNA_UNITS, f"one of {', '.join(RNA_UNITS)}, or empty")
        ),
        "site": _column(),
        "derived_from": _column(),
        "license": _column(),
        "generator": _column(_either_empty_or(_ENTRY.fullmatch, "mmfusion.<module>:<function>, or empty")),
        "parameters": _column(_either_empty_or(_is_json_object, "a JSON object, or empty")),
    },
    strict=True,
    unique_column_names=True,
)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read a manifest and check its rows; the files that it lists are not opened.

    Parameters
    ----------
    path : path
        A CSV with the columns `REQUIRED`, and any of `OPTIONAL`.

    Returns
    -------
    DataFrame of str, shape (n_files, 13)
        Columns `COLUMNS`; empty cells are empty strings.

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
    try:
        frame = unguarded_cells(pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig"))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
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
        raise _first_failure(error, frame, file) from error
    _check_rows(frame, file)
    return frame.loc[:, list(COLUMNS)]


def _first_failure(error: SchemaErrors, frame: pd.DataFrame, file: object) -> ManifestError:
    cases = error.failure_cases
    case = cases.iloc[0]
    if case["check"] == "column_in_schema":
        return ManifestError(
            "unknown column", file=file, column=case["failure_case"], expected=", ".join(COLUMNS)
        )
    row = int(case["index"])
    more = f", and {len(cases) - 1} more" if len(cases) > 1 else ""
    patient = frame["patient_id"].iloc[row] or None
    where = {"patient": patient, "file": file, "column": case["column"]}
    return ManifestError(
        f"bad cell in line {row + 2}{more}", **where, expected=case["check"], got=repr(case["failure_case"])
    )


def _check_rows(frame: pd.DataFrame, file: object) -> None:
    scans = frame["role"].isin(SCAN_ROLES)
    no_patient = frame.index[scans & (frame["patient_id"] == "")]
    if len(no_patient):
        line, role = no_patient[0] + 2, frame.loc[no_patient[0], "role"]
        raise ManifestError(f"line {line} has a {role} without a patient", file=file, column="patient_id")
    not_imaging = frame.index[scans & ~frame["modality"].isin(IMAGING)]
    if len(not_imaging):
        row = frame.loc[not_imaging[0]]
        problem = f"a {row.role} is of an imaging modality"
        raise ManifestError(
            problem, patient=row.patient_id, file=file, expected=", ".join(IMAGING), got=repr(row.modality)
        )
    for keys in (["patient_id", "modality", "role"], ["path", "role", "patient_id", "modality"]):
        rows = frame[scans] if keys[0] == "patient_id" else frame
        twice = rows[rows.duplicated(keys)]
        if len(twice):
            row = twice.iloc[0]
            problem = (
                f"two {row.modality} {row.role} rows for one patient"
                if row.patient_id
                else f"{row.path} listed twice"
            )
            raise ManifestError(
                problem, patient=row.patient_id or None, file=file, got=row.path, hint="keep one"
            )


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
    if not _stays_inside(row_path):
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
        If a row breaks the schema, or with `hashes` a file is absent or has changed.
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
    with atomic_file(path) as draft:
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
