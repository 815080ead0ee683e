"""Damaged and hostile DICOM: one sound input of each form, and changes of it that a seed decides.

`FORMATS` maps the name of a form to `make(seed, folder)`, which writes one changed input into an empty folder
and returns its path; `read_it` reads it. A reader may give our error, a warning, or a sound volume.
"""

from __future__ import annotations

import functools
import gzip
import random
import tempfile
import zipfile
from collections.abc import Callable
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

from mmfusion.imaging import Volume, read
from tests.imaging.dicoms import phantom_hu, write_series
from tests.imaging.multiframes import enhanced, slices_of

SHAPE = (3, 40, 36)
Files = dict[str, bytes]
_RUNS = (
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\xff",
    b"\xfe\xff\x00\xe0",
)


def _values(modality: str) -> np.ndarray:
    smooth = np.cumsum(np.random.default_rng(5).integers(-40, 41, SHAPE), axis=2).astype(np.int16)
    return np.abs(smooth) + 1 if modality == "PT" else smooth + phantom_hu(SHAPE) // 4


def _series(change: Callable[[Dataset, int], None] | None = None, modality: str = "CT") -> Files:
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), _values(modality), modality=modality, change=change)
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


def _bare(implicit: bool) -> Files:
    out = {}
    for name, data in _series().items():
        ds = pydicom.dcmread(BytesIO(data))
        del ds.file_meta, ds.preamble
        buffer = BytesIO()
        ds.save_as(buffer, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        out[name.removesuffix(".dcm")] = buffer.getvalue()
    return out


def _frames(change: Callable[[Dataset], None] | None = None, modality: str = "CT") -> Files:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_series(root / "s", _values(modality), modality=modality)
        return {"e.dcm": enhanced(slices_of(root / "s"), root / "e.dcm", change=change).read_bytes()}


def _zip(files: Files, kind: int = zipfile.ZIP_DEFLATED) -> Files:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return {"scan.zip": buffer.getvalue()}


SOUND: dict[str, Callable[[], Files]] = {
    "explicit": _series,
    "explicit PET": lambda: _series(modality="PT"),
    "implicit": lambda: _series(_syntax(ImplicitVRLittleEndian)),
    "big endian": lambda: _series(_syntax(ExplicitVRBigEndian)),
    "without preamble, explicit": lambda: _bare(implicit=False),
    "without preamble, implicit": lambda: _bare(implicit=True),
    "deflated": lambda: _series(_syntax(DeflatedExplicitVRLittleEndian)),
    "gzip": lambda: {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in _series().items()},
    "RLE": lambda: _series(_compressed(RLELossless)),
    "JPEG-LS": lambda: _series(_compressed(JPEGLSLossless)),
    "JPEG 2000": lambda: _series(_compressed(JPEG2000Lossless)),
    "JPEG lossless": lambda: _series(_jpeg_lossless),
    "frames": _frames,
    "frames PET": lambda: _frames(modality="PT"),
    "frames RLE": lambda: _frames(lambda ds: ds.compress(RLELossless)),
    "ZIP": lambda: _zip(_series()),
    "ZIP stored": lambda: _zip(_series(), zipfile.ZIP_STORED),
}
CHECKED = (
    "gzip",
    "ZIP",
    "ZIP stored",
)  # these forms have checksums: no change of the content may pass unseen


@functools.cache
def sound(form: str) -> Files:
    """The files of a sound input."""
    return SOUND[form]()


def changed(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes: bits, values, cuts, pieces left out or doubled, and lengths that are too large."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(min(len(out), 1200) if rng.random() < 0.5 else len(out))
        kind = rng.choice(("bit", "bit", "byte", "byte", "run", "cut", "drop", "twice"))
        if kind == "bit":
            out[at] ^= 1 << rng.randrange(8)
        elif kind == "byte":
            out[at] = rng.choice((0, 255, 0x20, rng.randrange(256)))
        elif kind == "run":
            run = rng.choice(_RUNS)
            out[at : at + len(run)] = run
        elif kind == "cut" and rng.random() < 0.5:
            del out[at:]
        elif kind == "drop":
            del out[at : at + rng.randrange(1, 40)]
        elif kind == "twice":
            start = rng.randrange(len(out))
            out[at:at] = out[start : start + rng.randrange(1, 40)]
        if not out:
            return b"\0"
    return bytes(out)


def make(form: str, seed: int, folder: Path) -> Path:
    """Write one changed input of a form into an empty folder; return its path."""
    rng = random.Random(f"{form} {seed}")
    files = dict(sound(form))
    chosen = list(files) if rng.random() < 0.4 else [rng.choice(list(files))]
    change = rng.randrange(2**32)  # the same change in every chosen file
    for name in chosen:
        files[name] = changed(files[name], random.Random(change))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder if len(files) > 1 else folder / next(iter(files))


FORMATS: dict[str, Callable[[int, Path], Path]] = {form: functools.partial(make, form) for form in SOUND}


def read_it(path: Path) -> Volume:
    """Read an input as a user does."""
    return read(path)
