"""Writing NIfTI: any volume, for any other program."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from mmfusion.atomic import atomic_file
from mmfusion.errors import ScanError
from mmfusion.imaging.volume import Volume

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


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
        If the name ends otherwise.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise ScanError("not a name for NIfTI", file=path, expected=".nii or .nii.gz", got=path.suffix or "no suffix")
    affine = _TO_RAS @ volume.affine
    image = nib.Nifti1Image(volume.array.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=1)  # scanner coordinates, both ways: programs differ in which they read
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"{volume.modality} {volume.unit}".encode()
    data = image.to_bytes()
    with atomic_file(path) as draft:
        draft.write_bytes(gzip.compress(data, compresslevel=4, mtime=0) if path.suffix.lower() == ".gz" else data)
    return path
