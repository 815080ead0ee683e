"""Choose one series among those of a folder or ZIP. Two series are never mixed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.passes import split_rule, values_of_passes
from mmfusion.modalities import BY_DICOM, BY_UNIT

if TYPE_CHECKING:
    from mmfusion.imaging.dicom.series import Series

_PICKS = ("largest", "thinnest", "first")
SeriesRules = str | Sequence[str] | None


def choose_series(
    series: Sequence[Series],
    rules: SeriesRules,
    path: Path,
    unit: str | None = None,
    others: Sequence[tuple[str, str, bool]] = (),
) -> Series:
    """Choose one series by rules, of the modality whose values are in `unit` if that is given.

    Each rule narrows the choice of the rules before it: "CT" or "PT"; a SeriesInstanceUID, or its beginning
    or end; a part of the description, or a pattern such as "*LUNG*1.0*" (upper or lower case). If CT and PET
    are both left, CT is taken. Then "largest" (most slices), "thinnest" (smallest distance between slices;
    then most slices) or "first" (lowest SeriesNumber) picks one.

    `others` are the files in no series (name, reason, whether it may be a slice), for the message.

    A rule "acquisition=2", alone or behind another rule, takes only the slices of one pass; see
    `mmfusion.imaging.dicom.passes`.

    Raises
    ------
    ScanError
        If there is none of this modality, none is left, or more than one.

    Examples
    --------
    >>> from mmfusion.imaging.dicom.series import Series
    >>> lung, soft = (Series(f"1.2.{i}", "CT", name, i, "", []) for i, name in enumerate(["LUNG", "SOFT"]))
    >>> choose_series([lung, soft], "*soft*", Path("scan")).uid
    '1.2.1'
    """
    split = [split_rule(rule) for rule in ([rules] if isinstance(rules, str) else rules or ())]
    rules, passes = [rule for rule, _ in split if rule], [one for _, one in split if one]
    readable = left = [s for s in series if not s.problem]
    if not readable:
        counts = Counter(f"{s.modality} ({s.problem})" for s in series for _ in s.slices)
        counts += Counter(reason for _, reason, lost in others if lost or reason.startswith("packed"))
        got = ", ".join(f"{n} of {what}" for what, n in counts.items()) or "no DICOM image at all"
        raise ScanError(
            "no CT or PET series", file=path, expected="DICOM slices of modality CT or PT", got=got
        )
    if unit is not None:
        readable = left = _of_unit(readable, unit, path)
    left = [part for s in left if (part := s.of_passes(passes)).slices or not passes]
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
        raise ScanError(
            "no such series",
            file=path,
            expected=f"one of{listed}\n   ",
            got=" and ".join([*rules, *map("=".join, passes)]),
            hint=_passes_there(readable, passes),
        )
    hint = (
        "choose one: series= (in a manifest, column part) its UID (or the end of it), "
        "a part of its description, 'largest', 'thinnest' or 'first'"
    )
    raise ScanError(f"{len(left)} series", file=path, expected="one", got=f"{listed}\n   ", hint=hint)


def _passes_there(series: Sequence[Series], passes: Sequence[tuple[str, str]]) -> str | None:
    """Return a hint with the passes that can be chosen, or None if none was asked for."""
    if not passes:
        return None
    return f"the slices have {values_of_passes([h for s in series for h in s.slices], passes)}"


def _of_unit(series: Sequence[Series], unit: str, path: Path) -> list[Series]:
    wanted = BY_UNIT[unit]
    found = [s for s in series if s.modality == wanted.dicom]
    if not found:
        got = "".join(f"\n    {s.line(path)}" for s in series)
        raise ScanError(
            f"not a {wanted.title}", file=path, expected=f"a series of modality {wanted.dicom}", got=got
        )
    return found


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
