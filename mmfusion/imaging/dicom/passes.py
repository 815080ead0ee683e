"""Passes over the body that share one series: two acquisitions, phases of breathing, energies, kernels.

DICOM allows them to share a SeriesInstanceUID. Their slices lie between each other or at the same positions,
and a volume of both would be wrong although its spacing is even. One pass is chosen by a rule such as
"acquisition=2". Its name is one of `ALIASES`, or an element in `_PASSES` or `_AT_ONE_PLACE`. Its value may
be a range of numbers, as in "time=120000-120500", or "*" for all slices.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.header import Header

ALIASES = {
    "acquisition": "AcquisitionNumber",
    "phase": "NominalPercentageOfRespiratoryPhase",
    "time": "AcquisitionTime",
    "stack": "StackID",
    "kernel": "ConvolutionKernel",
    "thickness": "SliceThickness",
}
# their slices never lie between each other in one pass
_PASSES = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "StackID", "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase", "EchoNumbers", "KVP", "ConvolutionKernel", "ImageType",
    "FrameOfReferenceUID",
)  # fmt: skip
# these may vary from slice to slice, and tell passes apart that have slices at the same positions
_AT_ONE_PLACE = (
    "TriggerTime",
    "SliceThickness",
    "AcquisitionTime",
    "FrameReferenceTime",
    "SeriesDescription",
)
_RULE = re.compile(r"^(?P<rest>.*?)[\s,;]*\b(?P<name>[A-Za-z]+)\s*=\s*(?P<value>\S.*?)\s*$")
_NEAR_MM = 1e-2
_PAUSE_S = 1.0  # between two passes, at least


def split_rule(rule: str) -> tuple[str, tuple[str, str] | None]:
    """Split a rule such as "LUNG acquisition=2" into the rule of the series and the rule of the pass.

    Examples
    --------
    >>> split_rule("LUNG acquisition=2")
    ('LUNG', ('AcquisitionNumber', '2'))
    >>> split_rule("a=b")
    ('a=b', None)
    """
    match = _RULE.match(rule)
    if match is None:
        return rule, None
    tags = {tag.lower(): tag for tag in (*_PASSES, *_AT_ONE_PLACE)} | ALIASES
    tag = tags.get(match["name"].lower())
    return (match["rest"], (tag, match["value"])) if tag else (rule, None)


def of_pass(header: Header, tag: str, value: str) -> bool:
    """Return True if a slice is of the pass; `value` is "*" (all), a value, or a range of numbers: "1-16".

    Examples
    --------
    >>> from pathlib import Path
    >>> from mmfusion.imaging.dicom.archive import Member
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> header = Header(member, {"AcquisitionNumber": "2"}, "", None, None)
    >>> [of_pass(header, "AcquisitionNumber", value) for value in ("2", "1-16", "*", "3")]
    [True, True, True, False]
    """
    own, wanted = _named(header, tag), value.strip()
    if wanted == "*" or own.lower() == _plain(wanted).lower():
        return True
    ends = re.fullmatch(r"(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)", wanted)
    number = re.fullmatch(r"\d+(?:\.\d+)?", own)
    return bool(ends and number and float(ends[1]) <= float(own) <= float(ends[2]))


def values_of_passes(slices: Sequence[Header], passes: Sequence[tuple[str, str]]) -> str:
    """Return the values that slices have in the elements of some rules, as text for an error.

    Examples
    --------
    >>> values_of_passes([], [("AcquisitionNumber", "7")])
    'AcquisitionNumber none'
    """
    parts = []
    for tag, _ in passes:
        names = list(dict.fromkeys(_named(header, tag) or "none" for header in slices))
        parts.append(f"{tag} {', '.join(names[:6]) or 'none'}" + ", ..." * (len(names) > 6))
    return "; ".join(parts)


def check_one_pass(slices: Sequence[Header], path: Path, taken: Collection[str] = ()) -> None:
    """Raise a ScanError if slices of several passes lie between each other or at the same places.

    Passes that follow each other along the body are one volume: an AcquisitionNumber for each slice or for
    each position of the couch is usual. Elements in `taken` are not looked at.
    """
    depth = _depths(slices) if len(slices) > 1 else None
    if depth is None:
        return
    order = np.argsort(depth, kind="stable")
    slices, depth = [slices[k] for k in order], depth[order]
    doubled = bool((np.diff(depth) < _NEAR_MM).any())
    for tag in [tag for tag in _PASSES + _AT_ONE_PLACE * doubled if tag not in taken]:
        names = [_named(header, tag) for header in slices]
        if not _follow(names, depth) or (tag == "AcquisitionNumber" and _alternate(names)):
            raise _mixed(tag, names, depth, path)
    names = [] if "AcquisitionTime" in taken else _times(slices)
    if names and not _follow(names, depth):
        raise _mixed("AcquisitionTime", names, depth, path)


def _depths(slices: Sequence[Header]) -> np.ndarray | None:
    """Return the positions along the normal of the slices in mm; None if a header does not tell."""
    try:
        cosines = slices[0].numbers("ImageOrientationPatient", 6)
        places = [header.numbers("ImagePositionPatient", 3) for header in slices]
    except ScanError:
        return None  # the geometry says what is wrong
    if cosines is None or None in places:
        return None
    return np.array(places) @ np.cross(cosines[:3], cosines[3:])


def _named(header: Header, tag: str) -> str:
    """Return the value of an element as text that is equal for equal numbers; "" if it is absent."""
    return _plain(_text(header, tag))


def _plain(text: str) -> str:
    try:
        return f"{float(text):.10g}"
    except ValueError:
        return text


def _follow(names: Sequence[str], depth: np.ndarray) -> bool:
    """Return True if slices of one name lie side by side, and no two of different names at one place."""
    changes = [k for k in range(1, len(names)) if names[k] != names[k - 1]]
    if any(depth[k] - depth[k - 1] < _NEAR_MM for k in changes):
        return False
    return len(changes) + 1 == len(set(names))


def _alternate(names: Sequence[str]) -> bool:
    """Return True if numbers of slices jump to and fro along the body, as 1, 17, 2, 18 do."""
    try:
        steps = np.diff([float(name) for name in names])
    except ValueError:
        return False
    if not steps.all():  # passes with one number are told by `_follow`
        return False
    backwards = min(np.count_nonzero(steps > 0), np.count_nonzero(steps < 0))
    return backwards >= 2 and backwards * 8 >= len(names)


def _times(slices: Sequence[Header]) -> list[str]:
    """Return the start time of each slice's pass, found by pauses; [] if a time is absent."""
    moments = [_moment(header) for header in slices]
    if None in moments:
        return []
    in_order = sorted(moments)
    gaps = np.array([(b - a).total_seconds() for a, b in pairwise(in_order)])
    pause = max(_PAUSE_S, 3 * float(np.median(gaps)))
    begins = [in_order[0], *(moment for moment, gap in zip(in_order[1:], gaps, strict=True) if gap > pause)]
    of_slices = [begins[bisect_right(begins, moment) - 1] for moment in moments]
    return [begin.strftime("%H%M%S.%f").rstrip("0").rstrip(".") for begin in of_slices]


