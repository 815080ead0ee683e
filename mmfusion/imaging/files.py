"""Read a scan of any format: DICOM (folder, ZIP, file), NIfTI, NRRD or MetaImage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.dicom.geometry import PLAUSIBLE_MM
from mmfusion.imaging.dicom.paths import first_bytes, may_be_dicom
from mmfusion.imaging.dicom.reader import read_series, read_series_crop
from mmfusion.imaging.dicom.recognise import is_archive
from mmfusion.imaging.formats.metaimage import read_metaimage
from mmfusion.imaging.formats.nifti import read_nifti
from mmfusion.imaging.formats.nrrd import read_nrrd
from mmfusion.imaging.hu import PADDING_HU
from mmfusion.imaging.plausible import check_scan
from mmfusion.imaging.volume import Volume
from mmfusion.modalities import BY_UNIT
from mmfusion.storage.text_header import META_SUFFIXES, NRRD_SUFFIXES

_READERS = {
    **dict.fromkeys((".nii", ".nii.gz"), read_nifti),
    **dict.fromkeys(NRRD_SUFFIXES, read_nrrd),
    **dict.fromkeys(META_SUFFIXES, read_metaimage),
}
IMAGE_SUFFIXES = tuple(_READERS)
_HINTS = {
    **dict.fromkeys((".raw", ".zraw"), "give the header, .mhd or .nhdr"),
    **dict.fromkeys((".hdr", ".img"), "convert it to .nii.gz"),
}


def read(path: str | Path, series: SeriesRules = None, *, unit: str | None = None) -> Volume:
    """Read a CT in HU or a PET in SUVbw, in LPS orientation.

    Parameters
    ----------
    path : path
        A folder or ZIP of DICOM files, one DICOM file, or a NIfTI, NRRD or MetaImage file. DICOM files may be
        nested in any way, and a folder may contain ZIPs. They may lack the suffix and the first 132 bytes,
        be packed by gzip, or hold many slices (Enhanced and Legacy Converted CT and PET).
    series : str or sequence of str, optional
        Rules that choose one series of DICOM if there are several. They are applied one after the other, and
        exactly one series must remain. If a CT and a PET remain, the CT is read. `list_series` shows all
        series. A rule is one of these:

        - "CT" or "PT": the modality
        - a SeriesInstanceUID, or its beginning or end
        - a part of the description, or a pattern such as "*lung*1.0*"; upper and lower case are equal
        - "largest": most slices
        - "thinnest": smallest distance between slices
        - "first": lowest SeriesNumber
        - "acquisition=2", alone or behind another rule ("LUNG acquisition=2"): one of the passes that share
          a series; see `mmfusion.imaging.dicom.passes`
    unit : {"HU", "SUVbw"}, optional
        Unit of the result. For DICOM it chooses the CT ("HU") or the PET ("SUVbw"); a file without it is
        refused. Other files do not store the unit: their values are taken as `unit`, default "HU".

    Returns
    -------
    Volume
        A CT is int16 if its values are whole numbers, else float32. Values below -1024 HU and padding
        (PixelPaddingValue) become -1024. A PET is float32, SUVbw in g/mL; see `mmfusion.imaging.dicom.pet`.
        `source` tells how many files of DICOM were given and used, and which were left out and why.

    Raises
    ------
    ScanError
        If the scan cannot be read or is not plausible:

        - there is no CT or PET, or there are several series and none is chosen
        - a file is damaged, or a ZIP unpacks to too much data (ZIP bomb)
        - slices are missing, doubled, unevenly spaced, of different shapes or orientations, sheared by a
          tilted gantry, or of several passes (acquisitions, phases, energies, kernels)
        - the header does not allow to compute an SUV
        - values cannot be HU or SUV (see `mmfusion.imaging.plausible`), or are not finite
        - sform and qform of a NIfTI disagree

    Warns
    -----
    ScanWarning
        If a slice is there twice (one copy is used), or the scan may not be complete: a file is not
        understood, or the headers tell of more slices.
        If a NIfTI, NRRD or MetaImage does not state its position, voxel size or byte order.

    Examples
    --------
    >>> import tempfile
    >>> from mmfusion.imaging.formats.nifti import write_nifti
    >>> hu = np.full((4, 16, 16), -1000, np.int16)
    >>> hu[:, 4:12, 4:12] = 40
    >>> ct = Volume(hu, np.diag([1.0, 1.0, 2.5, 1.0]), "HU")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_nifti(ct, Path(folder) / "ct.nii.gz")
    ...     scan = read(Path(folder) / "ct.nii.gz")
    >>> scan.shape, scan.spacing, scan.unit
    ((4, 16, 16), (2.5, 1.0, 1.0), 'HU')
    """
    path = existing(path)
    _check_unit(unit)
    if is_image(path):
        if series is not None:
            raise ScanError("series is for DICOM", file=path, got=series)
        array, affine = read_image(path)
        unit = unit or "HU"
        check_scan(array, unit, path)
        if unit == "HU":
            return Volume(np.maximum(array, array.dtype.type(PADDING_HU), out=array), affine).to_lps()
        return Volume(array.astype(np.float32, copy=False), affine, BY_UNIT[unit].dicom, unit).to_lps()
    _expect_dicom(path)
    return read_series(path, series, unit)


def read_crop(
    path: str | Path,
    center_mm: Sequence[float],
    size_mm: float | Sequence[float],
    spacing: float | Sequence[float] | None = None,
    *,
    series: SeriesRules = None,
    unit: str | None = None,
    fill: float | None = None,
) -> Volume:
    """Read a box around a point of a scan.

    The result equals `read(path, series).crop(center_mm, size_mm, spacing, fill)`, but it is faster: all
    headers of a DICOM series are checked, but only the slices and rows of the box are read.

    Parameters
    ----------
    path, series, unit
        As in `read`.
    center_mm : (x, y, z)
        Centre of the box, LPS mm.
    size_mm, spacing, fill
        As in `Volume.crop`.

    Returns
    -------
    Volume
        The box, with axes along LPS.

    Raises
    ------
    ScanError
        As `read` and `Volume.crop`.
    """
    path = existing(path)
    _check_unit(unit)
    try:
        if is_image(path):
            return read(path, series, unit=unit).crop(center_mm, size_mm, spacing, fill)
        _expect_dicom(path)
        return read_series_crop(path, center_mm, size_mm, spacing, series=series, unit=unit, fill=fill)
    except ScanError as error:
        error.file = error.file or path
        raise


def _check_unit(unit: str | None) -> None:
    if unit not in (None, *BY_UNIT):
        raise ScanError("unknown unit", expected=" or ".join(BY_UNIT), got=unit)


def _expect_dicom(path: Path) -> None:
    if not may_be_dicom(path):
        expected = f"a folder or ZIP of DICOM, or {', '.join(IMAGE_SUFFIXES)}"
        unpack = "unpack it, and give the folder" if is_archive(path.name, first_bytes(path)) else None
        hint, got = _HINTS.get(path.suffix.lower(), unpack), path.suffix or "no suffix"
        raise ScanError("unknown scan format", file=path, expected=expected, got=got, hint=hint)


def existing(path: str | Path) -> Path:
    """Return a path if something is there; else raise a ScanError."""
    path = Path(path)
    if not path.exists():
        raise ScanError("no such scan", file=path)
    return path


def is_image(path: Path) -> bool:
    """Return True if a path is a file whose name ends like that of NIfTI, NRRD or MetaImage."""
    return path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES)


def read_image(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the array (z, y, x), int16 if the values fit, else float32, and the checked affine (4, 4)."""
    read_it = next(reader for suffix, reader in _READERS.items() if path.name.lower().endswith(suffix))
    try:
        array, affine = read_it(path)
    except OSError as error:
        got, file = error.strerror or error, error.filename or path
        raise ScanError("the scan cannot be read", file=file, got=got) from error
    limits = np.iinfo(np.int16)
    if np.issubdtype(array.dtype, np.integer) and limits.min <= array.min() and array.max() <= limits.max:
        array = array.astype(np.int16, copy=False)
    else:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise ScanError(
                "values that are not numbers", file=path, got=f"{(~np.isfinite(array)).sum()} voxels"
            )
    try:
        spacing = Volume(array, affine).spacing
    except ScanError as error:
        error.file = path
        raise
    if not all(PLAUSIBLE_MM[0] <= mm <= PLAUSIBLE_MM[1] for mm in spacing):
        got, hint = " x ".join(f"{mm:.4g}" for mm in spacing), "does the header state the right unit?"
        raise ScanError("implausible voxel size", file=path, expected="mm", got=got, hint=hint)
    return array, affine
