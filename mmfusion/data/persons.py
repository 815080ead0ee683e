"""Which rows are one person: those that a manifest says are derived from another, however many steps back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import pandas as pd

from mmfusion.errors import ManifestError

_PATH = re.compile(r"[/\\]|\.(nii|nrrd|nhdr|mha|mhd|dcm|zip|gz|csv|tsv|txt|npy|json)$", re.IGNORECASE)


def people(rows: Iterable, patients: pd.Index) -> pd.Series:
    """Who each patient is: itself, or the one that it comes from, which need not be a patient of the data set.

    Parameters
    ----------
    rows : iterable of named tuples
        Rows of the manifest; `derived_from` is a patient, or the path of a row that is a patient's.
    patients : Index of str, shape (n,)

    Returns
    -------
    Series of str, shape (n,)
        Equal for the rows of one person; index `patients`.

    Raises
    ------
    ManifestError
        If a `derived_from` is a path, and that of no patient's row.
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
            child, parent = first(row.patient_id), first(_whose(row, names, owners))
            if child != parent:  # a ring is one person too
                above[child] = parent
    return pd.Series([first(p) for p in patients], index=patients, dtype="str")


def _whose(row, names: set[str], owners: dict[str, str]) -> str:
    source = row.derived_from.strip()
    if source in names:
        return source
    if owner := owners.get(_plain(source)):
        return owner
    if _PATH.search(source):
        raise ManifestError(
            "derived from a file of no patient", patient=row.patient_id, column="derived_from", got=repr(source),
            expected="a patient, or the path of a patient's row", hint="name the patient that the row comes from",
        )  # fmt: skip
    return source


def _plain(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).as_posix()
