"""Read MetaImage files: .mha, or .mhd with data files.

The format is a text header and one block of voxels (https://itk.org/Wiki/ITK/MetaIO/Documentation). ITK's own
reader reports success for data that end early or whose checksum is wrong, and leaves old memory in the
voxels; here both are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmfusion.imaging.formats.blocks import Block, Packed
from mmfusion.imaging.formats.parts import as_bytes, read_parts, size_of
from mmfusion.imaging.formats.words import read_words
from mmfusion.storage.text_header import TextHeader, read_header

_TYPES = {
    "MET_CHAR": "i1",
    "MET_ASCII_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # 4 bytes, whatever the machine
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LPS = ("rai", "lps")  # axes from right, anterior and inferior; or to left, posterior and superior
_UNKNOWN = ("", "?", "???")
_AT_THE_END = -1  # HeaderSize of data that lie at the end of their file


def read_metaimage(path: Path) -> tuple[np.ndarray, np.ndarray]:
    r"""Read a MetaImage.

    Returns
    -------
    array : ndarray, shape (z, y, x)
        Stored values.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm.

    Raises
    ------
    ScanError
        If the header cannot be understood or contradicts itself; if the data are shorter or longer than it
        states, or compressed data are damaged; if a data file is absent or outside the header's folder; if
        there are not three dimensions and one value per voxel; if the scan needs more memory than
        `mmfusion.limits.memory_limit`.
    OSError
        If a file cannot be read.

    Warns
    -----
    ScanWarning
        If the header does not state the voxel size, the position or the byte order.

    Examples
    --------
    >>> import tempfile
    >>> text = "NDims = 3\nDimSize = 2 1 1\nOffset = 0 0 0\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    >>> text += "ElementSpacing = 1 1 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "scan.mha"
    ...     _ = file.write_bytes(text.encode() + bytes([7, 9]))
    ...     array, affine = read_metaimage(file)
    >>> array.tolist(), affine.diagonal().tolist()
    ([[[7, 9]]], [1.0, 1.0, 2.0, 1.0])
    """
    header = read_header(path)
    shape, dims = _shape(header)
    affine = _affine(header, dims)
    return _voxels(header, shape, _dtype(header)), affine


def _shape(header: TextHeader) -> tuple[tuple[int, int, int], int]:
    """Return the shape (z, y, x) and the number of dimensions that the header states."""
    kind = header.fields.get("objecttype", "Image")
    if kind.lower() != "image":
        raise header.error("not an image", "objecttype", expected="Image")
    dims = header.number("ndims")
    sizes = header.whole("dimsize", dims) if 2 <= dims <= 8 else []
    values = header.number("elementnumberofchannels", 1)
    if len(sizes) < 3 or min(sizes) < 1 or set(sizes[3:]) - {1} or values != 1:
        size = " x ".join(map(str, sizes)) or f"{dims} dimensions"
        expected = "3 dimensions, 1 value per voxel"
        raise header.error("not a volume", expected=expected, got=f"{size}, {values} values per voxel")
    return tuple(sizes[2::-1]), dims


def _dtype(header: TextHeader) -> np.dtype:
    name = header.fields.get("elementtype", "")
    if name not in _TYPES:
        raise header.error("unknown type of voxels", "elementtype", expected=", ".join(_TYPES))
    slope, offset = (
        header.numbers(field, 1)[0] if field in header.fields else neutral
        for field, neutral in (
            ("elementtointensityfunctionslope", 1.0),
            ("elementtointensityfunctionoffset", 0.0),
        )
    )
    if (slope, offset) != (1.0, 0.0):
        got, hint = f"value x {slope:g} + {offset:g}", "programs disagree on it: store the rescaled values"
        raise header.error("a rule to rescale the values", got=got, hint=hint)
    dtype = np.dtype(_TYPES[name])
    big = _flag(header, "binarydatabyteordermsb")
    if big is None and dtype.itemsize > 1 and _flag(header, "binarydata") is not False:
        header.warn("the byte order is not stated: the lowest byte is taken to come first")
    return dtype.newbyteorder(">" if big else "<")


def _flag(header: TextHeader, field: str) -> bool | None:
    """Return a field that is True or False, or None if it is absent."""
    text = header.fields.get(field, "").lower()
    if text in ("true", "t", "1"):
        return True
    if text in ("false", "f", "0"):
        return False
    if field in header.fields:
        raise header.error("neither True nor False", field)
    return None


def _affine(header: TextHeader, dims: int) -> np.ndarray:
    """Return voxel (x, y, z) to LPS mm."""
    units = header.fields.get("distanceunits", "mm").lower()
    if units not in ("mm", *_UNKNOWN):
        raise header.error("unknown unit of length", "distanceunits", expected="mm")
    size = "elementspacing" if "elementspacing" in header.fields else "elementsize"
    spacing = header.numbers(size, dims)[:3] if size in header.fields else None
    if spacing is None:
        header.warn("the voxel size is not stated: 1 mm is assumed")
        spacing = [1.0, 1.0, 1.0]
    if min(spacing) <= 0:
        raise header.error("a voxel size that is not above 0", size, expected="mm")
    affine = np.eye(4)
    affine[:3, :3] = _axes(header, dims) * spacing
    if "offset" in header.fields:
        affine[:3, 3] = header.numbers("offset", dims)[:3]
    else:
        header.warn("the position is not stated: the first voxel is taken to be at 0, 0, 0")
    return affine


def _axes(header: TextHeader, dims: int) -> np.ndarray:
    """Return the unit vectors along the voxel axes as columns, shape (3, 3)."""
    field, names = "transformmatrix", header.fields.get("anatomicalorientation", "").lower()
    if field not in header.fields:
        named = f" (AnatomicalOrientation {names.upper()} is not used)" if _is_other(names) else ""
        header.warn(f"the orientation is not stated{named}: its axes are taken as +L, +P, +S")
        return np.eye(3)
    matrix = np.reshape(header.numbers(field, dims * dims), (dims, dims)).T
    axes = matrix[:3, :3]
    alone = not np.delete(matrix[3:], range(3, dims), axis=1).any() and not matrix[:3, 3:].any()
    if not alone or np.abs(np.linalg.norm(axes, axis=0) - 1).max() > 5e-3 or abs(np.linalg.det(axes)) < 0.5:
        raise header.error("not a rotation", field, expected="three unit vectors at right angles")
    return axes


def _is_other(orientation: str) -> bool:
    return orientation not in _UNKNOWN and orientation[:3] not in _LPS


def _voxels(header: TextHeader, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    packed, text = bool(_flag(header, "compresseddata")), _flag(header, "binarydata") is False
    local = header.fields["elementdatafile"].upper() == "LOCAL"

    def fill(stream: BinaryIO, place: object, part: np.ndarray) -> None:
        size = size_of(stream)
        skipped = header.number("headersize", 0)
        if skipped == _AT_THE_END and not packed:
            skipped = size - part.nbytes
        elif local and skipped:  # counted from the start of the file or from the end of the header?
            raise header.error("the place of the voxels is not clear", "headersize", expected="0 or -1")
        if not 0 <= skipped <= size:
            expected = f"{part.nbytes} bytes of voxels in {size} bytes"
            raise header.error("the voxels would begin outside the file", "headersize", expected=expected)
        stream.seek(skipped, 1)
        if packed and part.shape == shape:
            _check_packed_size(header, size - skipped)
        block = (Packed if packed else Block)(stream, place)
        if text:
            part[:] = read_words(block, part.shape, dtype)
        else:
            block.exactly(as_bytes(part))

    return read_parts(header, shape, dtype, fill, deflated=packed)


def _check_packed_size(header: TextHeader, found: int) -> None:
    """Compare the size of compressed data with the size that the header states."""
    stated = header.number("compresseddatasize", 0)
    if stated and stated != found:
        problem = "the size of the compressed data is not the stated one"
        raise header.error(problem, "compresseddatasize", got=f"{found} bytes", expected=f"{stated}")
