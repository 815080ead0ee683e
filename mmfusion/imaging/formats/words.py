"""Voxels that are stored as text: decimal or hexadecimal numbers."""

from __future__ import annotations

import math

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.formats.blocks import Block
from mmfusion.limits import check_memory

_WORD = 40  # characters of the longest number, with the space after it
_COPIES = 4 * _WORD  # bytes per voxel while numbers are read: the text, its words and an array of them


def read_words(block: Block, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    r"""Return voxels that are stored as decimal numbers with spaces or lines between them.

    Raises
    ------
    ScanError
        If there are more or fewer numbers than voxels, or one does not fit the type of the voxels.

    Examples
    --------
    >>> import io
    >>> read_words(Block(io.BytesIO(b"1 2\n3 4"), "scan.nrrd"), (1, 2, 2), np.dtype("int16")).tolist()
    [[[1, 2], [3, 4]]]
    """
    count = math.prod(shape)
    check_memory(count * _COPIES, "the scan as text", file=block.file, error=ScanError)
    words = block.take(count * _WORD).replace(b",", b" ").split()
    if len(words) != count or not block.at_end():
        got = f"{len(words)} numbers" if len(words) != count else "more text"
        raise ScanError("the scan cannot be read", file=block.file, expected=f"{count} numbers", got=got)
    wide = np.float64 if dtype.kind == "f" else np.uint64 if dtype == np.uint64 else np.int64
    try:
        if max(map(len, words)) > _WORD:
            raise ValueError(f"a number of {max(map(len, words))} characters")
        values = np.array(words).astype(wide)
    except (ValueError, OverflowError) as error:
        raise ScanError("voxels that are not numbers", file=block.file, got=error) from error
    if wide is np.int64 and not (np.iinfo(dtype).min <= values.min() and values.max() <= np.iinfo(dtype).max):
        got = f"{values.min()} to {values.max()}"
        raise ScanError("voxels do not fit their type", file=block.file, expected=dtype.name, got=got)
    return values.astype(dtype).reshape(shape)


def read_hex(block: Block, room: memoryview) -> None:
    """Fill `room` with bytes that are stored as two hexadecimal digits each.

    Raises
    ------
    ScanError
        If there are other characters, or more or fewer bytes.

    Examples
    --------
    >>> import io
    >>> room = bytearray(2)
    >>> read_hex(Block(io.BytesIO(b"01 ff"), "scan.nrrd"), memoryview(room))
    >>> list(room)
    [1, 255]
    """
    check_memory(5 * len(room), "the scan as text", file=block.file, error=ScanError)
    text = block.take(3 * len(room) + 2)  # a space or a line end after each pair at most
    try:
        data = bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise ScanError("voxels that are not hexadecimal digits", file=block.file, got=error) from error
    if len(data) < len(room):
        raise block.damaged(f"{len(data)} of {len(room)} bytes of voxels")
    if len(data) > len(room) or not block.at_end():
        raise block.surplus(len(room))
    room[:] = data
