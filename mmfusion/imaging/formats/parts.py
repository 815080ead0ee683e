"""Voxels of a text header: they follow the header, or lie in one or several data files."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from mmfusion.imaging.formats.blocks import check_room, native
from mmfusion.storage.detached import below, data_files
from mmfusion.storage.text_header import TextHeader


def read_parts(
    header: TextHeader,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    fill: Callable[[BinaryIO, object, np.ndarray], None],
    *,
    deflated: bool,
) -> np.ndarray:
    """Return the voxels of all data files, in the byte order of this machine.

    Several files hold equal numbers of slices, in order.

    Parameters
    ----------
    header : TextHeader
        The header, which names the files.
    shape : (z, y, x)
        Shape of the voxels.
    dtype : dtype
        Type of the stored values.
    fill : callable
        `fill(stream, place, part)` fills an array from an open file, whose position is where data can begin;
        `place` names the file in messages.
    deflated : bool
        The files hold gzip or zlib data.

    Raises
    ------
    ScanError
        If a file is absent or outside the header's folder, the slices cannot be distributed over the files,
        or the array is too large.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> def fill(stream, place, part):
    ...     part[:] = list(stream.read())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "scan.mha"
    ...     _ = file.write_bytes(bytes([7, 9]))
    ...     header = TextHeader(file, {"elementdatafile": "LOCAL"}, (), 0)
    ...     read_parts(header, (1, 1, 2), np.dtype("u1"), fill, deflated=False).tolist()
    [[[7, 9]]]
    """
    names = data_files(header)
    files = [below(header.file.parent, name, header.file) for name in names] or [header.file]
    if shape[0] % len(files):
        got = f"{len(files)} data files for {shape[0]} slices"
        raise header.error("the data files do not fit the size", expected=f"{shape[0]} files", got=got)
    packed = sum(file.stat().st_size for file in files) if deflated else None
    check_room(shape, dtype, header.file, packed)
    array, depth = np.empty(shape, dtype), shape[0] // len(files)
    for k, file in enumerate(files):
        with file.open("rb") as stream:
            stream.seek(0 if names else header.end)
            place = f"{header.file} (data file {names[k]})" if names else file
            fill(stream, place, array[k * depth : (k + 1) * depth])
    return native(array)


def as_bytes(part: np.ndarray) -> memoryview:
    """Return the memory of a contiguous array, to write into.

    Examples
    --------
    >>> len(as_bytes(np.zeros((2, 3), np.int16)))
    12
    """
    return memoryview(part.reshape(-1).view(np.uint8))


def size_of(stream: BinaryIO) -> int:
    """Return the number of bytes from the position of an open file to its end.

    Examples
    --------
    >>> import io
    >>> size_of(io.BytesIO(b"abc"))
    3
    """
    here = stream.tell()
    end = stream.seek(0, 2)
    stream.seek(here)
    return end - here
