"""Voxels of a file as one block of bytes: unpacked with bounded memory, to the last byte, and verified.

The block must be exactly as long as its header promises. Compressed data must end where the file ends, and
their checksum must be right. A file that unpacks to more is noticed after one byte too many.
"""

from __future__ import annotations

import bz2
import math
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from mmfusion.errors import COPY_AGAIN, ScanError
from mmfusion.imaging.dicom.archive import inflater
from mmfusion.imaging.plausible import check_size

PIECE = 2**18  # bytes, unpacked at most; small enough to stay in the processor's cache
_RATIO = 1032  # deflate cannot shrink data further
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZ"
_BROKEN = (zlib.error, inflater.error, OSError, EOFError, ValueError)


class Block:
    """Bytes of a file from its current position on, as they are stored.

    Parameters
    ----------
    stream : binary file
        An open file.
    file : path
        Its name, for messages.

    Examples
    --------
    >>> import io
    >>> block = Block(io.BytesIO(b"voxels"), "scan.nii")
    >>> block.take(6), block.at_end()
    (b'voxels', True)
    """

    def __init__(self, stream: BinaryIO, file: object) -> None:
        self.stream, self.file = stream, file

    def fill(self, room: memoryview) -> int:
        """Fill `room` with the next bytes, and return their number; fewer only at the end."""
        done = 0
        while done < len(room) and (got := self.stream.readinto(room[done:])):
            done += got
        return done

    def at_end(self) -> bool:
        """Return True if no byte follows. For packed data, the checksum is then verified."""
        return not self.stream.read(1)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, or fewer at the end."""
        room = bytearray(count)
        return bytes(room[: self.fill(memoryview(room))])

    def skip(self, count: int) -> None:
        """Pass over bytes; raise a ScanError if the data have fewer."""
        while count:
            step = min(count, PIECE)
            if len(self.take(step)) < step:
                raise self.damaged(f"the data end {count} bytes before the voxels begin")
            count -= step

    def exactly(self, room: memoryview) -> None:
        """Fill `room` with the rest.

        Raises
        ------
        ScanError
            If the rest is shorter or longer than `room`.
        """
        done = self.fill(room)
        if done < len(room):
            raise self.damaged(f"{done} of {len(room)} bytes of voxels")
        if not self.at_end():
            raise self.surplus(len(room))

    def damaged(self, got: str) -> ScanError:
        """Return the error for data that end early or do not match their checksum."""
        return ScanError("the scan cannot be read", file=self.file, got=got, hint=COPY_AGAIN)

    def surplus(self, count: int) -> ScanError:
        """Return the error for data that are longer than the header promises."""
        problem, hint = "more data than the header states", "does the header belong to these data?"
        return ScanError(problem, file=self.file, expected=f"{count} bytes of voxels", got="more", hint=hint)


class Packed(Block):
    """Unpacked bytes of a gzip, zlib or bzip2 stream; the parameters are those of `Block`.

    Several streams of one kind may follow each other, and gzip may be followed by zeros.

    Examples
    --------
    >>> import gzip, io
    >>> Packed(io.BytesIO(gzip.compress(b"voxels")), "scan.nii.gz").take(6)
    b'voxels'
    """

    def __init__(self, stream: BinaryIO, file: object) -> None:
        super().__init__(stream, file)
        self._pieces, self._left = self._unpack(), memoryview(b"")

    def fill(self, room: memoryview) -> int:
        """Fill `room` with the next unpacked bytes; raise a ScanError if the stream is damaged."""
        done = 0
        while done < len(room) and (self._left or not self._is_over()):
            count = min(len(room) - done, len(self._left))
            room[done : done + count] = self._left[:count]
            self._left = self._left[count:]
            done += count
        return done

    def at_end(self) -> bool:
        """Return True if no byte follows and the checksum is right."""
        return not self._left and self._is_over()

    def _is_over(self) -> bool:
        """Unpack the next piece, and return True if there is none."""
        try:
            self._left = memoryview(next(self._pieces, b""))
        except _BROKEN as error:
            raise self.damaged(
                f"compressed data that are damaged ({error or type(error).__name__})"
            ) from error
        return not self._left

    def _unpack(self) -> Iterator[bytes]:
        packed = self.stream.read(PIECE)
        kind = packed[:2]
        while packed:
            unpacker = _unpacker(packed)
            while not unpacker.eof:
                if not packed:
                    raise EOFError("they end early")
                yield from _some(unpacker, packed)
                packed = unpacker.unused_data if unpacker.eof else self.stream.read(PIECE)
            packed = packed or self.stream.read(PIECE)
            packed = self._next_member(kind, packed)

    def _next_member(self, kind: bytes, packed: bytes) -> bytes:
        if len(packed) < 2:
            packed += self.stream.read(PIECE)
        if kind == _GZIP:
            while packed and not packed.strip(b"\0"):
                packed = self.stream.read(PIECE)
        if packed and not (kind in (_GZIP, _BZIP2) and packed.startswith(kind)):
            raise ValueError("other data follow them")
        return packed


def _some(unpacker: object, packed: bytes) -> Iterator[bytes]:
    """Yield what a piece of packed data unpacks to, in pieces of bounded size."""
    piece = None
    while not unpacker.eof and (piece is None or packed or len(piece) == PIECE):
        piece = unpacker.decompress(packed, PIECE)
        packed = getattr(unpacker, "unconsumed_tail", b"")  # bz2 keeps it
        if piece:
            yield piece


def _unpacker(packed: bytes) -> object:
    if packed.startswith(_BZIP2):
        return bz2.BZ2Decompressor()
    if packed.startswith(_GZIP):
        return inflater.decompressobj(16 + zlib.MAX_WBITS)
    return inflater.decompressobj(zlib.MAX_WBITS)


def native(array: np.ndarray) -> np.ndarray:
    """Return an array in the byte order of this machine; the bytes are swapped in place.

    Examples
    --------
    >>> native(np.array([1, 256], ">i2")).dtype == np.int16
    True
    """
    if array.dtype.isnative:
        return array
    return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))


def check_room(shape: tuple[int, ...], dtype: np.dtype, file: object, packed: int | None = None) -> None:
    """Raise a ScanError if an array is too large for memory, or for the packed bytes that should hold it.

    Reading needs the stored values and one copy of 4 bytes per voxel.

    Parameters
    ----------
    shape : tuple of int
        Shape that the header states.
    dtype : dtype
        Type of the stored values.
    file : path
        File for the message.
    packed : int, optional
        Size in bytes of the gzip or zlib data that unpack to the array.

    Examples
    --------
    >>> check_room((100, 512, 512), np.dtype("int16"), "scan.nii")
    """
    check_size(shape, file, dtype.itemsize)
    count = math.prod(shape)
    if packed is not None and count * dtype.itemsize > _RATIO * packed + PIECE:
        expected = f"{count * dtype.itemsize} bytes of voxels"
        got = f"{packed} compressed bytes, which cannot hold so many"
        raise ScanError("the scan cannot be read", file=file, expected=expected, got=got, hint=COPY_AGAIN)
