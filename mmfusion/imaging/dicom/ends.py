"""Signs that slices are missing at an end of a scan; a gap inside shows in the positions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.header import Header


def missing_at_ends(slices: Sequence[Header], alike: Sequence[Header]) -> Iterator[str]:
    """Yield one sentence for each sign that slices are missing.

    Parameters
    ----------
    slices : sequence of Header
        The slices of the scan, in the order of their positions.
    alike : sequence of Header
        All slices with the UID of the series, also its localizers and other passes.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mmfusion.imaging.dicom.archive import Member
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> slices = [Header(member, {"InstanceNumber": str(n)}, "", None, None) for n in (4, 5, 6)]
    >>> list(missing_at_ends(slices, slices))
    ['InstanceNumber begins at 4: 3 slices may be missing at an end']
    """
    number, alike_number = _count(slices, "NumberOfSlices"), len(slices)
    if number and alike_number < number and not _is_dynamic(slices[0]):
        yield f"{alike_number} of {number} slices that NumberOfSlices states"
    of_acquisition = Counter(_whole(header, "AcquisitionNumber") for header in slices)
    for acquisition, count in of_acquisition.items():
        these = [header for header in slices if _whole(header, "AcquisitionNumber") == acquisition]
        stated = _count(these, "ImagesInAcquisition")
        if stated and count < stated:
            which = "" if acquisition is None else f" {acquisition}"
            yield f"{count} of {stated} images that ImagesInAcquisition states for acquisition{which}"
    yield from _parts(alike)
    yield from _numbers(slices, alike)


def _numbers(slices: Sequence[Header], alike: Sequence[Header]) -> Iterator[str]:
    """Yield the signs that InstanceNumber gives, if it counts along the slices."""
    numbers = [_whole(header, "InstanceNumber") for header in slices]
    if len(numbers) < 2 or None in numbers:
        return
    steps = np.abs(np.diff(numbers))
    if steps.min() == steps.max() > 1 and len(set(np.sign(np.diff(numbers)))) == 1 and len(numbers) > 2:
        between = {n + k for n in numbers for k in range(1, int(steps[0]))}
        if not between & {_whole(header, "InstanceNumber") for header in alike}:
            yield f"InstanceNumber goes in steps of {steps[0]}: slices between them may be missing"
        return
    if steps.min() != 1 or steps.max() != 1 or len(set(np.sign(np.diff(numbers)))) != 1:
        return
    known = {_whole(header, "InstanceNumber") for header in alike}
    before = [n for n in range(1, min(numbers)) if n not in known] if min(numbers) < 10_000 else []
    if before and min(numbers) % 100 not in (0, 1):  # many scanners begin at 101 or 1000
        plural = "slice" if len(before) == 1 else "slices"
        yield f"InstanceNumber begins at {min(numbers)}: {len(before)} {plural} may be missing at an end"


def _parts(alike: Sequence[Header]) -> Iterator[str]:
    """Yield the missing files of each concatenation (one image in several files)."""
    parts: dict[str, set[int]] = {}
    totals: dict[str, int] = {}
    for header in alike:
        if uid := header.text("ConcatenationUID"):
            parts.setdefault(uid, set()).add(_whole(header, "InConcatenationNumber") or 0)
            totals[uid] = max(totals.get(uid, 0), _whole(header, "InConcatenationTotalNumber") or 0)
    for uid, there in parts.items():
        absent = sorted(set(range(1, max(totals[uid], *there) + 1)) - there)
        if absent:
            yield f"part {', '.join(map(str, absent))} of the files of a concatenation is missing"


def _is_dynamic(header: Header) -> bool:
    return any(word in header.text("SeriesType").upper() for word in ("DYNAMIC", "GATED"))


def _count(slices: Sequence[Header], tag: str) -> int:
    return max((_whole(header, tag) or 0 for header in slices), default=0)


def _whole(header: Header, tag: str) -> int | None:
    try:
        number = header.number(tag)
    except ScanError:
        return None
    return int(number) if number is not None and number.is_integer() else None
