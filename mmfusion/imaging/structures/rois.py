"""Choose regions by number, name or pattern, and check that they were drawn on a given scan."""

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
_SHOWN = 20  # regions listed in a message
_MODALITY = {m.sop_class: m.dicom for m in BY_DICOM.values()}


def choose_rois(names: Mapping[int, str], roi: Roi, path: str | Path) -> list[int]:
    """Return the numbers of the chosen regions.

    Parameters
    ----------
    names : mapping of int to str
        Number -> name of every region in the file.
    roi : int, str, sequence of these, or None
        A number (or its digits), a name, or a pattern as in a shell if it contains ``*``, ``?`` or ``[``
        (in which upper and lower case are equal). A sequence chooses several regions. None chooses the only
        region.
    path : path
        File name for messages.

    Returns
    -------
    list of int
        Numbers, in the order of `roi`, each once.

    Raises
    ------
    ScanError
        If there is no region, if none matches, or if there are several and `roi` is None. Regions are joined
        only if the user asks for it.

    Examples
    --------
    >>> choose_rois({1: "Lung-Left", 2: "LUNG-RIGHT", 3: "GTV-1"}, "lung*", "rs.dcm")
    [1, 2]
    """
    if not names:
        raise ScanError("the file has no region", file=path, expected="at least one")
    if roi is None:
        if len(names) > 1:
            hint = 'choose: roi=<number, name or pattern>, a list of these, or roi="*" for all as one mask'
            raise ScanError(f"{len(names)} regions", file=path, expected="one", got=_listed(names), hint=hint)
        return list(names)
    wanted = [roi] if isinstance(roi, str) or not isinstance(roi, Iterable) else list(roi)
    found: list[int] = []
    for item in wanted:
        matches = _matches(names, item)
        if not matches:
            raise ScanError(
                "no such region", file=path, parameter="roi", expected=f"one of {_listed(names)}", got=item
            )
        if len(matches) > 1 and item not in names and not _is_pattern(item):
            numbers = ", ".join(map(str, matches))
            raise ScanError(
                "several regions of this name", file=path, parameter="roi", got=item, hint=f"roi={numbers}?"
            )
        found += [number for number in matches if number not in found]
    if not found:
        raise ScanError("no region chosen", file=path, parameter="roi", expected=_listed(names), got=roi)
    return found


def check_same_patient_space(
    reference: Volume,
    path: str | Path,
    *,
    frame_of_reference: str | None,
    series: Collection[str] = (),
    images: Iterable[Dataset] = (),
) -> None:
    """Raise a ScanError if a region was drawn on another scan.

    Only identifiers that both sides state are compared. A region of another frame of reference is refused. A
    region of the same frame of reference is refused if it was drawn on another series of the same modality:
    the phases of a 4-D CT share the frame of reference but not the anatomy. A region of a CT may be used on
    the PET of the same frame of reference, and a region of a PET on its CT.

    Parameters
    ----------
    reference : Volume
        The scan.
    path : path
        File name for messages.
    frame_of_reference : str or None
        FrameOfReferenceUID of the region; None if the file does not state it.
    series : collection of str
        SeriesInstanceUIDs that the region was drawn on; empty if the file does not state them.
    images : iterable of Dataset
        DICOM items that refer to the images that the region was drawn on. Their SOP class shows whether it
        was a CT or a PET.

    Raises
    ------
    ScanError
        If the region was drawn on another scan. The message contains both identifiers.

    Examples
    --------
    >>> import numpy as np
    >>> scan = Volume(np.zeros((2, 2, 2), dtype=np.int16), np.eye(4), frame_of_reference="1.2.3")
    >>> check_same_patient_space(scan, "rs.dcm", frame_of_reference="1.2.3")
    """
    frames = reference.frame_of_reference, frame_of_reference
    if all(frames) and frames[0] != frames[1]:
        raise ScanError(
            "drawn in another frame of reference than the scan's",
            file=path,
            column="FrameOfReferenceUID",
            expected=frames[0],
            got=frames[1],
            hint="read the scan that it was drawn on",
        )
    modalities = {_MODALITY.get(image.get("ReferencedSOPClassUID")) for image in images} - {None}
    same_kind = len(modalities) != 1 or reference.modality in modalities
    if series and reference.series_uid and reference.series_uid not in series and same_kind:
        hint = (
            "read it on the series that it was drawn on; if both show the same anatomy, "
            "read_mask(path, reference=that_series).like(this_one)"
        )
        raise ScanError(
            "drawn on another series than the scan's",
            file=path,
            column="SeriesInstanceUID",
            expected=reference.series_uid,
            got=", ".join(sorted(series)),
            hint=hint,
        )


def _matches(names: Mapping[int, str], item: int | str) -> list[int]:
    if isinstance(item, Integral):
        return [int(item)] if item in names else []
    exact = [number for number, name in names.items() if name == item]
    if not exact and isinstance(item, str) and item.isdecimal() and int(item) in names:  # from a table
        return [int(item)]
    if exact or not _is_pattern(item):
        return exact
    pattern = item.casefold()
    return [number for number, name in names.items() if fnmatchcase(name.casefold(), pattern)]


def _is_pattern(item: object) -> bool:
    return isinstance(item, str) and any(c in item for c in "*?[")


def _listed(names: Mapping[int, str]) -> str:
    shown = [f"{number} {name!r}" if name else str(number) for number, name in list(names.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
