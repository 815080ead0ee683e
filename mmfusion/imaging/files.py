"""Read a scan or a mask of any format: DICOM (folder, ZIP, file), NIfTI, NRRD or MetaImage."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from mmfusion.errors import ScanError, ScanWarning, warn
from mmfusion.imaging.dicom.choose import SeriesRules
from mmfusion.imaging.dicom.geometry import PLAUSIBLE_MM
from mmfusion.imaging.dicom.packed import GZIP, pieces
from mmfusion.imaging.dicom.reader import read_series, read_series_crop
from mmfusion.imaging.dicom.recognise import HEAD, SUFFIXES, is_archive, looks_like_dicom
from mmfusion.imaging.hu import PADDING_HU
from mmfusion.imaging.metaimage import read_metaimage
from mmfusion.imaging.nifti import read_nifti
from mmfusion.imaging.nrrd import read_nrrd
from mmfusion.imaging.plausible import check_scan
from mmfusion.imaging.structures.placing import on_scan, warn_other_grid
from mmfusion.imaging.structures.rois import Roi, choose_rois
from mmfusion.imaging.structures.rtstruct import read_rtstruct
from mmfusion.imaging.structures.seg import read_seg
from mmfusion.imaging.structures.source import STRUCTURES, read_structure, readable
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
        nested in any way, and a folder may contain ZIPs.
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
    unit : {"HU", "SUVbw"}, optional
        Unit of the result. For DICOM it chooses the CT ("HU") or the PET ("SUVbw"); a file without it is
        refused. Other files do not store the unit: their values are taken as `unit`, default "HU".

    Returns
    -------
    Volume
        A CT is int16 if its values are whole numbers, else float32. Values below -1024 HU and padding
        (PixelPaddingValue) become -1024. A PET is float32, SUVbw in g/mL; see `mmfusion.imaging.dicom.pet`.

    Raises
    ------
    ScanError
        If the scan cannot be read or is not plausible:

        - there is no CT or PET, or there are several series and none is chosen
        - a file is damaged, or a ZIP unpacks to too much data (ZIP bomb)
        - slices are missing, doubled, unevenly spaced, of different shapes or orientations, or sheared by a
          tilted gantry
        - the header does not allow to compute an SUV
        - values cannot be HU or SUV (see `mmfusion.imaging.plausible`), or are not finite
        - sform and qform of a NIfTI disagree

    Warns
    -----
    ScanWarning
        If a slice is present more than once with equal header and pixels (exported twice); one copy is used.
        If a NIfTI, NRRD or MetaImage does not state its position, voxel size or byte order.

    Examples
    --------
    >>> import tempfile
    >>> from mmfusion.imaging.nifti import write_nifti
    >>> hu = np.full((4, 16, 16), -1000, np.int16)
    >>> hu[:, 4:12, 4:12] = 40
    >>> ct = Volume(hu, np.diag([1.0, 1.0, 2.5, 1.0]), "HU")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_nifti(ct, Path(folder) / "ct.nii.gz")
    ...     scan = read(Path(folder) / "ct.nii.gz")
    >>> scan.shape, scan.spacing, scan.unit
    ((4, 16, 16), (2.5, 1.0, 1.0), 'HU')
    """
    path = _existing(path)
    _check_unit(unit)
    if _is_image(path):
        if series is not None:
            raise ScanError("series is for DICOM", file=path, got=series)
        array, affine = _read_image(path)
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

    The result equals `read(path, series).crop(center_mm, size_mm, spacing, fill)`, but it is faster. For
    DICOM, all headers of the series are read and checked, as in `read`. Then only the slices and rows that
    the box needs are read and decoded. Damaged pixels in other places are therefore not detected.

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
        For the same reasons as `read` and `Volume.crop`.
    """
    path = _existing(path)
    _check_unit(unit)
    try:
        if _is_image(path):
            return read(path, series, unit=unit).crop(center_mm, size_mm, spacing, fill)
        _expect_dicom(path)
        return read_series_crop(path, center_mm, size_mm, spacing, series=series, unit=unit, fill=fill)
    except ScanError as error:
        error.file = error.file or path
        raise


def read_mask(path: str | Path, reference: Volume | None = None, roi: Roi = None) -> Volume:
    """Read a mask in LPS orientation: DICOM-SEG, RTSTRUCT or a label image (NIfTI, NRRD, MetaImage).

    Parameters
    ----------
    path : path
        The file. For DICOM also a folder or ZIP with exactly one file of regions; it may contain other files.
    reference : Volume, optional
        The scan. If given, the mask is resampled to the scan's grid. RTSTRUCT needs it, because contours have
        no grid. Without it, other masks keep their own grid.
    roi : int, str or sequence of these, optional
        The region: its number (in a label image: its value), its name, or a pattern such as ``"tumor_*"``, in
        which upper and lower case are equal. Several regions are joined into one mask; ``"*"`` joins all.
        Needed if there is more than one region.

    Returns
    -------
    Volume
        uint8 in {0, 1}, unit "mask". The region lies around its `centroid_mm`; `center_mm` is the centre of
        the grid.

    Raises
    ------
    ScanError
        If the file cannot be read; if the region does not exist or is empty; if there are several regions and
        none is chosen; if the mask was drawn on another scan than `reference`.

    Warns
    -----
    ScanWarning
        If a label image or SEG has no region and `roi` is None: the mask is then empty, as for a patient
        without a lesion. If a label image has another grid than `reference`: it may be another patient's. If
        something in the file is left out (see `mmfusion.imaging.structures.rtstruct`).

    Examples
    --------
    >>> import tempfile
    >>> from mmfusion.imaging.nifti import write_nifti
    >>> labels = np.zeros((4, 16, 16), np.uint8)
    >>> labels[1:3, 2:6, 10:14] = 1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_nifti(Volume(labels, np.eye(4), unit="mask"), Path(folder) / "mask.nii.gz")
    ...     mask = read_mask(Path(folder) / "mask.nii.gz")
    >>> mask.centroid_mm.tolist(), mask.center_mm.tolist()
    ([11.5, 3.5, 1.5], [7.5, 7.5, 1.5])
    """
    path = _existing(path)
    if _is_image(path):
        mask = _read_labels(path, roi)
    elif may_be_dicom(path):
        name, ds = read_structure(path)
        read_it = read_seg if ds.Modality == "SEG" else read_rtstruct
        with readable(name, STRUCTURES[ds.Modality]):
            mask = read_it(ds, name, reference=reference, roi=roi)
    else:
        expected = f"DICOM-SEG, RTSTRUCT, or {', '.join(IMAGE_SUFFIXES)}"
        hint = (
            "an AIM annotation contains a point, not a mask; use read_aim_points"
            if path.suffix.lower() == ".xml"
            else None
        )
        raise ScanError("unknown mask format", file=path, expected=expected, got=path.suffix, hint=hint)
    if reference is None:
        return mask
    there = on_scan(mask, reference, path)
    if _is_image(path):
        warn_other_grid(mask, reference, path)
    return there


def _read_labels(path: Path, roi: Roi) -> Volume:
    array, affine = _read_image(path)
    values = np.unique(array)
    if not np.array_equal(values, np.rint(values)) or values[0] < 0:
        expected = "whole numbers, 0 outside"
        raise ScanError(
            "not a mask", file=path, expected=expected, got=f"{values[0]:.4g} to {values[-1]:.4g}"
        )
    regions = {int(value): "" for value in values if value}
    if not regions and roi is None:
        warn(f"{path}: the mask is empty: every voxel is 0", ScanWarning, stacklevel=3)
    chosen = choose_rois(regions, roi, path) if regions or roi is not None else []
    return Volume(np.isin(array, chosen).astype(np.uint8), affine, unit="mask").to_lps()


def _check_unit(unit: str | None) -> None:
    if unit not in (None, *BY_UNIT):
        raise ScanError("unknown unit", expected=" or ".join(BY_UNIT), got=unit)


def _expect_dicom(path: Path) -> None:
    if not may_be_dicom(path):
        expected = f"a folder or ZIP of DICOM, or {', '.join(IMAGE_SUFFIXES)}"
        hint = "unpack it, and give the folder" if is_archive(path.name, _head(path)) else None
        hint = _HINTS.get(path.suffix.lower(), hint)
        got = path.suffix or "no suffix"
        raise ScanError("unknown scan format", file=path, expected=expected, got=got, hint=hint)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise ScanError("no such scan", file=path)
    return path


def _is_image(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES)


def may_be_dicom(path: Path) -> bool:
    """Return True for a folder, a ZIP, or a file whose name or first bytes are those of DICOM.

    Examples
    --------
    >>> may_be_dicom(Path("slice.dcm")), may_be_dicom(Path("slice.dcm.gz"))
    (True, True)
    """
    name = path.name.lower()
    if path.is_dir() or name.endswith((".zip", *SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES))):
        return True
    head = _head(path)
    if name.endswith(".gz"):
        with suppress(EOFError, zlib.error):
            head = next(pieces(head, GZIP), b"")
    return looks_like_dicom(head)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise ScanError("cannot be read", file=path, got=error.strerror, hint="may you read it?") from error


def _read_image(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the array (z, y, x), int16 if the values fit, else float32, and the checked affine (4, 4)."""
    read_it = next(reader for suffix, reader in _READERS.items() if path.name.lower().endswith(suffix))
    array, affine = read_it(path)
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
