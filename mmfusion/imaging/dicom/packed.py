"""Files that are packed as a whole: gzip, and the deflated transfer syntax. They are unpacked in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

from mmfusion.errors import COPY_AGAIN, ScanError
from mmfusion.imaging.dicom.archive import Member, check_unpacked
from mmfusion.imaging.dicom.recognise import HEAD, looks_like_dicom

GZIP, RAW = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_PIECE = 2**20


def unzipped(member: Member) -> Member:
    """Return a .gz file as the DICOM file that it contains; any other file as it is.

    Raises
    ------
    ScanError
        If the gzip data are damaged, or unpack to more than `MAX_RATIO` times their size.
    """
    if not member.name.lower().endswith(".gz") or member.read(0, 3) != b"\x1f\x8b\x08":
        return member
    try:
        head = b"".join(pieces(member.read(0, 16 * HEAD), GZIP, HEAD))[:HEAD]
    except (zlib.error, EOFError):
        head = b""
    named = any(f".{suffix}.gz" in member.name.lower() for suffix in ("dcm", "ima", "dicom"))
    return unpacked(member, GZIP) if looks_like_dicom(head) or named else member


def unpacked(member: Member, kind: int, begin: int = 0, head: bytes = b"") -> Member:
    """Return the file that a packed file contains; its pieces are unpacked when they are read.

    The file is unpacked once in pieces to find its size and to compare its checksum. Nothing is kept.

    Parameters
    ----------
    member : Member
        The packed file.
    kind : {GZIP, RAW}
        Form of the packed data; RAW has no header and no checksum.
    begin : int
        Byte at which the packed data begin.
    head : bytes
        Bytes before the unpacked data in the new file.

    Raises
    ------
    ScanError
        If the data are damaged, or unpack to more than `MAX_RATIO` times their size.

    Examples
    --------
    >>> from pathlib import Path
    >>> data = zlib.compress(b"DICOM" * 9)[2:-4]
    >>> packed = Member("a.dcm", len(data), lambda start, size: data[start:], Path("a.dcm"))
    >>> unpacked(packed, RAW).read(40, 5)
    b'DICOM'
    """

    def part(start: int, size: int) -> bytes:
        end = whole if size < 0 else min(start + size, whole)
        out, at = [], len(head)
        if start < len(head):
            out.append(head[start:end])
        if end > len(head):
            for piece in pieces(member.read(begin), kind, end - len(head)):
                out.append(piece[max(start - at, 0) : max(end - at, 0)])
                at += len(piece)
        return b"".join(out)

    packed, whole = member.size - begin, len(head)
    try:
        for piece in pieces(member.read(begin), kind):
            whole += len(piece)
            check_unpacked(whole, packed, member.name)
    except (zlib.error, EOFError) as error:
        raise ScanError(
            "the packed data are damaged", file=member.name, got=error, hint=COPY_AGAIN
        ) from error
    return replace(member, size=whole, part=part, packed=True)


def pieces(data: bytes, kind: int, enough: int | None = None) -> Iterator[bytes]:
    """Yield the unpacked bytes, to the end or until there are `enough`.

    Raises
    ------
    zlib.error, EOFError
        If the data are damaged, or end too early.

    Examples
    --------
    >>> import gzip
    >>> list(pieces(gzip.compress(b"abc") + gzip.compress(b"d"), GZIP))
    [b'abc', b'd']
    """
    total = 0
    while data:
        unpacker = zlib.decompressobj(kind)
        while not unpacker.eof:
            piece = unpacker.decompress(data, _PIECE)
            data = unpacker.unconsumed_tail
            if not piece and not data and not unpacker.eof:
                raise EOFError(f"they end after {total} bytes")
            total += len(piece)
            yield piece
            if enough is not None and total >= enough:
                return
        data = unpacker.unused_data.lstrip(b"\0")
        if data and kind == RAW:
            raise EOFError(f"{len(data)} bytes after their end")  # gzip may hold several streams
