"""NRRD and MetaImage, by ITK."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmfusion.errors import ScanError, ScanWarning
from mmfusion.imaging.plausible import check_size


def read_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array (z, y, x) and affine, voxel (x, y, z) -> LPS mm.

    Raises
    ------
    ScanError
        If it is damaged, not one value a voxel in three dimensions, or larger than memory may be.

    Warns
    -----
    ScanWarning
        If its header does not state the size of a voxel, which ITK then takes as 1 mm.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_kind(reader, path)
        image = reader.Execute()
    except (RuntimeError, MemoryError) as error:  # ITK has no other
        reason = str(error).strip().splitlines()[-1]
        raise ScanError(
            "the scan cannot be read", file=path, got=reason, hint="copy or download it again"
        ) from error
    if not _states_spacing(path):
        warnings.warn(
            f"{path.name}: says nothing of the size of its voxels: taken as 1 mm", ScanWarning, stacklevel=2
        )
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine


def _check_kind(reader: sitk.ImageFileReader, path: Path) -> None:
    size, values = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) != 3 or values != 1:
        got = f"{len(size)} dimensions, {values} values a voxel"
        raise ScanError("not a volume", file=path, expected="3 dimensions, 1 value a voxel", got=got)
    check_size(size[::-1], path)


def _states_spacing(path: Path) -> bool:
    """Headers of both formats are text, ended by an empty line (NRRD) or the name of the data (MetaImage)."""
    with path.open("rb") as file:
        text = re.split(rb"\r?\n\r?\n|elementdatafile", file.read(2**16).lower())[0]
    return (
        re.search(rb"^(elementspacing|elementsize|spacings|space directions)\b", text, re.MULTILINE)
        is not None
    )
