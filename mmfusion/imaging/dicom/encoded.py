"""The compressed frames of a file, as the byte streams that a decoder takes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from mmfusion.errors import COPY_AGAIN, ScanError
from mmfusion.imaging.dicom.archive import Member

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


class EncodedFrames:
    """The compressed frames of one file. Those of a file with many frames are kept after the first is read.

    Parameters
    ----------
    member : Member
        The file.
    begin : int
        Byte at which the encapsulated pixel data begin.
    count : int
        Number of frames.
    """

    def __init__(self, member: Member, begin: int, count: int = 1) -> None:
        self._member, self._begin, self._count = member, begin, count
        self._lock, self._streams = threading.Lock(), None

    def stream(self, k: int) -> bytes:
        """Return the byte stream of frame `k`.

        Raises
        ------
        ScanError
            If the items around the frames are damaged, or do not belong to as many frames as the header says.
        """
        if self._count == 1:
            return self._read()[0]
        with self._lock:
            if self._streams is None:
                self._streams = self._read()
            return self._streams[k]

    def _read(self) -> list[bytes]:
        table, *fragments = self._fragments(self._member.read(self._begin))
        frames = grouped(fragments, table, self._count)
        if frames is None:
            raise self._damaged(f"{len(fragments)} pieces of compressed pixels for {self._count} frames")
        return frames

    def _fragments(self, data: bytes) -> list[bytes]:
        """Return the contents of the items; the first is the table of offsets."""
        found, at = [], 0
        while at < len(data) and (mark := data[at : at + 4]) != _END:
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            if mark != _ITEM:
                raise self._damaged(f"no item at byte {self._begin + at}")
            if len(data) < at + 8 + size:
                raise self._damaged(f"{len(data) - at - 8} of {size} bytes of an item")
            found.append(data[at + 8 : at + 8 + size])
            at += 8 + size
        if len(found) < 2:
            raise self._damaged("no compressed pixels")
        return found

    def _damaged(self, got: str) -> ScanError:
        return ScanError("truncated or damaged DICOM", file=self._member.name, got=got, hint=COPY_AGAIN)


def grouped(fragments: Sequence[bytes], table: bytes, count: int) -> list[bytes] | None:
    r"""Join the pieces of each frame, by offsets or end markers of JPEG; None if they do not fit.

    Examples
    --------
    >>> grouped([b"a\xff\xd9", b"b", b"c\xff\xd9"], b"", 2)
    [b'a\xff\xd9', b'bc\xff\xd9']
    """
    if count == 1:
        return [b"".join(fragments)]
    if len(fragments) == count:
        return list(fragments)
    starts = {int.from_bytes(table[k : k + 4], "little") for k in range(0, len(table), 4)}
    frames: list[list[bytes]] = []
    at, ended = 0, True
    for fragment in fragments:
        if at in starts if starts else ended:
            frames.append([])
        if not frames:
            return None
        frames[-1].append(fragment)
        at, ended = at + 8 + len(fragment), b"\xff\xd9" in fragment[-10:]
    return [b"".join(parts) for parts in frames] if len(frames) == count else None
