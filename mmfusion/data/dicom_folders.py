"""Find the folders of a download that hold one series of DICOM each, from one header per folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pydicom

from mmfusion.errors import DataError
from mmfusion.imaging.structures.source import readable

_TAGS = ["Modality", "PatientID", "SeriesInstanceUID", "SeriesDescription", "StudyInstanceUID"]


@dataclass(frozen=True)
class DicomFolder:
    """A folder with the files of one series.

    Examples
    --------
    >>> DicomFolder(Path("ct"), "CT", "LIDC-IDRI-0314", "1.2.3").modality
    'CT'
    """

    path: Path
    modality: str
    patient: str
    series_uid: str
    study_uid: str = ""
    description: str = ""


def dicom_folders(root: str | Path) -> list[DicomFolder]:
    """Return the folders below `root` that hold `*.dcm` files, in the order of their names.

    TCIA's downloads have one series in each folder; only the first file of a folder is read, so that a
    collection of a thousand scans is listed in seconds.

    Parameters
    ----------
    root : path
        Folder of the download.

    Raises
    ------
    DataError
        If the first file of a folder is not DICOM, or states no patient or no series.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dicom_folders(folder)
    []
    """
    found = []
    for place, folders, names in os.walk(root):
        folders.sort()
        files = sorted(name for name in names if name.lower().endswith(".dcm") and not name.startswith("."))
        if files:
            found.append(_folder(Path(place), Path(place) / files[0]))
    return found


def _folder(path: Path, file: Path) -> DicomFolder:
    with readable(file, "DICOM"):
        ds = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        modality, patient, series, description, study = (str(ds.get(tag) or "").strip() for tag in _TAGS)
    if not (patient and series):
        raise DataError("not a slice of a patient", file=file, expected="PatientID and SeriesInstanceUID")
    return DicomFolder(path, modality, patient, series, study, description)
