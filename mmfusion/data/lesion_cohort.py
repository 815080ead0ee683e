"""Cohorts that consist of scans and masks of lesions, as data sets for segmentation publish them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from mmfusion.data.cohort import Cohort
from mmfusion.errors import DataError
from mmfusion.storage.strict_json import parse_json

_SHOWN = 5  # names that a note shows
_DATA = (".raw", ".zraw", ".raw.gz")  # the voxels of a header in another file


def lesion_cohort(
    name: str,
    rows: Mapping[str, Mapping[tuple[str, str], object]],
    provenance: Mapping[str, object],
    *,
    persons: Mapping[str, str] | None = None,
) -> Cohort:
    """Return a cohort with the target "lesion" from the cells of each scan.

    Parameters
    ----------
    name : str
        Name of the cohort.
    rows : mapping
        Row id -> cells: (modality, feature) -> value, such as ("ct", "volume") -> path.
    provenance : mapping
        Source, licence and notes.
    persons : mapping, optional
        Row id -> id of the person, if a person has several scans.

    Raises
    ------
    DataError
        If there is no scan, or none has a mask.

    Examples
    --------
    >>> cells = {("ct", "volume"): "a.nii.gz", ("ct", "mask"): "a_mask.nii.gz"}
    >>> lesion_cohort("mine", {"a": cells}, {}).y.tolist()
    ['a_mask.nii.gz']
    """
    if not rows:
        raise DataError("no scan found", file=name, expected="the folders as published")
    index = pd.Index(list(rows), name="patient_id")
    columns = dict.fromkeys(column for cells in rows.values() for column in cells)
    table = pd.DataFrame({c: [cells.get(c) for cells in rows.values()] for c in columns}, index=index)
    groups = pd.DataFrame({"patient": [(persons or {}).get(row, row) for row in rows]}, index=index)
    return Cohort(
        name=name,
        table=table,
        outcomes=pd.DataFrame(index=index),
        target="lesion",
        groups=groups,
        provenance=provenance,
    )


def read_listing(file: Path, *keys: str) -> dict[str, object]:
    """Return the content of a `dataset.json`, which must be an object with these keys.

    Raises
    ------
    DataError
        If the file cannot be read, is not JSON, or lacks a key.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "dataset.json"
    ...     _ = file.write_text('{"labels": {"background": 0}}')
    ...     read_listing(file, "labels")
    {'labels': {'background': 0}}
    """
    try:
        found = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("not a list of a data set", file=file, expected="JSON", got=error) from error
    lacking = [key for key in keys if not isinstance(found, dict) or key not in found]
    if lacking:
        got = ", ".join(found) if isinstance(found, dict) else type(found).__name__
        raise DataError("not a list of a data set", file=file, expected=", ".join(keys), got=got)
    return found


def listed_file(folder: Path, name: object, listing: Path) -> Path:
    """Return a file that a listing names, after checking that it exists within the folder of the data set.

    Raises
    ------
    DataError
        If it is absent, or the name leads out of the folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "a.nii.gz").touch()
    ...     listed_file(Path(folder), "./a.nii.gz", Path("dataset.json")).name
    'a.nii.gz'
    """
    path = folder / str(name)
    try:
        inside, there = path.resolve().is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError) as error:
        raise DataError("not a name of a file", file=listing, got=repr(name)[:80]) from error
    if not inside:
        raise DataError("a file outside the data set", file=listing, got=name, hint="give its own name")
    if not there:
        raise DataError("a listed file is absent", file=path, expected=f"as {listing.name} lists")
    return path


def files_beside(
    folder: Path, parts: Sequence[str], rows: Iterable[Mapping[tuple[str, str], object]]
) -> list[str]:
    """Return the names of the files in some folders of a data set that no row of a cohort names.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "imagesTr").mkdir()
    ...     for name in ("a.nii.gz", "b.nii.gz", "._a.nii.gz"):
    ...         (Path(folder) / "imagesTr" / name).touch()
    ...     files_beside(Path(folder), ["imagesTr"], [{("ct", "volume"): f"{folder}/imagesTr/a.nii.gz"}])
    ['imagesTr/b.nii.gz']
    """
    named = {Path(str(cell)).resolve() for cells in rows for cell in cells.values()}
    files = (file for part in parts for file in sorted((folder / part).glob("*")))
    return [
        f"{file.parent.name}/{file.name}"
        for file in files
        if not file.name.startswith(".")
        and not file.name.lower().endswith(_DATA)
        and file.is_file()
        and file.resolve() not in named
    ]


def shown(names: Sequence[object]) -> str:
    """Return the first names for a note.

    Examples
    --------
    >>> shown("abcdefg")
    'a, b, c, d, e, ...'
    """
    return ", ".join(map(str, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
