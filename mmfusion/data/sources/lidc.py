"""LIDC-IDRI: 1018 CTs of 1010 patients, with the nodules that four radiologists drew.

Source: TCIA; Armato et al. 2011, doi:10.1118/1.3528204. CC BY 3.0.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mmfusion.data.cohort import Cohort
from mmfusion.data.dicom_folders import dicom_folders
from mmfusion.data.lesion_cohort import lesion_cohort
from mmfusion.data.sources import Folder, register_source
from mmfusion.errors import DataError, ScanError
from mmfusion.imaging.structures.lidc import LidcReading, is_lidc, read_lidc
from mmfusion.storage.text_header import META_SUFFIXES

_IMAGES = (*META_SUFFIXES, ".nii.gz")


@register_source("lidc", "lidc_idri")
def lidc(root: str | Path | None = None) -> Cohort:
    """Read the CTs and the XML files; each CT is found by the series that its XML names.

    Parameters
    ----------
    root : path
        Folder with the XML files (in the folders of the series, or as LIDC-XML-only.zip unpacks them), and
        the CTs: as DICOM folders, or as files that are named by their series, as LUNA16 has them.

    Returns
    -------
    Cohort
        Target "lesion". The mask of a CT is its XML: the consensus of the readers, all nodules joined
        (`mmfusion.imaging.lidc_nodules`). The two scans of one patient are one person if the CT is DICOM; a
        file that is named by its series does not tell the patient.

    Raises
    ------
    DataError
        If there is no XML or no CT, a series is there twice, or a file is damaged.
    """
    folder = Folder(root, "LIDC-IDRI")
    readings = _readings(folder)
    scans = _scans(folder)
    rows, persons, seen = {}, {}, Counter()
    for uid in sorted(set(readings) & set(scans), key=lambda uid: (scans[uid][1], uid)):
        path, patient = scans[uid]
        seen[patient] += 1
        row = patient if seen[patient] == 1 else f"{patient}-{seen[patient]}"
        mask = {("ct", "mask"): str(readings[uid].path), ("ct", "mask_part"): "*"}
        rows[row], persons[row] = {("ct", "volume"): str(path), **mask}, patient
    without = len(set(readings) - set(scans)), len(set(scans) - set(readings))
    if any(without):
        folder.note(f"{without[0]} XML files without their CT, and {without[1]} CTs without an XML: left out")
    folder.note("masks: at least 2 readers drew the nodule, and half of them count the voxel in")
    if not rows:
        raise DataError("no CT with its XML", file=folder.root, expected="the series that the XML files name")
    return lesion_cohort("lidc", rows, folder.provenance(license="CC BY 3.0 (TCIA)"), persons=persons)


def _scans(folder: Folder) -> dict[str, tuple[Path, str]]:
    """Return the CT and the patient of each series: a folder of DICOM, or else a file named by the series."""
    found = [(f.series_uid, f.path, f.patient) for f in dicom_folders(folder.root) if f.modality == "CT"]
    dicom = _once(found)
    images = [(_stem(file), file, _stem(file)) for file in _files(folder.root, _IMAGES)]
    files = _once(images)
    if both := len(dicom.keys() & files.keys()):
        folder.note(f"{both} CTs are there as DICOM and as a file of another format: the DICOM is used")
    return files | dicom


def _once(found: list[tuple[str, Path, str]]) -> dict[str, tuple[Path, str]]:
    scans: dict[str, tuple[Path, str]] = {}
    for uid, path, patient in found:
        if uid in scans:
            raise DataError("two CTs of one series", patient=patient, file=path, got=scans[uid][0],
                            hint="keep one of them")  # fmt: skip
        scans[uid] = path, patient
    return scans


def _files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files whose names end so, in upper or lower case."""
    return sorted(
        file
        for file in root.rglob("*")
        if file.name.lower().endswith(suffixes) and not file.name.startswith(".") and file.is_file()
    )


def _stem(file: Path) -> str:
    suffix = next(suffix for suffix in _IMAGES if file.name.lower().endswith(suffix))
    return file.name[: -len(suffix)]


def _readings(folder: Folder) -> dict[str, LidcReading]:
    found: dict[str, LidcReading] = {}
    others = 0
    for file in _files(folder.root, (".xml",)):
        if not is_lidc(file):
            others += 1
            continue
        try:
            reading = read_lidc(file)
        except ScanError as error:  # the file is a source of a table, so the error is about data
            raise DataError(
                error.problem,
                file=file,
                column=error.column,
                expected=error.expected,
                got=error.got,
                hint=error.hint,
            ) from error
        known = found.setdefault(reading.series_uid, reading)
        if known is not reading and known.path.read_bytes() != file.read_bytes():
            raise DataError(
                "two readings of one series", file=file, got=known.path.name, hint="keep one of them"
            )
    if others:
        folder.note(f"{others} XML files are no readings of a CT, such as those of radiographs: left out")
    if not found:
        raise DataError("no XML of a CT found", file=folder.root, hint="download LIDC-XML-only.zip with it")
    return found