def _moment(header: Header) -> datetime | None:
    time = _text(header, "AcquisitionTime").replace(":", "").partition(".")
    date = _text(header, "AcquisitionDate").replace(".", "") or "20000101"
    try:
        return datetime.strptime(f"{date[:8]}{time[0]}.{(time[2] or '0')[:6]}", "%Y%m%d%H%M%S.%f")
    except ValueError:
        return None


def _text(header: Header, tag: str) -> str:
    try:
        return header.text(tag)
    except ScanError:
        return ""


def _mixed(tag: str, names: Sequence[str], depth: np.ndarray, path: Path) -> ScanError:
    groups: dict[str, list[float]] = {}
    for name, place in zip(names, depth, strict=True):
        groups.setdefault(name, []).append(place)
    parts = [
        f"{name or 'none'} ({len(places)} slices, {min(places):.2f} to {max(places):.2f} mm)"
        for name, places in list(groups.items())[:6]
    ]
    more = f", and {len(groups) - 6} more" if len(groups) > 6 else ""
    short = next((alias for alias, full in ALIASES.items() if full == tag), tag)
    hint = (
        f"choose one: series= (in a manifest, column part) {short}=… with one of these values, or a range a-b"
    )
    return ScanError(
        "several passes in one series: their slices lie between each other or at the same places",
        file=path,
        column=tag,
        expected="one",
        got=", ".join(parts) + more,
        hint=f"{hint}; {short}=* takes all slices",
    )
