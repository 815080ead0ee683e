"""The header of a DICOM file: read by pydicom from the beginning of the file, every value checked."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from mmfusion.errors import ScanError
from mmfusion.exclusive import silenced
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.tags import TEXTS, WANTED, WANTED_OF_TRACER, Wanted

SUFFIXES = (".dcm", ".ima", ".dicom")
# what pydicom raises on a damaged header or value (TypeError: on a character set that is a number)
_BROKEN = (InvalidDicomError, BytesLengthException, NotImplementedError, EOFError, OSError, ValueError,
           ArithmeticError, TypeError, RecursionError, struct.error, zlib.error)  # fmt: skip
# and on a damaged object that is read as a whole
DAMAGED = (*_BROKEN, LookupError, AttributeError, AssertionError)
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
        Keyword (for a private element, its tag) to value, for the elements that this package reads. The value
        of a damaged element is the exception that it caused.
    syntax : str
        Transfer syntax UID.
    offset : int or None
        Byte at which the pixels begin if they are not compressed; else None.
    length : int or None
        Bytes of pixels; None if the file has none.

    Examples
    --------
    >>> from pathlib import Path
    >>> member = Member("slice.dcm", 0, lambda start, size: b"", Path("slice.dcm"))
    >>> header = Header(member, {"Rows": "512", "PixelSpacing": ["0.7", "0.7"]}, "", None, None)
    >>> header.number("Rows"), header.numbers("PixelSpacing", 2), header.number("Columns")
    (512.0, (0.7, 0.7), None)
    """

    member: Member
    values: Mapping[str | int, object]
    syntax: str
    offset: int | None
    length: int | None

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.member.name

    def value(self, tag: str | int) -> object:
        """Return the value of an element; None if it is absent or empty.

        Raises
        ------
        ScanError
            If the element is damaged.
        """
        value = self.values.get(tag)
        if isinstance(value, Exception):
            raise self.error("a damaged header", tag, got=value)
        return value

    def text(self, tag: str | int) -> str:
        r"""Return the value as text, several values joined by `\`; "" if it is absent."""
        value = self.value(tag)
        return (
            ""
            if value is None
            else "\\".join(map(str, value if isinstance(value, list) else [value])).strip()
        )

    def number(self, tag: str | int) -> float | None:
        """Return the value as a finite number; None if it is absent.

        Raises
        ------
        ScanError
            If it is not one finite number.
        """
        numbers = self.numbers(tag, 1)
        return None if numbers is None else numbers[0]

    def numbers(self, tag: str | int, count: int) -> tuple[float, ...] | None:
        """Return the value as `count` finite numbers; None if it is absent.

        Raises
        ------
        ScanError
            If there are more or fewer numbers, or one is not finite.
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
        """Make the error that says what is wrong with one element of this file."""
        column = tag if isinstance(tag, str) else f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
        return ScanError(problem, file=self.name, column=column, **details)

    def expect(self, tags: Iterable[str]) -> None:
        """Raise a ScanError that names the absent ones of `tags`; nothing happens if none is absent."""
        missing = [tag for tag in tags if self.value(tag) is None]
        if missing:
            raise ScanError(
                "not a usable slice", file=self.name, expected=", ".join(missing), got="not in its header"
            )


def read_header(member: Member) -> Header | None:
    """Read the header of a file.

    Only the beginning of the file is read, and more of it as long as the header does not end.

    Returns
    -------
    Header or None
        None if the file is not DICOM by its content or its suffix, or is a DICOMDIR, which holds no image.

    Raises
    ------
    ScanError
        If the file is truncated or damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> text = Member("notes.txt", 5, lambda start, size: b"hello", Path("notes.txt"))
    >>> read_header(text) is None
    True
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
    """Make the error for a file that is truncated or damaged.

    Examples
    --------
    >>> unreadable("slice.dcm", "12 of 524288 bytes of pixels").problem
    'truncated or damaged DICOM'
    """
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
    with silenced("pydicom"):  # its remarks on values that are formally wrong but readable
        try:
            ds = read_partial(file, stop, specific_tags=list(WANTED), force=not looks_like_dicom(head))
            kind = str(ds.file_meta.get("MediaStorageSOPClassUID") or "") or None
            syntax = str(ds.file_meta.get("TransferSyntaxUID") or "")
        except _BROKEN:
            return None
        if not stops and not whole:
            return None
        values = _values(ds, WANTED)
    values.setdefault("SOPClassUID", kind)
    implicit, little = ds.original_encoding
    if not syntax and little:
        syntax = str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    tag, vr, length = stops[-1] if stops else (None, None, None)
    if tag != _PIXELS:
        return Header(member, values, syntax, None, None)
    # pydicom has gone back to the start of the element
    offset = file.tell() + (12 if vr in EXPLICIT_VR_LENGTH_32 else 8)
    plain = syntax in _PLAIN and length != _UNDEFINED
    return Header(member, values, syntax, offset if plain else None, length)


def _values(ds: Dataset, wanted: Wanted) -> dict[str | int, object]:
    """Return name to value of the wanted elements; those that are absent or empty are left out."""
    found = {}
    for tag, raw in list(ds.items()):  # `items` gives elements as they stand in the file
        if tag in wanted:
            name, vr = wanted[tag]
            value = _value(ds, raw, vr)
            if value is not None and value not in ("", []):
                found[name] = value
    return found


def _value(ds: Dataset, raw: RawDataElement | DataElement, vr: str | None) -> object:
    """Return a number, text, a list, or the dict of a sequence's first item; an exception if damaged."""
    if isinstance(raw, RawDataElement) and (raw.VR or vr) in TEXTS and (raw.value or b"").isascii():
        # numbers in text stay text, so that `Header.number` can say what stands there if it is not a number
        return _text(raw.value or b"")
    try:
        value = ds[raw.tag].value
    except _BROKEN as error:
        return error
    if isinstance(value, Sequence):
        return _values(value[0], WANTED_OF_TRACER) or None if len(value) else None
    if isinstance(value, MultiValue):
        return list(value)
    return _text(value) if isinstance(value, bytes) else value  # bytes: a private element of unknown type


def _text(data: bytes) -> str | list[str]:
    text = data.decode("ascii", "replace").strip(" \0")
    return [part.strip() for part in text.split("\\")] if "\\" in text else text
