"""Read and write NIfTI files.

A file is read to its last byte, so that its checksum and its length are tested. It must state one position,
or none.
"""

from __future__ import annotations

import gzip
import logging
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.affine import LPS_TO_RAS, corners, spacing_of
from mmfusion.imaging.formats.blocks import Block, Packed, check_room, native
from mmfusion.imaging.formats.parts import as_bytes
from mmfusion.imaging.saving import saved
from mmfusion.imaging.volume import Volume

_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # key: size of the header, its first number
_MM = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}  # code of the unit (0: not stated, metre, mm, micrometre) -> mm
_LATEST = 2**26  # largest plausible byte at which the voxels begin, after extensions
_FARTHEST = 1e9  # mm; larger numbers are no position
_UNUSABLE = 40  # level of nibabel's checks from which on a header cannot be used
_SILENT = logging.Logger(__name__, logging.CRITICAL)  # nibabel would print what it found
_EXACT, _ROUNDING = 3e-7, 1e-5  # how far the squares of a unit quaternion may exceed 1 in float32


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
        If the data are shorter or longer than the header states, or the checksum is wrong; if there are not
        three dimensions and one number per voxel; if the scan needs more memory than
        `mmfusion.limits.memory_limit`; if its sform and qform state two positions more than half a voxel
        apart.
    OSError
        If the file cannot be read.

    Warns
    -----
    ScanWarning
        If the file states no position: its axes are then assumed to run along +L, +P and +S. If its qform
        cannot be used: the sform is used alone.

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
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        if packed:
            return _read(Packed(stream, path), path, path.stat().st_size)
        return _read(Block(stream, path), path)


def _read(block: Block, path: Path, packed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    header = _header(block, path)
    shape, dtype = _kind(header, path), header.get_data_dtype()
    check_room(shape, dtype, path, packed)
    begin, size = float(header["vox_offset"]), header.sizeof_hdr
    if not size <= begin <= _LATEST or begin != int(begin):
        expected = f"a whole number from {size} to {_LATEST}"
        raise ScanError(
            "an impossible place of the voxels", file=path, column="vox_offset", expected=expected, got=begin
        )
    slope, intercept = _scaling(header, path)
    affine = _affine(header, shape, path)
    block.skip(int(begin) - size)
    array = np.empty(shape, dtype)
    block.exactly(as_bytes(array))
    array = native(array)
    if (slope, intercept) != (1, 0):
        array = array.astype(np.float32, copy=False)
        with np.errstate(over="ignore"):
            array *= np.float32(slope)
            array += np.float32(intercept)
    return array, affine


def _header(block: Block, path: Path) -> nib.Nifti1Header:
    start = block.take(4)
    sizes = [n for order in "<>" if len(start) == 4 for n in struct.unpack(f"{order}i", start)]
    kind = next((_HEADERS[n] for n in sizes if n in _HEADERS), None)
    if kind is None:
        raise ScanError("the scan cannot be read", file=path, expected="NIfTI", got="something else")
    data = start + block.take(kind.sizeof_hdr - 4)
    if len(data) < kind.sizeof_hdr:
        raise block.damaged(f"{len(data)} of {kind.sizeof_hdr} bytes of the header")
    header = kind(data, check=False)
    try:
        header.copy().check_fix(
            _SILENT, _UNUSABLE
        )  # a copy, since it also replaces values such as a size of 0
    except (HeaderDataError, WrapStructError) as error:
        raise ScanError("the header cannot be used", file=path, got=error) from error
    if not bytes(header["magic"]).startswith(b"n+"):
        hint = "convert the two files to one: nibabel.save(nibabel.load('scan.hdr'), 'scan.nii.gz')"
        raise ScanError("a header without voxels", file=path, expected="one file", got=".hdr", hint=hint)
    return header


def _kind(header: nib.Nifti1Header, path: Path) -> tuple[int, int, int]:
    """Return the shape (z, y, x), or raise a ScanError if the file is not a 3-D volume of numbers."""
    shape, dtype = list(header.get_data_shape()), header.get_data_dtype()
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) != 3 or dtype.kind not in "iuf" or dtype.itemsize > 8 or min(shape) < 1:
        got = f"{' x '.join(map(str, shape))} voxels of {header.get_value_label('datatype')}"
        raise ScanError("not a volume", file=path, expected="3 dimensions, 1 number per voxel", got=got)
    return tuple(int(n) for n in shape[::-1])


