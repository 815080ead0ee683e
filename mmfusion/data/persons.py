"""Person ids: find the rows of a manifest that belong to one person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import pandas as pd

from mmfusion.errors import ManifestError

_PATH = re.compile(r"[/\\]|\.(nii|nrrd|nhdr|mha|mhd|dcm|zip|gz|csv|tsv|txt|npy|json)$", re.IGNORECASE)


def person_ids(rows: Iterable, patients: pd.Index) -> pd.Series:
    """Return the id of the person that each patient id belongs to.

    A patient who is derived from another patient is the same person, over any number of steps. The person's
    id is the first patient in that chain, who may be outside the data set.

    Parameters
    ----------
    rows : iterable of named tuples
        Rows of the manifest. `derived_from` is a patient id, or the path of another row that has one.
    patients : Index of str, shape (n_patients,)
        Ids of the patients of the data set.

    Returns
    -------
    Series of str, shape (n_patients,)
        Index `patients`; the values of one person's rows are equal.

    Raises
    ------
    ManifestError
        If `derived_from` is a path, and no row with a patient has this path.

    Examples
    --------
    >>> columns = ["patient_id", "path", "derived_from"]
    >>> rows = pd.DataFrame([["a", "a.nii", ""], ["b", "b.nii", "a.nii"]], columns=columns)
    >>> person_ids(rows.itertuples(), pd.Index(["a", "b"])).to_dict()
    {'a': 'a', 'b': 'a'}
    """
    rows = list(rows)
    owners = {_plain(r.path): r.patient_id for r in rows if r.patient_id}
    names = {r.patient_id for r in rows} | set(patients)
    above: dict[str, str] = {}

    def first(patient: str) -> str:
        while patient in above:
            patient = above[patient]
        return patient

    for row in rows:
        if row.patient_id and row.derived_from:
            child, parent = first(row.patient_id), first(_source_patient(row, names, owners))
            if child != parent:  # patients derived from each other in a circle are one person
                above[child] = parent
    return pd.Series([first(p) for p in patients], index=patients, dtype="str")


def _source_patient(row, names: set[str], owners: dict[str, str]) -> str:
    """Return the patient id that a row's `derived_from` means."""
    source = row.derived_from.strip()
    if source in names:
        return source
    if owner := owners.get(_plain(source)):
        return owner
    if _PATH.search(source):
        raise ManifestError(
            "derived from a file of no patient",
            patient=row.patient_id,
            column="derived_from",
            expected="a patient, or the path of a patient's row",
            got=repr(source),
            hint="give the id of the patient from whom the row is derived",
        )
    return source


def _plain(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).as_posix()
