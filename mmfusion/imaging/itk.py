"""Read NRRD and MetaImage files with ITK."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.plausible import check_size


def read_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the array (z, y, x) and the affine (4, 4), voxel (x, y, z) to LPS mm.

    Raises
    ------
    ScanError
        If the file is damaged, does not have three dimensions and one value per voxel, or is larger than
        `mmfusion.imaging.plausible.MAX_BYTES`.

    Warns
    -----
    ScanWarning
        If the header does not state the voxel size; ITK then assumes 1 mm.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_kind(reader, path)
        image = reader.Execute()
    except (RuntimeError, MemoryError) as error:  # ITK raises no other errors
        reason = str(error).strip().splitlines()[-1]
        raise ScanError(
            "the scan cannot be read", file=path, got=reason, hint="copy or download it again"
        ) from error
    if not _states_spacing(path):
        warn(f"{path.name}: the voxel size is not stated: 1 mm is assumed", ScanWarning, stacklevel=2)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine


def _check_kind(reader: sitk.ImageFileReader, path: Path) -> None:
    size, values = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) != 3 or values != 1:
        got = f"{len(size)} dimensions, {values} values per voxel"
        raise ScanError("not a volume", file=path, expected="3 dimensions, 1 value per voxel", got=got)
    check_size(size[::-1], path)


def _states_spacing(path: Path) -> bool:
    """Return True if the header states the voxel size.

    Both headers are text. An NRRD header ends with an empty line, a MetaImage header with the name of the
    data.
    """
    with path.open("rb") as file:
        text = re.split(rb"\r?\n\r?\n|elementdatafile", file.read(2**16).lower())[0]
    return (
        re.search(rb"^(elementspacing|elementsize|spacings|space directions)\b", text, re.MULTILINE)
        is not None
    )
