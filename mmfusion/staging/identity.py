"""The patient who is staged: the id that the user, the tables or the DICOM files of the scans give."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mmfusion.errors import DataError

NO_ID = "patient"  # the id that the readers give to a table without ids, and the name if nothing states one


def patient_name(
    tables: Mapping[str, str], scans: Mapping[str, str | None], patient: str | None = None
) -> tuple[str, list[str]]:
    """Return the patient's id, and remarks on ids that differ from it.

    The first of these that there is: `patient`; the id in the tables; the id in the DICOM files.

    Parameters
    ----------
    tables : mapping
        Modality -> id in its table; `NO_ID` if the table has none.
    scans : mapping
        Modality -> PatientID in the DICOM files of its scan; None if they state none.
    patient : str, optional
        The id that the user gave.

    Raises
    ------
    DataError
        If two tables, two scans, or a table and a scan state different patients. If `patient` is given, it is
        only a remark that a scan states another patient, because DICOM files often carry other ids.

    Examples
    --------
    >>> patient_name({"ehr": "P1"}, {"ct": "P1"})
    ('P1', [])
    >>> patient_name({}, {"ct": "ANON-7"})
    ('ANON-7', [])
    >>> patient_name({}, {"ct": "ANON-7"}, "P1")
    ('P1', ["the DICOM files of ct state the patient 'ANON-7', not 'P1': is it the right scan?"])
    """
    listed = {m: name for m, name in tables.items() if name != NO_ID}
    stated = {m: name for m, name in scans.items() if name}
    if len(set(listed.values())) > 1:
        got = _named(listed)
        raise DataError("the tables are about different patients", got=got, hint="give one patient's tables")
    name = patient or next(iter([*listed.values(), *stated.values()]), NO_ID)
    others = {m: other for m, other in stated.items() if not _same(other, name)}
    if others and patient is None:
        raise DataError(
            "the inputs are about different patients",
            got=_named({**listed, **stated}),
            hint="give one patient's files; if DICOM files carry other ids, name the patient: "
            "patient=... (--patient)",
        )
    return name, [
        f"the DICOM files of {m} state the patient {other!r}, not {name!r}: is it the right scan?"
        for m, other in others.items()
    ]


def _named(names: Mapping[str, str]) -> str:
    return ", ".join(f"{m} of {name}" for m, name in names.items())


def _same(one: str, other: str) -> bool:
    """Return True if two ids are equal, but for case and signs, or one is the other with a suffix."""
    short, long = sorted((re.split(r"[\W_]+", text.casefold().strip()) for text in (one, other)), key=len)
    return "".join(short) == "".join(long) or (len(short) > 1 and long[: len(short)] == short)
