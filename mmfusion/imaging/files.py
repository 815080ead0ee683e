"""One door for every format: DICOM (folder, ZIP, file), NIfTI, NRRD, MetaImage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom import AIR_HU, SUFFIXES, looks_like_dicom, read_series
from mmfusion.imaging.volume import Volume

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def read(path: str | Path, series: str | None = None) -> Volume:
    """Read a CT scan in HU, LPS orientation.

    Parameters
    ----------
    path : path
        Folder or ZIP of DICOM (nested however), one DICOM file, or NIfTI, NRRD or MetaImage.
    series : str, optional
        SeriesInstanceUID, if a folder or ZIP holds several CT series.

    Returns
    -------
    Volume
        Values below -1024 HU (padding) are -1024.

    Raises
    ------
    ScanError
        If it cannot be read, or not be trusted; see `mmfusion.imaging.dicom.read_series`.
    """
    path = _existing(path)
    if _is_image(path):
        if series is not None:
            raise ScanError("series is for DICOM", file=path, got=series)
        array, affine = _read_image(path)
        return Volume(np.maximum(array, array.dtype.type(AIR_HU)), affine).to_lps()
    if path.is_dir() or path.suffix.lower() in (".zip", *SUFFIXES) or _has_dicom_mark(path):
        return read_series(path, series)
    expected = f"a folder or ZIP of DICOM, or {', '.join(IMAGE_SUFFIXES)}"
    raise ScanError("unknown format of scan", file=path, expected=expected, got=path.suffix or "no suffix")


def read_mask(path: str | Path) -> Volume:
    """Read a mask (NIfTI, NRRD or MetaImage) in LPS orientation: 1 where the file is not 0.

    Raises
    ------
    ScanError
        If it cannot be read.
    """
    path = _existing(path)
    if not _is_image(path):
        raise ScanError("unknown format of mask", file=path, expected=", ".join(IMAGE_SUFFIXES))
    array, affine = _read_image(path)
    return Volume((array != 0).astype(np.uint8), affine, unit="mask").to_lps()


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise ScanError("no such scan", file=path)
    return path


def _is_image(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES)


def _has_dicom_mark(path: Path) -> bool:
    with path.open("rb") as file:
        return looks_like_dicom(file.read(132))


def _read_image(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array (z, y, x) as int16 where it fits, else float32; and the affine."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:  # ITK has no other
        reason = str(error).strip().splitlines()[-1]
        raise ScanError("the scan cannot be read", file=path, got=reason, hint="copy or download it again") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        got = f"{image.GetDimension()} dimensions, {image.GetNumberOfComponentsPerPixel()} values a voxel"
        raise ScanError("not a volume", file=path, expected="3 dimensions, 1 value a voxel", got=got)
    array = sitk.GetArrayFromImage(image)
    limits = np.iinfo(np.int16)
    if np.issubdtype(array.dtype, np.integer) and limits.min <= array.min() and array.max() <= limits.max:
        array = array.astype(np.int16)
    else:
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ScanError("values that are not numbers", file=path, got=f"{(~np.isfinite(array)).sum()} voxels")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return array, affine
