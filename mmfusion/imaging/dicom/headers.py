"""The header of a DICOM file: read by pydicom from the beginning of the file, every value checked."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_partial
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from mmfusion.exclusive import silenced
from mmfusion.imaging.dicom.archive import Member
from mmfusion.imaging.dicom.encoded import EncodedFrames
from mmfusion.imaging.dicom.header import Header, not_understood, unreadable
from mmfusion.imaging.dicom.packed import RAW, unpacked, unzipped
from mmfusion.imaging.dicom.recognise import HEAD, SUFFIXES, is_bare, looks_like_dicom
from mmfusion.imaging.dicom.tags import BY_CLASS, FRAMES, TEXTS, WANTED, WANTED_OF_TRACER, Wanted

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


def read_header(member: Member) -> Header | None:
    """Read the header of a file.

    Only the beginning of the file is read, and more of it as long as the header does not end. A file that is
    packed by gzip, or has the deflated transfer syntax, is unpacked.

    Returns
    -------
    Header or None
        None if the file is not DICOM by its content or its suffix, or holds no image: a DICOMDIR, or an
        object that belongs to no series.

    Raises
    ------
    ScanError
        If the file is truncated or damaged, or its header cannot be understood.

    Examples
    --------
    >>> from pathlib import Path
    >>> text = Member("notes.txt", 5, lambda start, size: b"hello", Path("notes.txt"))
    >>> read_header(text) is None
    True
    """
    member = unzipped(member)
    head = member.read(0, _PREFIX)
    if not looks_like_dicom(head):
        if not member.name.lower().removesuffix(".gz").endswith(SUFFIXES):
            return None
        if len(head) <= 132:
            raise unreadable(member.name, f"{len(head)} bytes")
        raise not_understood(member.name, "the beginning of another kind of file")
    plain = _inflated(member, head)
    header = _read(plain, WANTED, _BEYOND, head if plain is member else None)
    if header.text("SOPClassUID") == MediaStorageDirectoryStorage:
        return None
    missing = [tag for tag in ("Modality", "SeriesInstanceUID") if not header.text(tag)]
    if missing and header.length is None:
        kind = UID(header.text("SOPClassUID"), IGNORE)
        if kind.keyword and kind not in BY_CLASS:  # an object of another kind, known to DICOM
            return None
        raise unreadable(member.name)
    header.expect(missing)
    return header


def read_frames(header: Header) -> Header:
    """Read the header of a file with many frames again, now with the elements that describe each frame.

    The values of `SharedFunctionalGroupsSequence` and `PerFrameFunctionalGroupsSequence` are sequences of
    pydicom.

    Raises
    ------
    ScanError
        If the file is truncated or damaged, or its header cannot be understood.
    """
    return _read(header.member, {**WANTED, **FRAMES}, ())


def _inflated(member: Member, head: bytes) -> Member:
    """Return a file of the deflated transfer syntax as one that is not packed; any other file as it is."""
    uid = DeflatedExplicitVRLittleEndian.encode()
    if uid not in head[:HEAD]:
        return member
    file = BytesIO(head)
    file.seek(0 if is_bare(head) else 132)
    try:
        meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)  # noqa: FBT003
        deflated = meta.get("TransferSyntaxUID") == uid.decode()
    except _BROKEN:
        return member
    plain = head[: file.tell()].replace(uid, ExplicitVRLittleEndian.encode().ljust(len(uid), b"\0"))
    return unpacked(member, RAW, file.tell(), plain) if deflated else member


def _read(member: Member, wanted: Wanted, beyond: tuple[int, ...], head: bytes | None = None) -> Header:
    """Read as much of a file as its header needs, and parse it; `head` is its beginning if that is known."""
    size = _PREFIX
    while True:
        head = member.read(0, size) if head is None else head
        whole = len(head) < size or len(head) >= member.size
        try:
            header = _parse(member, head, wanted, beyond, whole=whole)
        except _BROKEN as error:
            if whole and isinstance(error, (EOFError, struct.error)):
                raise unreadable(member.name) from error
            if whole:
                raise not_understood(member.name, f"{type(error).__name__}: {error}"[:200]) from error
            header = None
        if header is not None:
            return header
        size, head = size * 32, None


def _parse(
    member: Member, head: bytes, wanted: Wanted, beyond: tuple[int, ...], *, whole: bool
) -> Header | None:
    """Parse the beginning of a file; None if it ends before the header does."""
    stops: list[tuple[int, str | None, int]] = []

    def stop(tag: int, vr: str | None, length: int) -> bool:
        number = int(tag)  # compares faster
        if ends := number == _PIXELS or number >> 16 in beyond:
            stops.append((number, vr, length))
        return ends

    file = BytesIO(head)
    with silenced("pydicom"):  # its remarks on values that are formally wrong but readable
        try:
            ds = read_partial(file, stop, specific_tags=list(wanted), force=head[128:132] != b"DICM")
        except _BROKEN as error:
            if file.tell() >= len(head):
                raise EOFError("the file ends within its header") from error
            raise
        kind = str(ds.file_meta.get("MediaStorageSOPClassUID") or "") or None
        syntax = str(ds.file_meta.get("TransferSyntaxUID") or "")
        if not stops and not whole:
            return None
        values = values_of(ds, wanted)
    values.setdefault("SOPClassUID", kind)
    implicit, little = ds.original_encoding
    if not syntax and little:
        syntax = str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    tag, vr, length = stops[-1] if stops else (None, None, None)
    if tag != _PIXELS:
        return Header(member, values, syntax, None, None)
    # pydicom has gone back to the start of the element
    begin = file.tell() + (12 if vr in EXPLICIT_VR_LENGTH_32 else 8)
    plain = syntax in _PLAIN and length != _UNDEFINED
    encoded = EncodedFrames(member, begin) if length == _UNDEFINED else None
    return Header(member, values, syntax, begin if plain else None, length, begin, encoded)


def values_of(ds: Dataset, wanted: Wanted) -> dict[str | int, object]:
    """Return name to value of the wanted elements; those that are absent or empty are left out.

    Examples
    --------
    >>> ds = Dataset()
    >>> ds.Rows, ds.PatientName = 512, "A"
    >>> values_of(ds, WANTED)
    {'Rows': 512}
    """
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
        if raw.tag in FRAMES:
            return value
        return values_of(value[0], WANTED_OF_TRACER) or None if len(value) else None
    if isinstance(value, MultiValue):
        return list(value)
    return _text(value) if isinstance(value, bytes) else value  # bytes: a private element of unknown type


def _text(data: bytes) -> str | list[str]:
    text = data.decode("ascii", "replace").strip(" \0")
    return [part.strip() for part in text.split("\\")] if "\\" in text else text
