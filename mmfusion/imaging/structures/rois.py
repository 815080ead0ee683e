"""Which region of a file is meant, and whether it was drawn on this scan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Integral
from pathlib import Path

from pydicom.dataset import Dataset

from mmfusion.errors import ScanError
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import BY_DICOM

Roi = int | str | Sequence[int | str] | None
_SHOWN = 20
_MODALITY = {m.sop_class: m.dicom for m in BY_DICOM.values()}


def choose_rois(names: Mapping[int, str], roi: Roi, path: str | Path) -> list[int]:
    """Numbers of the regions that are meant.

    Parameters
    ----------
    names : mapping
        Number -> name of every region in the file.
    roi : int, str, sequence of these, or None
        A number (or its digits); a name or, where it has ``*``, ``?`` or ``[``, a pattern as in a shell (upper and
        lower case differ); several of them; None for the only one.
    path : path
        Of the file, for messages.

    Raises
    ------
    ScanError
        If there is none, none that matches, or several and none chosen: regions are joined only if asked for.
    """
    if not names:
        raise ScanError("no region in it", file=path, expected="at least one")
    if roi is None:
        if len(names) > 1:
            hint = 'choose: roi=<number, name or pattern>, a list of these, or roi="*" for all of them as one mask'
            raise ScanError(f"{len(names)} regions", file=path, expected="one", got=_listed(names), hint=hint)
        return list(names)
    wanted = [roi] if isinstance(roi, str) or not isinstance(roi, Iterable) else list(roi)
    found: list[int] = []
    for item in wanted:
        matches = _matches(names, item)
        if not matches:
            raise ScanError(
                "no such region", file=path, column="roi", expected=f"one of {_listed(names)}", got=item
            )
        if len(matches) > 1 and item not in names and not _is_pattern(item):
            numbers = ", ".join(map(str, matches))
            raise ScanError(
                "several regions of this name", file=path, column="roi", got=item, hint=f"roi={numbers}?"
            )
        found += [number for number in matches if number not in found]
    if not found:
        raise ScanError("no region chosen", file=path, column="roi", expected=_listed(names), got=roi)
    return found


def check_same_patient_space(
    reference: Volume,
    path: str | Path,
    *,
    frame_of_reference: str | None,
    series: Collection[str] = (),
    images: Iterable[Dataset] = (),
) -> None:
    """Refuse what was drawn on another scan, as far as the two say on which.

    Another frame of reference is always refused. Within the same one, another series of the same modality is too:
    the phases of a 4-D CT share the frame but not the anatomy. A PET and its CT may exchange regions.

    Parameters
    ----------
    reference : Volume
        The scan.
    path : path
        For messages.
    frame_of_reference, series
        Where it was drawn; None or empty where the file is silent.
    images : iterable of Dataset
        Items that refer to the images that it was drawn on: their kind tells CT from PET.

    Raises
    ------
    ScanError
        With both identifiers.
    """
    frames = reference.frame_of_reference, frame_of_reference
    if all(frames) and frames[0] != frames[1]:
        raise ScanError("drawn in another frame of reference than the scan's", file=path,
                        column="FrameOfReferenceUID", expected=frames[0], got=frames[1],
                        hint="read the scan that it was drawn on")  # fmt: skip
    modalities = {_MODALITY.get(image.get("ReferencedSOPClassUID")) for image in images} - {None}
    same_kind = len(modalities) != 1 or reference.modality in modalities
    if series and reference.series_uid and reference.series_uid not in series and same_kind:
        hint = (
            "read it on the series that it was drawn on; if both show the same anatomy, "
            "read_mask(path, reference=that_series).like(this_one)"
        )
        raise ScanError("drawn on another series than the scan's", file=path, column="SeriesInstanceUID",
                        expected=reference.series_uid, got=", ".join(sorted(series)), hint=hint)  # fmt: skip


def _matches(names: Mapping[int, str], item: int | str) -> list[int]:
    if isinstance(item, Integral):
        return [int(item)] if item in names else []
    exact = [number for number, name in names.items() if name == item]
    if not exact and isinstance(item, str) and item.isdecimal() and int(item) in names:  # as a table gives it
        return [int(item)]
    return exact or [
        number for number, name in names.items() if _is_pattern(item) and fnmatchcase(name, item)
    ]


def _is_pattern(item: object) -> bool:
    return isinstance(item, str) and any(c in item for c in "*?[")


def _listed(names: Mapping[int, str]) -> str:
    shown = [f"{number} {name!r}" if name else str(number) for number, name in list(names.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
