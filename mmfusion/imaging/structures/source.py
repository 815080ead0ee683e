"""Read the DICOM objects at a path: an image series, or one DICOM-SEG or RTSTRUCT."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mmfusion.errors import COPY_AGAIN, ScanError
from mmfusion.exclusive import silenced
from mmfusion.imaging.dicom.archive import Member, members
from mmfusion.imaging.dicom.choose import SeriesRules, choose_series
from mmfusion.imaging.dicom.copies import without_copies
from mmfusion.imaging.dicom.headers import DAMAGED, read_header
from mmfusion.imaging.dicom.recognise import looks_like_dicom
from mmfusion.imaging.dicom.series import find_series
from mmfusion.limits import check_memory, memory_limit

Source = str | Path | Sequence[str | Path]
_CUT_OFF = (EOFError, BytesLengthException, struct.error, zlib.error)
STRUCTURES = {"SEG": "DICOM-SEG", "RTSTRUCT": "RTSTRUCT"}


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """Headers and geometry of an image series.

    Attributes
    ----------
    headers : list of Dataset
        One header per slice, in the order of the slices.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm.
    path : str
        Path for messages.
    files : frozenset of Path
        Files (or ZIPs) that contain the series.

    Examples
    --------
    >>> header = Dataset()
    >>> header.Rows, header.Columns = 512, 512
    >>> SourceSeries([header] * 3, np.eye(4), "scan", frozenset()).shape
    (3, 512, 512)
    """

    headers: list[Dataset]
    affine: np.ndarray
    path: str
    files: frozenset[Path]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns (z, y, x)."""
        return len(self.headers), int(self.headers[0].Rows), int(self.headers[0].Columns)


def read_source(source: Source, series: SeriesRules = None) -> SourceSeries:
    """Read the headers of a CT or PET series.

    Parameters
    ----------
    source : path or sequence of paths
        A folder or ZIP, nested in any way, or the files.
    series : str or sequence of str, optional
        Rules that choose a series if there are several; see `mmfusion.imaging.read`.

    Returns
    -------
    SourceSeries
        Headers in the order of the slices, and their geometry.

    Raises
    ------
    ScanError
        If there is no series; if there are several and none is chosen; if slices are missing or do not form a
        grid.
    """
    if not isinstance(source, str | Path) and not _paths(source):
        raise ScanError("not the files of a scan", expected="a path, or a list of paths of DICOM files",
                        got=type(source).__name__)  # fmt: skip
    path = Path(source if isinstance(source, (str, Path)) else f"{len(source)} files")
    with _members(source) as files:
        chosen = choose_series(find_series(files), series, path)
        slices, affine = chosen.placed(path)
        if slices[0].frame is not None:
            problem = "regions and points cannot refer to a scan with many frames in one file"
            raise ScanError(problem, file=path, hint="export it as one file for each slice")
        names = frozenset(header.member.file for header in chosen.slices)
        return SourceSeries(
            [_dataset(header.member, pixels=False) for header in slices], affine, str(path), names
        )


def read_structure(path: Path) -> tuple[str, Dataset]:
    """Return the name and the data set of the only DICOM-SEG or RTSTRUCT at a path.

    Raises
    ------
    ScanError
        If there is none, or there are several.
    """
    with _members(path) as files:
        headers = [header for header in map(read_header, files) if header is not None]
        found = without_copies([header for header in headers if header.text("Modality") in STRUCTURES])
        if len(found) == 1:
            return found[0].name, _dataset(found[0].member, pixels=True)
        others = ", ".join(sorted({header.text("Modality") for header in headers})) or "no DICOM"
    kinds = ", ".join(f"{Path(header.name).name} ({header.text('Modality')})" for header in found)
    packed = path.suffix.lower() == ".zip"
    hint = (
        f"{'unpack it and ' if packed else ''}give the path of one of them"
        if found
        else "a scan is read by read()"
    )
    raise ScanError(
        f"{len(found) or 'no'} sets of regions",
        file=path,
        expected="one DICOM-SEG or RTSTRUCT",
        got=kinds or others,
        hint=hint,
    )


@contextmanager
def readable(path: object, what: str) -> Iterator[None]:
    """Turn any error that pydicom raises for an object into one ScanError that names the file.

    Only what proves that data are lost is called damage: a file or a value that ends too early, or data that
    cannot be unpacked. For anything else the error says what could not be understood.

    Examples
    --------
    >>> with readable("rs.dcm", "RTSTRUCT"):
    ...     raise AttributeError("no ContourData")
    Traceback (most recent call last):
    mmfusion.errors.ScanError: file rs.dcm: the RTSTRUCT could not be understood (got AttributeError: no ...
    """
    try:
        with silenced("pydicom", "highdicom"):  # their warnings about invalid values that can still be read
            yield
    except ScanError:
        raise
    except _CUT_OFF as error:
        raise ScanError(f"truncated or damaged {what}", file=path, got=error, hint=COPY_AGAIN) from error
    except DAMAGED as error:
        hint = "an element is absent or not as DICOM asks for it: export it again, or with another program"
        got = f"{type(error).__name__}: {error}"[:200]
        raise ScanError(f"the {what} could not be understood", file=path, got=got, hint=hint) from error


def _paths(source: object) -> bool:
    return isinstance(source, Sequence) and all(isinstance(one, str | Path) for one in source)


@contextmanager
def _members(source: Source) -> Iterator[list[Member]]:
    paths = [Path(p) for p in ([source] if isinstance(source, (str, Path)) else source)]
    for path in paths:
        if not path.exists():
            raise ScanError("no such file", file=path)
    with ExitStack() as stack:
        yield [member for path in paths for member in stack.enter_context(members(path))]


def _dataset(member: Member, *, pixels: bool) -> Dataset:
    check_memory(2.0 * member.size, "the file", file=member.name, error=ScanError)
    with readable(member.name, "DICOM"):
        data = member.read()
        _check_unpacked(data, member.name)
        return pydicom.dcmread(BytesIO(data), stop_before_pixels=not pixels, force=True)


def _check_unpacked(data: bytes, name: str) -> None:
    """Raise a ScanError if a deflated file would unpack to more memory than allowed."""
    if not looks_like_dicom(data) or DeflatedExplicitVRLittleEndian.encode() not in data[:2000]:
        return
    limit = memory_limit() // 2  # pydicom keeps a copy
    begin = 144 + int.from_bytes(data[140:144], "little")  # after the file meta information
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(memoryview(data)[begin:], limit + 1)
    check_memory(2.0 * len(unpacked), "the unpacked file", file=name, error=ScanError)