def _scaling(header: nib.Nifti1Header, path: Path) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 or NaN says that values are not rescaled."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope):
        return 1.0, 0.0
    if not np.isfinite([slope, intercept]).all():
        got = f"value x {slope:g} + {intercept:g}"
        raise ScanError("values cannot be rescaled", file=path, column="scl_slope, scl_inter", got=got)
    return slope, intercept


def _affine(header: nib.Nifti1Header, shape: tuple[int, int, int], path: Path) -> np.ndarray:
    sform = header.get_sform(coded=True)[0]
    qform = _qform(header, sform, path)
    found = [affine for affine in (sform, qform) if affine is not None]
    if not found:
        reason = "the position is not stated (sform and qform codes are 0)"
        warn(f"{path}: {reason}: its axes are taken as +L, +P, +S", ScanWarning, stacklevel=2)
        if not _are_sizes(np.abs(header["pixdim"][1:4])):
            raise ScanError("not a voxel size", file=path, column="pixdim", got=header["pixdim"][1:4])
        return np.diag([*(abs(float(mm)) for mm in header["pixdim"][1:4]), 1.0])
    if not all((np.abs(affine) <= _FARTHEST).all() for affine in found):
        expected = f"numbers up to {_FARTHEST:.0e}"
        raise ScanError("not a position", file=path, column="sform, qform", expected=expected)
    if len(found) == 2:
        _compare(*found, shape, path)
    affine = LPS_TO_RAS @ found[0].astype(np.float64)
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM:
        raise ScanError("unknown unit of length", file=path, column="xyzt_units", expected="0 to 3", got=unit)
    affine[:3] *= _MM[unit]
    return affine


def _qform(header: nib.Nifti1Header, sform: np.ndarray | None, path: Path) -> np.ndarray | None:
    """Return the qform, or None if it is not stated, or cannot be used and there is an sform.

    A header holds three numbers of a unit quaternion in float32. By rounding, their squares may add up to
    more than 1. The rotation is then known less exactly than from an sform.
    """
    if not int(header["qform_code"]):
        return None
    excess = sum(float(header[f"quatern_{part}"]) ** 2 for part in "bcd") - 1
    sign = float(header["pixdim"][0])
    if excess <= _ROUNDING and sign in (-1, 0, 1) and _are_sizes(header["pixdim"][1:4]):
        if excess > _EXACT and sform is not None:
            return None
        usable = header.copy()
        usable["pixdim"][0] = sign or 1
        usable.quaternion_threshold = -2 * _ROUNDING
        return usable.get_qform()
    if sform is None:
        column, expected = "quatern_b, c, d, pixdim", "a unit quaternion, a sign and sizes above 0"
        got = f"squares of the quaternion add up to {excess + 1:.6g}, pixdim {header['pixdim'][:4]}"
        raise ScanError("not a rotation", file=path, column=column, expected=expected, got=got)
    reason = "the qform is not a rotation: the sform is used alone"
    warn(f"{path}: {reason}", ScanWarning, stacklevel=2)
    return None


def _are_sizes(mm: np.ndarray) -> bool:
    return bool(np.all((mm > 0) & (mm <= _FARTHEST)))


def _compare(sform: np.ndarray, qform: np.ndarray, shape: tuple[int, int, int], path: Path) -> None:
    """Raise a ScanError if a corner of the volume lies at two positions."""
    change = sform - qform
    ends = corners([0] * 3, np.array(shape[::-1]) - 1)
    apart = np.linalg.norm(change[:3, :3] @ ends + change[:3, 3:], axis=0).max()
    if not apart <= min(spacing_of(sform)) / 2:
        hint = "set the code of the wrong one to 0: nibabel's image.set_sform(None) or image.set_qform(None)"
        got = f"{apart:.1f} (in the file's unit) between them"
        raise ScanError("sform and qform state two positions", file=path, expected="one", got=got, hint=hint)


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
    data = nifti_bytes(volume)
    with saved(path) as draft:
        draft.write_bytes(
            gzip.compress(data, compresslevel=4, mtime=0) if path.suffix.lower() == ".gz" else data
        )
    return path


def nifti_bytes(volume: Volume) -> bytes:
    """Return a scan or a mask as the bytes of a NIfTI-1 file, not compressed; see `write_nifti`.

    Examples
    --------
    >>> len(nifti_bytes(Volume(np.zeros((2, 3, 4), np.int16), np.eye(4))))  # header, and 24 voxels
    400
    """
    affine = LPS_TO_RAS @ volume.affine
    image = nib.Nifti1Image(volume.array.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=1)  # both forms, in scanner coordinates: some programs read only one of them
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"{volume.modality} {volume.unit}".encode()
    return image.to_bytes()
