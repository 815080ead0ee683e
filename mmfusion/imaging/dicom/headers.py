"""The header of a DICOM file: read by pydicom from the beginning of the file, every value checked."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.archive import Member

SUFFIXES = (".dcm", ".ima", ".dicom")
GE_SCAN_TIME, PHILIPS_SUV, PHILIPS_BQML = 0x0009100D, 0x70531000, 0x70531009
# what pydicom raises on a damaged header or value (TypeError: a character set that is a number); and on any object
_BROKEN = (InvalidDicomError, BytesLengthException, NotImplementedError, EOFError, OSError, ValueError, ArithmeticError,
           TypeError, RecursionError, struct.error, zlib.error)  # fmt: skip
DAMAGED = (*_BROKEN, LookupError, AttributeError, AssertionError)
_CREATORS = 0x00090010, 0x70530010  # without them pydicom cannot tell the types of private elements
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
_TRACER = (
    "RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime",
)  # fmt: skip
_PRIVATE = (*_CREATORS, GE_SCAN_TIME, PHILIPS_SUV, PHILIPS_BQML)
# tag to name and value representation (private elements: unknown)
_WANTED = {Tag(k): (k, dictionary_VR(k)) for k in _KEYWORDS} | {Tag(t): (t, None) for t in _PRIVATE}
_WANTED_OF_TRACER = {Tag(k): (k, dictionary_VR(k)) for k in _TRACER}
_TEXTS = {
    "AE",
    "AS",
    "CS",
    "DA",
    "DS",
    "DT",
    "IS",
    "LO",
    "SH",
    "TM",
    "UI",
}  # value representations that are text
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_PIXELS = 0x7FE00010
_BEYOND = (0x3006, 0x300A, 0x300C, 0x5200)  # groups of contours, plans and frames: long, and not needed here
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


def looks_like_dicom(head: bytes) -> bool:
    """Return whether the first 132 bytes of a file end with the DICOM mark.

    Examples
    --------
    >>> looks_like_dicom(bytes(128) + b"DICM")
    True
    """
    return head[128:132] == b"DICM"


def _parse(member: Member, head: bytes, *, whole: bool) -> Header | None:
    """Parse the beginning of a file; None if it is damaged or ends before the header does."""
    stops: list[tuple[int, str | None, int]] = []

    def stop(tag: int, vr: str | None, length: int) -> bool:
        number = int(tag)  # compares faster
        if ends := number == _PIXELS or number >> 16 in _BEYOND:
            stops.append((number, vr, length))
        return ends

    file = BytesIO(head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on values that are formally wrong but readable
        try:
            ds = read_partial(file, stop, specific_tags=list(_WANTED), force=not looks_like_dicom(head))
            kind = str(ds.file_meta.get("MediaStorageSOPClassUID") or "") or None
            syntax = str(ds.file_meta.get("TransferSyntaxUID") or "")
        except _BROKEN:
            return None
        if not stops and not whole:
            return None
        values = _values(ds, _WANTED)
    values.setdefault("SOPClassUID", kind)
    implicit, little = ds.original_encoding
    if not syntax and little:
        syntax = str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    tag, vr, length = stops[-1] if stops else (None, None, None)
    if tag != _PIXELS:
        return Header(member, values, syntax, None, None)
    offset = file.tell() + (
        12 if vr in EXPLICIT_VR_LENGTH_32 else 8
    )  # pydicom went back to the element's tag
    plain = syntax in _PLAIN and length != _UNDEFINED
    return Header(member, values, syntax, offset if plain else None, length)


def _values(ds: Dataset, wanted: Mapping[int, tuple[str | int, str | None]]) -> dict[str | int, object]:
    """Return name to value of the wanted elements; those that are absent or empty are left out."""
    found = {}
    for tag, raw in list(
        ds.items()
    ):  # as they stand in the file: a Dataset converts what is asked of it by tag
        if tag in wanted:
            name, vr = wanted[tag]
            value = _value(ds, raw, vr)
            if value is not None and value not in ("", []):
                found[name] = value
    return found


def _value(ds: Dataset, raw: RawDataElement | DataElement, vr: str | None) -> object:
    """Return one value as a number, text, a list, or the dict of a sequence's first item; an exception if damaged."""
    if isinstance(raw, RawDataElement) and (raw.VR or vr) in _TEXTS and (raw.value or b"").isascii():
        return _text(
            raw.value or b""
        )  # also text that is not the number it should be: `Header.number` says so
    try:
        value = ds[raw.tag].value
    except _BROKEN as error:
        return error
    if isinstance(value, Sequence):
        return _values(value[0], _WANTED_OF_TRACER) or None if len(value) else None
    if isinstance(value, MultiValue):
        return list(value)
    return _text(value) if isinstance(value, bytes) else value  # bytes: a private element of unknown type


def _text(data: bytes) -> str | list[str]:
    text = data.decode("ascii", "replace").strip(" \0")
    return [part.strip() for part in text.split("\\")] if "\\" in text else text
