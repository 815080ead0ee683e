"""Rules for the rows of a manifest: columns, roles, values of cells, and rows that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import pandas as pd
import pandera.pandas as pa

from mmfusion.data.cohort import RNA_UNITS
from mmfusion.data.targets.ajcc import EDITIONS
from mmfusion.errors import ManifestError
from mmfusion.imaging.files import IMAGE_SUFFIXES
from mmfusion.modalities import IMAGING, MODALITIES
from mmfusion.storage.strict_json import parse_json

SCAN_ROLES = ("volume", "mask")  # files of one patient
UNUSED = "unused"  # a file that `mmfusion init` could not use; `validate` reminds of it
ROLES = (*SCAN_ROLES, "seeds", "features", "labels", "generator", UNUSED)
REQUIRED = ("dataset", "patient_id", "modality", "role", "path")
OPTIONAL = ("part", "sha256", "unit", "site", "derived_from", "license", "generator", "parameters")
COLUMNS = REQUIRED + OPTIONAL
_ENTRY = re.compile(r"mmfusion\.[\w.]+:\w+")
_LONGEST = 100_000  # characters of a cell


def stays_inside(path: str) -> bool:
    r"""Return True if a path is relative and does not leave its folder, by the rules of any system.

    Paths of a manifest start at its folder and stay in it. A link within the folder may point to files
    elsewhere: they are read. Nothing is written through such a link (see `mmfusion.data.generated`).

    Examples
    --------
    >>> stays_inside("ct/p1.nii.gz"), stays_inside("../p1.nii.gz"), stays_inside("C:\\p1.nii.gz")
    (True, False, False)
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    drive = re.match(r"[A-Za-z]:", path)
    return bool(path) and not pure.is_absolute() and ".." not in pure.parts and not drive and "\0" not in path


def parameters_of(cell: str) -> dict[str, object]:
    """Return the parameters in a cell of a manifest; {} if the cell is empty.

    Raises
    ------
    ManifestError
        If the cell is not a JSON object, or is nested too deeply, or holds NaN or a number out of range.

    Examples
    --------
    >>> parameters_of('{"n": 400}'), parameters_of("")
    ({'n': 400}, {})
    """
    problem = _not_parameters(cell)
    if problem:
        raise ManifestError(f"not parameters: {problem}", column="parameters", got=repr(cell[:60]))
    return parse_json(cell) if cell else {}


def _not_parameters(cell: str) -> str | None:
    """Return why a cell holds no parameters; None if it does."""
    if not cell:
        return None
    try:
        value = parse_json(cell)
    except ValueError as error:
        return str(error)
    return None if isinstance(value, dict) else "not an object"


def _column(*checks: pa.Check) -> pa.Column:
    short = _must(lambda text: len(text) <= _LONGEST, f"at most {_LONGEST} characters")
    return pa.Column(str, checks=[short, *checks], nullable=False)


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
        "path": _column(_must(stays_inside, "a path relative to the manifest that stays inside its folder")),
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
        "parameters": _column(
            _must(lambda cell: _not_parameters(cell) is None, "a JSON object of plain numbers, or empty")
        ),
    },
    strict=True,
    unique_column_names=True,
)


def first_failure(cases: pd.DataFrame, frame: pd.DataFrame, file: object) -> ManifestError:
    """Return the error for the first of the failure cases that pandera found."""
    case = cases.iloc[0]
    if case["check"] == "column_in_schema":
        return ManifestError(
            "unknown column", file=file, column=case["failure_case"], expected=", ".join(COLUMNS)
        )
    if pd.isna(case["index"]):
        return ManifestError("not a manifest", file=file, column=case["column"], got=case["failure_case"])
    row = int(case["index"])
    more = f", and {len(cases) - 1} more" if len(cases) > 1 else ""
    patient = frame["patient_id"].iloc[row][:60] or None
    where = {"patient": patient, "file": file, "column": case["column"]}
    got = repr(str(case["failure_case"])[:200])
    return ManifestError(f"bad cell in line {row + 2}{more}", **where, expected=case["check"], got=got)


def check_rows(frame: pd.DataFrame, file: object) -> None:
    """Raise a `ManifestError` if a row contradicts itself or another row."""
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
    _check_one_meaning(frame[scans], file)
    for row in frame[frame["parameters"] != ""].itertuples():
        _check_parameters(parameters_of(row.parameters), row, file)


def _check_one_meaning(scans: pd.DataFrame, file: object) -> None:
    """Raise a `ManifestError` if one image file is listed as two things, such as a CT and a mask."""
    images = scans[scans["path"].str.lower().str.endswith(IMAGE_SUFFIXES)]
    kinds = images["role"].where(
        images["role"] == "mask", images["modality"]
    )  # one mask may be of CT and PET
    for path, found in kinds.groupby(images["path"]):
        if found.nunique() > 1:
            row = images.loc[found.index[0]]
            hint = "a NIfTI, NRRD or MetaImage file holds one volume"
            got = " and ".join(f"a {kind}" for kind in found.unique())
            raise ManifestError(
                f"{path} is listed as two things", patient=row.patient_id, file=file, got=got, hint=hint
            )


def _are_editions(value: object) -> bool:
    """Return True for AJCC editions; stages that hold in the 6th and 7th edition are read as of the 7th."""
    found = set(value if isinstance(value, list) else [value])
    return found <= {6, *EDITIONS} and bool(found & set(EDITIONS))


def _check_parameters(parameters: Mapping[str, object], row, file: object) -> None:
    """Raise a `ManifestError` if a parameter that tables have is of another type."""
    if row.role == "generator":
        return  # the generator checks its own
    tests = {
        "ajcc_edition": (_are_editions, "7, 8 or 9, or several of them, also beside 6"),
        "target": (lambda v: isinstance(v, str), "a name"),
        "id_column": (lambda v: isinstance(v, str), "a name"),
        "why": (lambda v: isinstance(v, str), "a text"),
    }
    for name, (test, expected) in tests.items():
        try:
            good = name not in parameters or test(parameters[name])
        except TypeError:  # a list within the list
            good = False
        if not good:
            got = repr(parameters[name])[:60]
            where = {"patient": row.patient_id or None, "file": file, "column": "parameters"}
            raise ManifestError(f"{name} of {row.path} is not valid", **where, expected=expected, got=got)
