"""NIfTI: read to the last byte, with one geometry or none; and written, for any other program."""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging.affine import LPS_TO_RAS, corners, spacing_of
from mmfusion.imaging.dicom.archive import inflater
from mmfusion.imaging.plausible import check_size
from mmfusion.imaging.saving import saved
from mmfusion.imaging.volume import Volume

try:
    from isal.igzip import IGzipFile as GzipFile  # several times as fast
except ImportError:  # no wheel for this machine
    from gzip import GzipFile

_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # by its size, which is its first number
_MM = {1: 1e3, 3: 1e-3}  # code of metres and micrometres
_LATEST = 2**26  # byte at which voxels begin, after extensions
_BROKEN = (OSError, EOFError, ValueError, OverflowError, zlib.error, inflater.error, struct.error,
           HeaderDataError, WrapStructError)  # fmt: skip


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array (z, y, x), rescaled, and affine (voxel (x, y, z) to LPS mm) of a NIfTI-1 or NIfTI-2 file.

    Raises
    ------
    ScanError
        If it breaks off or its checksum is wrong, is no volume of single numbers, or states two places (sform and
        qform) more than half a voxel apart.

    Warns
    -----
    ScanWarning
        If it states no place at all: axes are then taken to run along +L, +P and +S.
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
    """Shape (z, y, x)."""
    shape, dtype = list(header.get_data_shape()), header.get_data_dtype()
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) != 3 or dtype.kind not in "iuf" or min(shape) < 1:
        got = f"{' x '.join(map(str, shape))} voxels of {header.get_value_label('datatype')}"
        raise ScanError("not a volume", file=path, expected="3 dimensions, 1 number a voxel", got=got)
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
        text = f"{path}: says nothing of where it lies (sform and qform codes 0): its axes are taken for +L, +P, +S"
        warnings.warn(text, ScanWarning, stacklevel=2)
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
                "sform and qform put the scan in two places", file=path, expected="one", got=got, hint=hint
            )
    affine = LPS_TO_RAS @ found[0].astype(np.float64)
    affine[:3] *= _MM.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def write_nifti(volume: Volume, path: str | Path) -> Path:
    """Write a scan or a mask as NIfTI-1: the same values and dtype, the affine in RAS mm as the format asks.

    Parameters
    ----------
    volume : Volume
        In any orientation, which is kept.
    path : path
        Ends in .nii or .nii.gz; replaced if it is there.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ScanError
        If the name ends otherwise, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise ScanError(
            "not a name for NIfTI", file=path, expected=".nii or .nii.gz", got=path.suffix or "no suffix"
        )
    affine = LPS_TO_RAS @ volume.affine
    image = nib.Nifti1Image(volume.array.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=1)  # scanner coordinates, both ways: programs differ in which they read
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"{volume.modality} {volume.unit}".encode()
    data = image.to_bytes()
    with saved(path) as draft:
        draft.write_bytes(
            gzip.compress(data, compresslevel=4, mtime=0) if path.suffix.lower() == ".gz" else data
        )
    return path
