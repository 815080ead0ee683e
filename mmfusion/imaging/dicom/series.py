"""Find the series of a folder or ZIP and choose one. Two series are never mixed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
)

from mmfusion.errors import ScanError, ScanWarning, gathered, warn
from mmfusion.imaging.affine import spacing_of
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.geometry import series_affine
from mmfusion.imaging.dicom.headers import Header, read_header, unreadable
from mmfusion.imaging.dicom.pixels import check_pixels, stored_values
from mmfusion.modalities import BY_DICOM, BY_UNIT

_ENHANCED = (EnhancedCTImageStorage, EnhancedPETImageStorage)
_PICKS = ("largest", "thinnest", "first")
SeriesRules = str | Sequence[str] | None


@dataclass(frozen=True, eq=False)
class Series:
    """The files of one series.

    Parameters
    ----------
    uid, modality, description : str
        SeriesInstanceUID, Modality, SeriesDescription.
    number : float
        SeriesNumber; infinite if it is absent or not a number.
    problem : str
        Why it cannot be read as CT or PET; "" if it can.
    slices : list of Header
        In any order.

    Examples
    --------
    >>> Series("1.2.3", "CT", "LUNG 1.0", 2.0, "", slices=[]).description
    'LUNG 1.0'
    """

    uid: str
    modality: str
    description: str
    number: float
    problem: str
    slices: list[Header] = field(repr=False)

    def placed(self, path: Path) -> tuple[list[Header], np.ndarray]:
        """Return the slices by position, without copies, and the affine; see `series_affine`."""
        for header in self.slices:
            check_pixels(header)
        return series_affine(without_copies(self.slices), path)

    def spacing(self, path: Path) -> tuple[float, float, float] | None:
        """Return the spacing (z, y, x) in mm; None if the slices cannot be stacked."""
        try:
            with gathered():
                return spacing_of(self.placed(path)[1])
        except ScanError:
            return None

    def line(self, path: Path) -> str:
        """Return one line of text that describes the series, for messages."""
        spacing = self.spacing(path)
        mm = " x ".join(f"{v:.3g}" for v in spacing) + " mm" if spacing else "cannot be stacked"
        return f"{self.uid}  {self.modality}  {self.description!r}  {len(self.slices)} slices, {mm}"


def find_series(found: Sequence[Member]) -> list[Series]:
    """Find all series among files, in order of SeriesNumber.

    A series that is not an image of CT or PET has a `problem`. Localizers are separated from the series whose
    UID they share.

    Raises
    ------
    ScanError
        If a file is damaged.
    """
    groups: dict[tuple[str, str, str], list[Header]] = {}
    for member in found:
        header = read_header(member)
        if header is not None:
            key = header.text("SeriesInstanceUID"), header.text("Modality"), _problem(header)
            if header.length is None and not key[2]:  # pixels are the last element of a file
                raise unreadable(header.name, "no pixels")
            groups.setdefault(key, []).append(header)
    series = [Series(*key[:2], *_named(slices[0]), key[2], slices) for key, slices in groups.items()]
    return sorted(series, key=lambda s: (s.number, s.uid))


def choose_series(
    series: Sequence[Series], rules: SeriesRules, path: Path, unit: str | None = None
) -> Series:
    """Choose one series by rules, of the modality whose values are in `unit` if that is given.

    Each rule narrows the choice of the rules before it: "CT" or "PT"; a SeriesInstanceUID, or its beginning
    or end; a part of the description, or a pattern such as "*LUNG*1.0*" (upper or lower case). If CT and PET
    are both left, CT is taken. Then "largest" (most slices), "thinnest" (smallest distance between slices;
    then most slices) or "first" (lowest SeriesNumber) picks one.

    Raises
    ------
    ScanError
        If there is none of this modality, none is left, or more than one.

    Examples
    --------
    >>> lung, soft = (Series(f"1.2.{i}", "CT", name, i, "", []) for i, name in enumerate(["LUNG", "SOFT"]))
    >>> choose_series([lung, soft], "*soft*", Path("scan")).uid
    '1.2.1'
    """
    rules = [rules] if isinstance(rules, str) else list(rules or ())
    readable = left = [s for s in series if not s.problem]
    if not readable:
        counts = Counter(f"{s.modality} ({s.problem})" for s in series for _ in s.slices)
        got = ", ".join(f"{n} of {what}" for what, n in counts.items()) or "no DICOM image at all"
        raise ScanError(
            "no CT or PET series", file=path, expected="DICOM slices of modality CT or PT", got=got
        )
    if unit is not None:
        readable = left = _of_unit(readable, unit, path)
    for rule in rules:
        if rule not in _PICKS:
            left = [s for s in left if s.uid == rule] or [s for s in left if _fits(s, rule)]
    left = [s for s in left if s.modality == "CT"] or left
    for rule in rules:
        left = _pick(left, rule, path) if rule in _PICKS and left else left
    if len(left) == 1:
        return left[0]
    listed = "".join(f"\n    {s.line(path)}" for s in left or readable)
    if not left:
        raise ScanError("no such series", file=path, expected=f"one of{listed}\n   ", got=" and ".join(rules))
    hint = (
        "choose one: series= (in a manifest, column part) its UID (or the end of it), "
        "a part of its description, 'largest', 'thinnest' or 'first'"
    )
    raise ScanError(f"{len(left)} series", file=path, expected="one", got=f"{listed}\n   ", hint=hint)


def _of_unit(series: Sequence[Series], unit: str, path: Path) -> list[Series]:
    wanted = BY_UNIT[unit]
    found = [s for s in series if s.modality == wanted.dicom]
    if not found:
        got = "".join(f"\n    {s.line(path)}" for s in series)
        raise ScanError(
            f"not a {wanted.title}", file=path, expected=f"a series of modality {wanted.dicom}", got=got
        )
    return found


def _named(header: Header) -> tuple[str, float]:
    number = header.text("SeriesNumber")
    return header.text("SeriesDescription"), float(number) if re.fullmatch(r"\d{1,9}", number) else np.inf


def _problem(header: Header) -> str:
    modality, kind = header.text("Modality"), header.text("SOPClassUID")
    if kind in _ENHANCED:
        return "enhanced multi-frame, not supported: export it as single frames"
    if modality not in BY_DICOM:
        return "neither CT nor PET"
    if kind not in ("", BY_DICOM[modality].sop_class):
        return "no image of slices"
    if "LOCALIZER" in header.text("ImageType").upper():
        return "localizer"
    if "REPROJECTION" in header.text("SeriesType").upper():
        return "projection"
    return ""


def _fits(series: Series, rule: str) -> bool:
    if rule in BY_DICOM:
        return series.modality == rule
    if re.fullmatch(r"[\d.]{4,}", rule):
        return series.uid.startswith(rule) or series.uid.endswith(rule)
    return fnmatchcase(series.description.lower(), f"*{rule.lower()}*")


def _pick(left: list[Series], rule: str, path: Path) -> list[Series]:
    if rule == "first":
        return left[:1]
    if rule == "largest":
        most = max(len(s.slices) for s in left)
        return [s for s in left if len(s.slices) == most]
    step = {id(s): (spacing[0] if (spacing := s.spacing(path)) else np.inf) for s in left}
    thin = [s for s in left if step[id(s)] <= min(step.values()) + 1e-3]
    return _pick(thin, "largest", path)


def without_copies(found: Sequence[Header]) -> list[Header]:
    """Return one header per SOPInstanceUID if the files with it have the same values and pixels."""
    first: dict[str, Header] = {}
    kept, copies = [], []
    for header in found:
        uid = header.text("SOPInstanceUID")
        twin = first.setdefault(uid, header) if uid else header
        copy = twin is not header and _alike(twin, header)
        (copies if copy else kept).append(header)
    if copies:
        more = f" and {len(copies) - 1} more" if len(copies) > 1 else ""
        text = f"{copies[0].name}{more}: passed over, the same file as another"
        warn(text, ScanWarning, stacklevel=2)
    return kept


def _alike(one: Header, other: Header) -> bool:
    """Return whether files have the same bytes, or the same values and pixels (exported twice)."""
    if one.member.read() == other.member.read():
        return True
    if one.length is None or one.values != other.values or one.text("Modality") not in BY_DICOM:
        return False
    check_pixels(one)
    check_pixels(other)
    return np.array_equal(stored_values(one), stored_values(other))
