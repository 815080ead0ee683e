"""Recognise scans: DICOM by its headers, image files by their names; choose the series or region."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmfusion.data.discovery.guess import Guess, Use
from mmfusion.data.discovery.own_output import in_mask_folder
from mmfusion.errors import ScanError
from mmfusion.imaging.account import by_reason
from mmfusion.imaging.dicom.archive import members
from mmfusion.imaging.dicom.passes import check_one_pass
from mmfusion.imaging.dicom.series import Found, Series, look_through
from mmfusion.imaging.files import IMAGE_SUFFIXES
from mmfusion.imaging.structures import list_rois
from mmfusion.imaging.structures.source import STRUCTURES
from mmfusion.modalities import BY_DICOM, modality_of_name

_MASK_WORDS = re.compile(
    r"(?<![a-z])(mask|seg|segmentation|label|labels|gtv|igtv|roi|tumou?r|lesion|contour)(?![a-z])"
)
_TUMOUR = re.compile(r"(?<![a-z])(i?gtv|tumou?r|lesion|nodule|neoplasm)(?![a-z])")  # in the name of a region


def is_image(path: Path) -> bool:
    """Return True if the name of a file is that of a scan: NIfTI, NRRD or MetaImage.

    Examples
    --------
    >>> is_image(Path("P1_ct.nii.gz")), is_image(Path("stage.csv"))
    (True, False)
    """
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def sniff_scan(path: Path) -> Guess:
    """Return the uses of an image file, or of a folder or ZIP of DICOM.

    If a DICOM folder has several series or regions, the use names the one to read. If the choice is not
    clear, the use has a question. Folders below the path are examined separately.
    """
    if path.is_file() and is_image(path):
        return _by_name(path)
    try:
        with members(path) as found:
            return _by_headers(look_through(found), path)
    except ScanError as error:
        return Guess((), f"cannot be read: {error}")


def _by_name(path: Path) -> Guess:
    name = path.name.lower()
    for suffix in sorted(IMAGE_SUFFIXES, key=len, reverse=True):
        name = name.removesuffix(suffix)
    modality = modality_of_name(name).name
    if _MASK_WORDS.search(name):
        return Guess((Use(modality, "mask"),), f"{modality} mask by its name")
    if in_mask_folder(path):
        return Guess((Use(modality, "mask"),), f"{modality} mask by the name of its folder")
    return Guess((Use(modality, "volume"),), f"{modality} volume by its name")


def _by_headers(found: Found, path: Path) -> Guess:
    series = found.series
    here = [s for s in series if any(_lies_in(header.member.file, path) for header in s.slices)]
    left = "".join(f"; {part}" for part in by_reason(found.others) if part.lost)
    if not here:
        return Guess((), f"no DICOM image in it{left}")
    why = _counted(here) + left
    patients = sorted({h.text("PatientID") for s in here for h in s.slices} - {""})
    if len(patients) > 1:
        return Guess((), f"{why}; of several patients: {', '.join(patients[:5])}")
    uses = [use for kind in BY_DICOM if (use := _volume(kind, here, series, path))]
    if any(s.modality in STRUCTURES for s in here):
        uses.append(_mask(path))
    return Guess(tuple(uses), why if uses else f"{why}: not used", patient_hint="".join(patients))


def _volume(kind: str, here: Sequence[Series], series: Sequence[Series], path: Path) -> Use | None:
    """Return the use of a modality's series; if there are several, the only one that can be stacked."""
    readable = [s for s in series if not s.problem]
    mine = [s for s in readable if s in here and s.modality == kind]
    if len(mine) > 1:
        mine = [s for s in mine if s.spacing(path)] or mine
    if len(mine) == 1 and (passes := _passes(mine[0], path)):
        return Use(
            BY_DICOM[kind].name, "volume", question=f"{passes}: add a row to the manifest with this part"
        )
    if len(mine) < 2:
        return Use(BY_DICOM[kind].name, "volume", mine[0].uid if len(readable) > 1 else "") if mine else None
    what, part = f"{len(mine)} {kind} series", "the UID of one, or largest, thinnest or first"
    return Use(BY_DICOM[kind].name, "volume", question=_question(what, part, [s.line(path) for s in mine]))


def _passes(series: Series, path: Path) -> str:
    """Return a question that names the passes of a series and asks for one; "" if there is only one."""
    try:
        check_one_pass(series.slices, path)
    except ScanError as error:
        return str(error)
    return ""


def _mask(path: Path) -> Use:
    """Return the use of a region; if there are several, the only one that is drawn or named as a tumour."""
    try:
        regions = list_rois(path)
    except ScanError as error:
        return Use("ct", "mask", question=str(error))
    if len(regions) == 1:
        return Use("ct", "mask")
    drawn = regions[regions["parts"] > 0]
    tumours = drawn[[bool(_TUMOUR.search(name.lower())) for name in drawn["name"]]]
    for fit in (drawn, tumours):
        if len(fit) == 1:
            number, name = fit["number"].iloc[0], fit["name"].iloc[0]
            return Use("ct", "mask", name if name and (regions["name"] == name).sum() == 1 else str(number))
    lines = [f"{number} {name!r}" for number, name in regions[["number", "name"]].itertuples(index=False)]
    question = _question(f"{len(lines)} regions", "the number or name of one, or * for all as one", lines)
    return Use("ct", "mask", question=question)


def _question(what: str, part: str, lines: Iterable[str]) -> str:
    listed = "".join(f"\n  - {line}" for line in lines)
    return f"{what}: add a row to the manifest, with {part} in the column part{listed}"


def _counted(series: Iterable[Series]) -> str:
    """Return the number of files per kind: "DICOM CT, 120 files; RTSTRUCT, 1 file"."""
    counts: Counter[str] = Counter()
    for s in series:
        kind = f"{s.modality} ({s.problem})" if s.problem and s.modality in BY_DICOM else s.modality
        counts[kind] += len(s.names())
    return "DICOM " + "; ".join(f"{kind}, {n} file{'s' * (n > 1)}" for kind, n in counts.items())


def _lies_in(file: Path, path: Path) -> bool:
    """Return True if a file is the path itself, or is directly in the folder and is no ZIP."""
    return file == path or (file.parent == path and file.suffix.lower() != ".zip")
