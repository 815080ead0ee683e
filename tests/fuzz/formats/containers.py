"""NIfTI, NRRD and MetaImage."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import mmfusion as mf
from mmfusion.storage.fingerprint import fingerprint
from mmfusion.storage.hashing import hash_path
from tests.fuzz.mutate import Change
from tests.fuzz.registry import Format

KINDS = ("i2", "i2", "f4", "i4")


def scan(rng: np.random.Generator) -> sitk.Image:
    """Return a small scan that can be a CT: air with an ellipsoid of tissue in it, and noise."""
    shape = rng.integers(6, 14, 3)
    z, y, x = (np.linspace(-1, 1, n) for n in shape)
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 0.8
    hu = np.where(inside, 40.0, -1000.0) + rng.normal(0, 15, shape)
    image = sitk.GetImageFromArray(hu.astype(KINDS[rng.integers(len(KINDS))]))
    image.SetSpacing([float(mm) for mm in rng.uniform(0.5, 3, 3).round(3)])
    image.SetOrigin([float(mm) for mm in rng.uniform(-200, 200, 3).round(2)])
    if rng.random() < 0.5:
        image.SetDirection(sitk.Euler3DTransform((0, 0, 0), *rng.uniform(-0.2, 0.2, 3)).GetMatrix())
    return image


def make(suffix: str, compressed: bool, rng: np.random.Generator, folder: Path) -> Path:
    path = folder / f"scan{suffix}"
    sitk.WriteImage(scan(rng), str(path), compressed)
    return path


def make_list(rng: np.random.Generator, folder: Path) -> Path:
    """Write a MetaImage whose slices lie in one file each."""
    path = make(".mhd", False, rng, folder)
    data = (folder / "scan.raw").read_bytes()
    head = path.read_text().rpartition("ElementDataFile")[0]
    slices = int(head.partition("DimSize = ")[2].splitlines()[0].split()[2])
    (folder / "scan.raw").unlink()
    for k in range(slices):
        (folder / f"{k:02d}.raw").write_bytes(data[k * len(data) // slices : (k + 1) * len(data) // slices])
    names = "".join(f"{k:02d}.raw\n" for k in range(slices))
    path.write_text(f"{head}ElementDataFile = LIST\n{names}")
    return path


def read(path: Path) -> object:
    """Return voxels and affine of a scan; its hashes must not fail either."""
    if path.exists():
        hash_path(path)
        fingerprint(path)
    volume = mf.imaging.read(path)
    return volume.array, volume.affine


def header_size(name: str, data: bytes) -> int:
    """Return the number of bytes of the lines of text at the start of a file."""
    if name.endswith((".mhd", ".nhdr")):
        return len(data)
    if name.endswith(".mha"):
        return data.find(b"LOCAL\n") + 6
    return data.find(b"\n\n") + 2 if name.endswith(".nrrd") else 0


def tells(packed: bool, change: Change) -> bool:
    """Return True if lengths, checksums or the lines of the header tell of a change.

    A number of the header may be another one, and so may a voxel that is not compressed.
    """
    if change.kind in ("truncate", "file gone") and change.resized:
        return True
    if change.in_text:
        return change.kind in ("drop", "twice") or change.impossible
    return packed or change.resized


FILES = {
    "nii": (".nii", False),
    "nii.gz": (".nii.gz", True),
    "nrrd": (".nrrd", False),
    "nrrd.gz": (".nrrd", True),
    "nhdr": (".nhdr", False),
    "nhdr.gz": (".nhdr", True),
    "mha": (".mha", False),
    "mha.z": (".mha", True),
    "mhd": (".mhd", False),
    "mhd.z": (".mhd", True),
}
GZ = {"unpack": gzip.decompress, "pack": partial(gzip.compress, compresslevel=1)}
FORMATS = [
    *(
        Format(name, partial(make, suffix, packed), read, partial(tells, packed), header_size)
        for name, (suffix, packed) in FILES.items()
    ),
    Format("mhd list", make_list, read, partial(tells, False), header_size),
    Format("nii in gz", partial(make, ".nii.gz", True), read, partial(tells, False), **GZ),
]
