"""DICOM in every form that is read: encodings, compressions, files with many frames, gzip and ZIP."""

from __future__ import annotations

import gzip
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mmfusion.imaging import read
from tests.fuzz.mutate import Change
from tests.fuzz.registry import Format
from tests.imaging.dicoms import phantom_hu, write_series
from tests.imaging.multiframes import enhanced, slices_of

SHAPE = (3, 40, 36)
Files = dict[str, bytes]
Rng = np.random.Generator


def _values(rng: Rng, modality: str) -> np.ndarray:
    smooth = np.cumsum(rng.integers(-40, 41, SHAPE), axis=2).astype(np.int16)
    return np.abs(smooth) + 1 if modality == "PT" else smooth + phantom_hu(SHAPE) // 4


def _series(rng: Rng, change: Callable[[Dataset, int], None] | None = None, modality: str = "CT") -> Files:
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), _values(rng, modality), modality=modality, change=change)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def _syntax(uid: str) -> Callable[[Dataset, int], None]:
    def change(ds: Dataset, k: int) -> None:
        ds.file_meta.TransferSyntaxUID = uid
        if uid == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        ds["PixelData"].VR = "OW"

    return change


def _compressed(uid: str) -> Callable[[Dataset, int], None]:
    return lambda ds, k: ds.compress(uid)


def _jpeg_lossless(ds: Dataset, k: int) -> None:
    """Compress by ITK's GDCM, which can write this form."""
    with tempfile.TemporaryDirectory() as folder:
        image = sitk.GetImageFromArray(np.frombuffer(ds.PixelData, "<i2").reshape(1, ds.Rows, ds.Columns))
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.SetFileName(f"{folder}/a.dcm")
        writer.Execute(image)
        made = pydicom.dcmread(f"{folder}/a.dcm")
        frame = next(pydicom.encaps.generate_frames(made.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1


def _bare(rng: Rng, implicit: bool) -> Files:
    out = {}
    for name, data in _series(rng).items():
        ds = pydicom.dcmread(BytesIO(data))
        del ds.file_meta, ds.preamble
        buffer = BytesIO()
        ds.save_as(buffer, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        out[name.removesuffix(".dcm")] = buffer.getvalue()
    return out


def _frames(rng: Rng, change: Callable[[Dataset], None] | None = None, modality: str = "CT") -> Files:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_series(root / "s", _values(rng, modality), modality=modality)
        return {"e.dcm": enhanced(slices_of(root / "s"), root / "e.dcm", change=change).read_bytes()}


def _zip(files: Files, kind: int = zipfile.ZIP_DEFLATED) -> Files:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return {"scan.zip": buffer.getvalue()}


SOUND: dict[str, Callable[[Rng], Files]] = {
    "explicit": _series,
    "explicit PET": partial(_series, modality="PT"),
    "implicit": partial(_series, change=_syntax(ImplicitVRLittleEndian)),
    "big endian": partial(_series, change=_syntax(ExplicitVRBigEndian)),
    "bare explicit": partial(_bare, implicit=False),
    "bare implicit": partial(_bare, implicit=True),
    "deflated": partial(_series, change=_syntax(DeflatedExplicitVRLittleEndian)),
    "RLE": partial(_series, change=_compressed(RLELossless)),
    "JPEG-LS": partial(_series, change=_compressed(JPEGLSLossless)),
    "JPEG 2000": partial(_series, change=_compressed(JPEG2000Lossless)),
    "JPEG lossless": partial(_series, change=_jpeg_lossless),
    "frames": _frames,
    "frames PET": partial(_frames, modality="PT"),
    "frames RLE": partial(_frames, change=lambda ds: ds.compress(RLELossless)),
    "gzip": lambda rng: {f"{k}.gz": gzip.compress(data, mtime=0) for k, data in _series(rng).items()},
    "ZIP": lambda rng: _zip(_series(rng)),
    "ZIP stored": lambda rng: _zip(_series(rng), zipfile.ZIP_STORED),
}
CHECKED = ("gzip", "ZIP", "ZIP stored")  # these have checksums
PACKED = ("deflated",)  # a deflated stream has neither a checksum nor its length


def make(form: str, rng: Rng, folder: Path) -> Path:
    """Write a sound input of a form; return the folder, or the one file."""
    files = SOUND[form](rng)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder if len(files) > 1 else folder / next(iter(files))


def read_it(path: Path) -> object:
    """Return voxels and affine of a scan."""
    volume = read(path)
    return volume.array, volume.affine


def tells(form: str, change: Change) -> bool:
    """Return True if checksums or lengths tell of a change; a whole slice at an end may be gone."""
    if change.kind == "file gone":
        return False
    if form in CHECKED or change.kind == "truncate":
        return True
    return form not in PACKED and change.resized and change.kind != "append"


FORMATS = [Format(f"dicom {form}", partial(make, form), read_it, partial(tells, form)) for form in SOUND]
