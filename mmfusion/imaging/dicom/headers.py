"""What a DICOM file says before its pixels: read from the file's beginning alone, every value checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.elements import DAMAGED, looks_like_dicom, parse

__all__ = ["DAMAGED", "GE_SCAN_TIME", "PHILIPS_BQML", "PHILIPS_SUV", "SUFFIXES", "Header", "looks_like_dicom",
           "read_header", "unreadable"]  # fmt: skip
SUFFIXES = (".dcm", ".ima", ".dicom")
GE_SCAN_TIME, PHILIPS_SUV, PHILIPS_BQML = 0x0009100D, 0x70531000, 0x70531009
_CREATORS = 0x00090010, 0x70530010
_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesInstanceUID", "SeriesDescription", "SeriesNumber", "ImageType",
    "FrameOfReferenceUID", "Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
    "SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "SamplesPerPixel", "NumberOfFrames",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "PatientID",
    "Units", "SUVType", "SeriesType", "CorrectedImage", "AttenuationCorrectionMethod", "DecayCorrection",
    "PatientWeight", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime", "FrameReferenceTime",
    "ActualFrameDuration", "RadiopharmaceuticalInformationSequence",
)  # fmt: skip
_WANTED = {
    **{Tag(keyword): dictionary_VR(keyword)[:2].encode() for keyword in _KEYWORDS},
    **{Tag(tag): b"UN" for tag in (*_CREATORS, GE_SCAN_TIME, PHILIPS_SUV, PHILIPS_BQML)},
}
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_PIXELS = 0x7FE00010
_BEYOND = (0x3006, 0x300A, 0x300C, 0x5200)  # groups of contours, plans, frames: long, and of no interest here
_PREFIX = 16 * 2**10
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class Header:
    """The header of one file.

    Parameters
    ----------
    member : Member
        The file.
    values : mapping
        Keyword (of a private element, its tag) to value, of those elements that this package reads. An exception
        stands for an element that could not be understood.
    syntax : str
        Transfer syntax UID.
    offset : int or None
        Where plain (not compressed) pixels begin in the file; None where pixels are not plain.
    length : int or None
        Bytes of pixels; None where there are none.
    """

    member: Member
    values: Mapping[str | int, object]
    syntax: str
    offset: int | None
    length: int | None

    @property
    def name(self) -> str:
        """Of the file."""
        return self.member.name

    def value(self, tag: str | int) -> object:
        """The element's value; None where it is absent or empty.

        Raises
        ------
        ScanError
            If it is not what its type says.
        """
        value = self.values.get(tag)
        if isinstance(value, Exception):
            raise self.error("a damaged header", tag, got=value)
        return value

    def text(self, tag: str | int) -> str:
        r"""The value as text, several joined by `\`; "" where it is absent."""
        value = self.value(tag)
        return (
            ""
            if value is None
            else "\\".join(map(str, value if isinstance(value, list) else [value])).strip()
        )

    def number(self, tag: str | int) -> float | None:
        """The value as a finite number; None where it is absent.

        Raises
        ------
        ScanError
            If it is no finite number.
        """
        numbers = self.numbers(tag, 1)
        return None if numbers is None else numbers[0]

    def numbers(self, tag: str | int, count: int) -> tuple[float, ...] | None:
        """The value as `count` finite numbers; None where it is absent.

        Raises
        ------
        ScanError
            If there are more or fewer, or they are no finite numbers.
        """
        value = self.value(tag)
        if value is None:
            return None
        try:
            numbers = tuple(float(v) for v in (value if isinstance(value, list) else [value]))
        except (TypeError, ValueError, OverflowError):
            numbers = ()
        if len(numbers) != count or not all(math.isfinite(v) for v in numbers):
            expected = "a number" if count == 1 else f"{count} numbers"
            raise self.error("a damaged header", tag, expected=expected, got=str(value)[:80])
        return numbers

    def error(self, problem: str, tag: str | int, **details: object) -> ScanError:
        """What is wrong with one element of this file."""
        column = tag if isinstance(tag, str) else f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
        return ScanError(problem, file=self.name, column=column, **details)

    def expect(self, tags: Iterable[str]) -> None:
        """Raise a ScanError that names those of `tags` that are absent."""
        missing = [tag for tag in tags if self.value(tag) is None]
        if missing:
            raise ScanError(
                "not a usable slice", file=self.name, expected=", ".join(missing), got="not in its header"
            )


def read_header(member: Member) -> Header | None:
    """The header of a file; None if it neither is nor claims to be DICOM, or is a DICOMDIR, which holds no image.

    Raises
    ------
    ScanError
        If it is truncated or damaged.
    """
    size = _PREFIX
    while True:
        head = member.read(0, size)
        if not (looks_like_dicom(head) or member.name.lower().endswith(SUFFIXES)):
            return None
        whole = len(head) < size or len(head) >= member.size
        header = _parse(member, head, whole=whole) if len(head) > 132 else None
        if header is not None:
            break
        if whole:
            raise unreadable(member.name)
        size *= 32
    if header.text("SOPClassUID") == MediaStorageDirectoryStorage:
        return None
    if not header.text("Modality") or not header.text("SeriesInstanceUID"):
        raise unreadable(member.name)
    return header


def unreadable(name: str, got: object = None) -> ScanError:
    """The error for a file that breaks off, or makes no sense."""
    hint = "copy or download it again, or take it out if it is not part of the scan"
    return ScanError("truncated or damaged DICOM", file=name, got=got, hint=hint)


def _parse(member: Member, head: bytes, *, whole: bool) -> Header | None:
    """From the file's beginning; None if that is damaged, or ends before the header does."""
    try:
        parsed = parse(head, _WANTED, _stops)
    except DAMAGED:
        return None
    if not parsed.stopped and not whole:
        return None
    values = _named(parsed.values)
    values.setdefault("SOPClassUID", parsed.kind)
    tag, length, offset = parsed.stopped or (None, None, None)
    if tag != _PIXELS:
        return Header(member, values, parsed.syntax, None, None)
    plain = parsed.syntax in _PLAIN and length != _UNDEFINED
    return Header(member, values, parsed.syntax, offset if plain else None, length)


def _named(values: Mapping[int, object]) -> dict[str | int, object]:
    return {
        keyword_for_tag(tag) or int(tag): _named(value) if isinstance(value, dict) else value
        for tag, value in values.items()
    }


def _stops(tag: int) -> bool:
    return tag == _PIXELS or tag >> 16 in _BEYOND
