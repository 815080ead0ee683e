"""Read NRRD files: .nrrd, or .nhdr with data files.

The format is a text header and one block of voxels (https://teem.sourceforge.net/nrrd/format.html).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmfusion.imaging.affine import LPS_TO_RAS
from mmfusion.imaging.formats.blocks import Block, Packed
from mmfusion.imaging.formats.parts import as_bytes, read_parts, size_of
from mmfusion.imaging.formats.words import read_hex, read_words
from mmfusion.storage.text_header import MAX_LINE, TextHeader, read_header

_NAMES = {  # dtype -> names; "int" stands for "int", "signed int"
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPES = {name: dtype for dtype, names in _NAMES.items() for name in names.split(", ")}
_ENCODINGS = {
    "raw": "raw",
    **dict.fromkeys(("gz", "gzip"), "gzip"),
    **dict.fromkeys(("bz2", "bzip2"), "bzip2"),
    **dict.fromkeys(("txt", "text", "ascii"), "text"),
    "hex": "hex",
}
_LAS = np.diag([1.0, -1.0, 1.0, 1.0])
_SPACES = {
    **dict.fromkeys(("left-posterior-superior", "lps"), np.eye(4)),
    **dict.fromkeys(("right-anterior-superior", "ras"), LPS_TO_RAS),
    **dict.fromkeys(("left-anterior-superior", "las"), _LAS),
}
_MM = {"mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "cm": 10.0, "m": 1e3, "": 1.0}
_FIELDS = re.compile(  # all fields of the format
    "axismaxs|axismins|blocksize|byteskip|centers|content|datafile|dimension|encoding|endian|kinds|labels|"
    "lineskip|max|measurementframe|min|number|oldmax|oldmin|sampleunits|sizes|space|spacedirections|"
    "spacedimension|spaceorigin|spaceunits|spacings|thicknesses|type|units"
)
_AT_THE_END = -1  # byte skip of data that lie at the end of their file


def read_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    r"""Read an NRRD.

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
        If the header does not state the voxel size, the position, the directions or the space.

    Examples
    --------
    >>> import tempfile
    >>> text = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 1 1\nspace: LPS\nencoding: raw\n"
    >>> text += "space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\n\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "scan.nrrd"
    ...     _ = file.write_bytes(text.encode() + bytes([7, 9]))
    ...     array, affine = read_nrrd(file)
    >>> array.tolist(), affine.diagonal().tolist()
    ([[[7, 9]]], [1.0, 1.0, 2.0, 1.0])
    """
    header = read_header(path)
    if unknown := {field for field in header.fields if not _FIELDS.fullmatch(field)}:
        raise header.error("unknown fields", got=", ".join(sorted(unknown))[:100])
    sizes, axes = _axes(header)
    affine = _affine(header, axes, sizes)
    if {"oldmin", "oldmax"} & set(header.fields):
        header.warn("the values were scaled for storage (old min, old max): the stored values are used")
    shape = tuple(sizes[k] for k in reversed(axes))
    return _voxels(header, shape, _dtype(header)), affine


def _axes(header: TextHeader) -> tuple[list[int], list[int]]:
    """Return the sizes of all axes, and which of them are x, y and z; others have the size 1."""
    dims = header.number("dimension")
    sizes = header.whole("sizes", dims) if 1 <= dims <= 8 else []
    vectors = _vectors(header, dims) if "spacedirections" in header.fields else None
    if vectors is None:
        axes = [*range(len(sizes))]
        while len(axes) > 3 and 1 in (sizes[axes[-1]], sizes[axes[0]]):
            axes.pop(-1 if sizes[axes[-1]] == 1 else 0)
    else:
        axes = [k for k, vector in enumerate(vectors) if vector is not None]
    others = [sizes[k] for k in range(len(sizes)) if k not in axes]
    _check_kinds(header, axes, len(sizes))
    if len(axes) != 3 or not sizes or min(sizes) < 1 or max(others, default=1) > 1:
        size = " x ".join(map(str, sizes)) or f"{dims} dimensions"
        got = f"{size}, {len(axes)} axes with a direction"
        raise header.error("not a volume", expected="3 dimensions, 1 value per voxel", got=got)
    return sizes, axes


def _check_kinds(header: TextHeader, axes: list[int], dims: int) -> None:
    """Raise a ScanError if the values along an axis are colours, times or parts of vectors."""
    kinds = header.fields.get("kinds", "").lower().split()
    if "kinds" in header.fields and len(kinds) != dims:
        raise header.error("not the right number of kinds", "kinds", expected=f"{dims} kinds")
    if kinds and not {kinds[k] for k in axes} <= {"domain", "space", "none", "???"}:
        raise header.error("not a volume", "kinds", expected="domain domain domain")


def _vectors(header: TextHeader, dims: int) -> list[list[float] | None]:
    """Return the vector of each axis, or None for an axis without one."""
    text = header.fields["spacedirections"]
    words = re.findall(r"none\b|\([^()]*\)|\S+", text, re.IGNORECASE)
    if len(words) != dims:
        raise header.error("not the right number of vectors", "spacedirections", expected=f"{dims} vectors")
    return [None if word.lower() == "none" else _vector(header, "spacedirections", word) for word in words]


def _vector(header: TextHeader, field: str, word: str) -> list[float]:
    word = word.strip()
    if not (word.startswith("(") and word.endswith(")")):
        raise header.error("not a vector", field, expected="such as (0.7,0,0)")
    return header.parsed(field, [part.strip() for part in word[1:-1].split(",")], 3)


def _affine(header: TextHeader, axes: list[int], sizes: list[int]) -> np.ndarray:
    """Return voxel (x, y, z) to LPS mm."""
    space, affine = header.fields.get("space", "").lower(), np.eye(4)
    if "space" in header.fields and space not in _SPACES:
        expected = "left-posterior-superior, right-anterior-superior or left-anterior-superior"
        raise header.error("unknown space", "space", expected=expected)
    if "spacedirections" in header.fields:
        vectors = _vectors(header, len(sizes))
        affine[:3, :3] = np.transpose([vectors[k] for k in axes])
        if not affine[:3, :3].any(axis=0).all() or "spacings" in header.fields:
            expected = "vectors that are not 0, and no spacings beside them"
            raise header.error("the voxel size is not clear", "spacedirections", expected=expected)
    else:
        spacing = _spacing(header, axes, len(sizes))
        affine[:3, :3] = np.diag(spacing)
    origin = _origin(header, axes, len(sizes), affine)
    if origin is None:
        header.warn("the position is not stated: the first voxel is taken to be at 0, 0, 0")
    else:
        affine[:3, 3] = origin
    if not space:
        header.warn("the space is not stated: its axes are taken as +L, +P, +S")
    affine[:3] *= _unit(header)
    return _SPACES.get(space, np.eye(4)) @ affine


def _spacing(header: TextHeader, axes: list[int], dims: int) -> list[float]:
    if "spacings" not in header.fields:
        header.warn("the voxel size is not stated: 1 mm is assumed")
        return [1.0, 1.0, 1.0]
    words = header.fields["spacings"].split()
    kept = [words[k] for k in axes] if len(words) == dims else words[: dims + 1]
    spacing = header.parsed("spacings", kept, 3)
    if min(spacing) <= 0:
        raise header.error("a voxel size that is not above 0", "spacings", expected="mm")
    if "space" in header.fields:
        header.warn("the directions of the axes are not stated: they are taken along the space")
    return spacing


def _origin(header: TextHeader, axes: list[int], dims: int, affine: np.ndarray) -> list[float] | None:
    """Return the centre of the first voxel, or None if it is not stated."""
    if "spaceorigin" in header.fields:
        return _vector(header, "spaceorigin", header.fields["spaceorigin"])
    if "axismins" not in header.fields or "spacedirections" in header.fields:
        return None
    words = header.fields["axismins"].split()
    if all(word.lower() == "nan" for word in words):
        return None
    kept = [words[k] for k in axes] if len(words) == dims else words[: dims + 1]
    lowest = header.parsed("axismins", kept, 3)
    centers = header.fields.get("centers", "").lower().split()
    at_node = len(centers) == dims and all(centers[k] == "node" for k in axes)
    return lowest if at_node else list(lowest + affine[:3, :3].diagonal() / 2)


def _unit(header: TextHeader) -> float:
    """Return the length in mm of the unit in which the space is measured."""
    if "spaceunits" not in header.fields:
        return 1.0
    units = {part.strip().lower() for part in re.findall(r'"([^"]*)"', header.fields["spaceunits"])}
    if len(units) != 1 or not units <= set(_MM):
        raise header.error("unknown unit of length", "spaceunits", expected='"mm" "mm" "mm"')
    return _MM[units.pop()]


def _dtype(header: TextHeader) -> np.dtype:
    name = " ".join(header.fields.get("type", "").lower().split())
    if name not in _TYPES:
        raise header.error("unknown type of voxels", "type", expected="int16, float or another number")
    dtype, order = np.dtype(_TYPES[name]), header.fields.get("endian", "").lower()
    if order not in ("little", "big") and ("endian" in header.fields or _needs_order(header, dtype)):
        raise header.error("the byte order is not clear", "endian", expected="little or big")
    return dtype.newbyteorder(">" if order == "big" else "<")


def _needs_order(header: TextHeader, dtype: np.dtype) -> bool:
    return dtype.itemsize > 1 and _encoding(header) != "text"


def _encoding(header: TextHeader) -> str:
    name = header.fields.get("encoding", "").lower()
    if name not in _ENCODINGS:
        raise header.error("unknown encoding", "encoding", expected=", ".join(_ENCODINGS))
    return _ENCODINGS[name]


def _voxels(header: TextHeader, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    encoding = _encoding(header)

    def fill(stream: BinaryIO, place: object, part: np.ndarray) -> None:
        _skip_lines(header, stream)
        block = (Packed if encoding in ("gzip", "bzip2") else Block)(stream, place)
        block.skip(_skipped_bytes(header, part.nbytes, size_of(stream)))
        if encoding == "text":
            part[:] = read_words(block, part.shape, dtype)
        elif encoding == "hex":
            read_hex(block, as_bytes(part))
        else:
            block.exactly(as_bytes(part))

    return read_parts(header, shape, dtype, fill, deflated=encoding == "gzip")


def _skip_lines(header: TextHeader, stream: BinaryIO) -> None:
    count = header.number("lineskip", 0)
    if not 0 <= count <= MAX_LINE:
        raise header.error("the number of lines is out of range", "lineskip", expected=f"0 to {MAX_LINE}")
    for _ in range(count):
        if not stream.readline(MAX_LINE).endswith(b"\n"):
            raise header.error("the file has fewer lines", "lineskip")


def _skipped_bytes(header: TextHeader, count: int, size: int) -> int:
    """Return the number of (unpacked) bytes before `count` bytes of voxels, in `size` bytes of the file."""
    skipped = header.number("byteskip", 0)
    if skipped == _AT_THE_END and _encoding(header) == "raw":
        skipped = size - count
    if skipped < 0:
        problem, expected = "the voxels would begin before the file does", f"{count} bytes of voxels"
        raise header.error(problem, "byteskip", expected=expected)
    return skipped
