"""Read and write NIfTI files.

A file is read to its last byte, so that its checksum is tested. It must state one position, or none.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.affine import LPS_TO_RAS, corners, spacing_of
from mmfusion.imaging.dicom.archive import inflater
from mmfusion.imaging.plausible import check_size
from mmfusion.imaging.saving import saved
from mmfusion.imaging.volume import Volume

try:
    from isal.igzip import IGzipFile as GzipFile  # several times faster than gzip
except ImportError:  # not available on this machine
    from gzip import GzipFile

_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # key: size of the header, its first number
_MM = {1: 1e3, 3: 1e-3}  # code of the unit (1: metre, 3: micrometre) -> mm
_LATEST = 2**26  # largest plausible byte at which the voxels begin, after extensions
_OTHERS = (HeaderDataError, WrapStructError, inflater.error, struct.error, zlib.error)
_BROKEN = (OSError, EOFError, ValueError, OverflowError, *_OTHERS)


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a NIfTI-1 or NIfTI-2 file: return the rescaled array and the affine.

    Returns
    -------
    array : ndarray, shape (z, y, x)
        Values, with slope and intercept of the header applied.
    affine : ndarray, shape (4, 4)
        Voxel (x, y, z) to LPS mm.

    Raises
    ------
    ScanError
        If the file is incomplete or its checksum is wrong; if it does not have three dimensions and one
        number per voxel; if its sform and qform state two positions more than half a voxel apart.

    Warns
    -----
    ScanWarning
        If the file states no position. Its axes are then assumed to run along +L, +P and +S.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scan = Volume(np.zeros((4, 8, 8), np.int16), np.diag([1.0, 1.0, 2.5, 1.0]), "HU")
    ...     _ = write_nifti(scan, Path(folder) / "ct.nii.gz")
    ...     array, affine = read_nifti(Path(folder) / "ct.nii.gz")
    >>> array.shape, spacing_of(affine)
    ((4, 8, 8), (2.5, 1.0, 1.0))
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            with GzipFile(fileobj=plain) if packed else plain as file:
                return _read(file, path)
    except ScanError:
        raise
    except _BROKEN as error:
        hint = "copy or download it again"
        raise ScanError(
            "the scan cannot be read", file=path, got=error or type(error).__name__, hint=hint
        ) from error


def _read(file: BinaryIO, path: Path) -> tuple[np.ndarray, np.ndarray]:
    start = file.read(4)
    kind = next(
        (_HEADERS[n] for order in "<>" for n in struct.unpack(f"{order}i", start) if n in _HEADERS), None
    )
    if kind is None:
        raise ScanError("the scan cannot be read", file=path, expected="NIfTI", got="something else")
    header = kind(start + file.read(kind.sizeof_hdr - 4))
    shape, dtype = _kind(header, path), header.get_data_dtype()
    begin, size = int(header["vox_offset"]), int(np.prod(shape)) * dtype.itemsize
    if not kind.sizeof_hdr <= begin <= _LATEST:
        raise ScanError("a damaged header", file=path, column="vox_offset", got=begin)
    file.seek(begin)
    data = file.read(size)
    if len(data) < size:
        got, hint = f"{len(data)} of {size} bytes of voxels", "copy or download it again"
        raise ScanError("the scan cannot be read", file=path, got=got, hint=hint)
    while file.read(2**20):  # to the checksum
        pass
    array, (slope, intercept) = np.frombuffer(data, dtype).reshape(shape), header.get_slope_inter()
    if slope is not None and (slope, intercept) != (1, 0):
        array = array.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return array, _affine(header, shape, path)


def _kind(header: nib.Nifti1Header, path: Path) -> tuple[int, int, int]:
    """Return the shape (z, y, x), or raise a ScanError if the file is not a 3-D volume of numbers."""
    shape, dtype = list(header.get_data_shape()), header.get_data_dtype()
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) != 3 or dtype.kind not in "iuf" or min(shape) < 1:
        got = f"{' x '.join(map(str, shape))} voxels of {header.get_value_label('datatype')}"
        raise ScanError("not a volume", file=path, expected="3 dimensions, 1 number per voxel", got=got)
    shape = tuple(int(n) for n in shape[::-1])
    check_size(shape, path)
    return shape


def _affine(header: nib.Nifti1Header, shape: tuple[int, int, int], path: Path) -> np.ndarray:
    found = [
        affine
        for affine, _ in (header.get_sform(coded=True), header.get_qform(coded=True))
        if affine is not None
    ]
    if not found:
        reason = "the position is not stated (sform and qform codes are 0)"
        warn(f"{path}: {reason}: its axes are taken as +L, +P, +S", ScanWarning, stacklevel=2)
        return np.diag([*(abs(float(mm)) for mm in header["pixdim"][1:4]), 1.0])
    if len(found) == 2:
        change = found[0] - found[1]
        ends = corners([0] * 3, np.array(shape[::-1]) - 1)
        apart = np.linalg.norm(change[:3, :3] @ ends + change[:3, 3:], axis=0).max()
        if not apart <= min(spacing_of(found[0])) / 2:
            hint = (
                "set the code of the wrong one to 0: nibabel's image.set_sform(None) or image.set_qform(None)"
            )
            got = f"{apart:.1f} (in the file's unit) between them"
            raise ScanError(
                "sform and qform state two positions", file=path, expected="one", got=got, hint=hint
            )
    affine = LPS_TO_RAS @ found[0].astype(np.float64)
    affine[:3] *= _MM.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def write_nifti(volume: Volume, path: str | Path) -> Path:
    """Write a scan or a mask as NIfTI-1.

    Values and dtype stay the same. The affine is written in RAS mm, as the format requires.

    Parameters
    ----------
    volume : Volume
        Scan or mask in any orientation; the orientation is kept.
    path : path
        Name of the file, ending in .nii or .nii.gz. An existing file is replaced.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ScanError
        If the name has another ending, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise ScanError(
            "not a name of a NIfTI file",
            file=path,
            expected=".nii or .nii.gz",
            got=path.suffix or "no suffix",
        )
    affine = LPS_TO_RAS @ volume.affine
    image = nib.Nifti1Image(volume.array.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=1)  # both forms, in scanner coordinates: some programs read only one of them
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"{volume.modality} {volume.unit}".encode()
    data = image.to_bytes()
    with saved(path) as draft:
        draft.write_bytes(
            gzip.compress(data, compresslevel=4, mtime=0) if path.suffix.lower() == ".gz" else data
        )
    return path
